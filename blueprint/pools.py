"""The pools of database connections that application servers have: their URL, and how many connections."""

from collections.abc import Iterable

from blueprint.settings import Settings
from blueprint.terms import Role

_RESERVED_CONNECTIONS = 20
"""PostgreSQL connections that no pool takes: superuser, Patroni, replication, administrators."""

_CONNECTIONS_PER_CORE = 4
"""Of all pools together, per core of a database server: twice what PostgreSQL's wiki counts ("Number Of Database
Connections"), as a commit also waits for the standby. Not many more: after a change of the primary all of them are
made anew at once, each with TLS and SCRAM, and users wait (drill switchover: with 20 a node 3 s longer than the
database)."""

_SMALLEST_POOL = 10
"""Connections of one service on one node, where PostgreSQL has so many to give. Commits that wait for a standby which
stands still (up to 4 s) hold theirs, and once they hold all of them nobody can read either (drill freeze-standby-5s,
five writes a second: with 4 nothing was answered for 1.9 s, with 10 for 0.3 s)."""

_JDBC_OPTIONS = {
    "targetServerType": "primary",
    "sslmode": "verify-full",
    "sslrootcert": "/etc/perenne/tls/ca.pem",
    # A server that is gone answers nothing, one that hangs accepts and says no more: then the next is asked.
    "connectTimeout": "1",
    "sslResponseTimeout": "1500",
    # All servers together.
    "loginTimeout": "5",
    # A frozen server's kernel goes on acknowledging: only this ends the wait, so it also limits a single statement.
    "socketTimeout": "10",
    "cancelSignalTimeout": "2",
    "tcpKeepAlive": "true",
    # A server that was found down or a standby is not passed over for some time (default 10 s): it may be primary now.
    "hostRecheckSeconds": "0",
}
"""Parameters of pgjdbc's URL ("Connecting to the Database"); times in seconds, sslResponseTimeout in milliseconds."""


def jdbc_url(settings: Settings, databases: Iterable[str], service: str) -> str:
    """Where a service finds its database: whichever server is primary.

    The primary's own address comes first, so that a connection asks one server only; it follows a new primary up to a
    second later than the servers themselves tell of it, who come next.
    """
    places = [str(settings.database.address), *map(settings.fqdn, databases)]
    hosts = ",".join(f"{place}:5432" for place in places)
    options = "&".join(f"{key}={value}" for key, value in (_JDBC_OPTIONS | {"ApplicationName": service}).items())
    return f"jdbc:postgresql://{hosts}/{service}?{options}"


def pool_size(settings: Settings, pools: int) -> int:
    """Connections of one pool, such that all pools together leave PostgreSQL the reserved ones."""
    cores = min(server.cpus for server in settings.servers_of(Role.DATABASE).values())
    useful = max(_SMALLEST_POOL, _CONNECTIONS_PER_CORE * cores // max(pools, 1))
    share = (settings.database.max_connections - _RESERVED_CONNECTIONS) // max(pools, 1)
    return max(2, min(useful, share))
