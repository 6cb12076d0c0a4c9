"""Rules about the database."""

from collections.abc import Iterator

from policies.judging.resource import Resource, UndecidedError
from policies.judging.rule import Context, Finding, Severity, rule
from policies.reading import guests, tiers
from policies.reading.balancer import LOOPBACK
from policies.reading.connections import Connection, connections
from policies.reading.guests import GuestFiles
from policies.reading.patroni import Patroni, patroni
from policies.reading.tiers import Kind, Tier

_TIMEOUTS = {"connectTimeout": "connect_timeout", "socketTimeout": "tcp_user_timeout"}


_databases = tiers.subjects_of(Kind.DATABASE)


def _members(tier: Tier, context: Context) -> Iterator[tuple[Resource, GuestFiles, Patroni]]:
    for machine in tier.machines:
        files = guests.files_of(context.stack, machine)
        if found := patroni(files):
            yield machine, files, found


@rule(
    id="DB-01",
    title="A standby has every commit before it is acknowledged",
    severity=Severity.CRITICAL,
    outage="Data that was acknowledged is gone: the standby that takes over never had it.",
    remedy="Set synchronous_mode: true in Patroni's dynamic configuration, and leave synchronous_commit at on.",
    why="With asynchronous replication the primary answers before the standby knows. When the primary's host is lost,"
    " so are the last commits, and nobody can tell which. In synchronous mode Patroni promotes only a standby that"
    " has them all.",
    source="Patroni, “Replication modes”",
    reads=("files of VMs: Patroni's YAML and dynamic.json",),
    subjects=_databases,
    drill="control-lose-writes",
)
def synchronous_standby(tier: Tier, context: Context) -> Iterator[Finding]:
    """No synchronous mode, or nobody who may be the standby."""
    able = 0
    scopes = set()
    for machine, files, member in _members(tier, context):
        where = files.source(member.path)
        if not member.is_synchronous:
            yield Finding(where, f"{machine.label} replicates asynchronously")
        if member.parameter("synchronous_commit") in ("off", "local"):
            yield Finding(
                where,
                f"{machine.label} acknowledges before the standby has the data (synchronous_commit)",
                "Set synchronous_commit: on.",
            )
        if member.parameter("fsync") == "off":
            yield Finding(where, f"{machine.label} acknowledges what is not on its disk (fsync)", "Set fsync: on.")
        scopes.add(member.scope)
        able += member.may_follow
    if len(scopes) > 1:
        yield Finding(
            tier.machines[-1],
            f"the servers of {tier.label} are members of different clusters: none is the other's standby",
            "Give them the same scope.",
        )
    if len(tier.machines) > 1 and able < 2:  # noqa: PLR2004 (a primary and its standby)
        yield Finding(
            tier.machines[-1],
            "no standby may take over (tags nosync, nofailover, nostream, failover_priority)",
            "Remove the tag.",
        )


def _connections(context: Context) -> Iterator[tuple[Resource, GuestFiles, Connection]]:
    """What looks for a database: on every server that is neither one itself nor a vote for one."""
    if not tiers.of_kind(context, Kind.DATABASE):
        return
    clients = [
        machine
        for machine in context.stack.of_type("VirtualMachine")
        if not tiers.kinds_of(context.stack, machine) & {Kind.DATABASE, Kind.QUORUM}
    ]
    for machine in clients:
        files = guests.files_of(context.stack, machine)
        for connection in connections(files):
            yield machine, files, connection
    for machine in clients:
        if not guests.files_of(context.stack, machine).complete:
            raise UndecidedError(machine.label, "what is put on it")


@rule(
    id="DB-02",
    title="Clients know every database server, and look for the primary",
    severity=Severity.HIGH,
    outage="After a failover the application goes on asking the server that is gone, until somebody edits its"
    " settings.",
    remedy="Name every database server in the connection string, with targetServerType=primary (libpq:"
    " target_session_attrs=read-write).",
    why="The database moves; a connection string that names one server doesn't. With all of them in it, a client"
    " finds the primary by itself. One address that follows the primary does, too.",
    source="PostgreSQL JDBC Driver, “Connection Fail-over”; PostgreSQL, 34.1.1 “Connection Strings”",
    reads=("files of VMs: connection strings",),
    subjects=_connections,
    drill="lose-primary",
)
def knows_every_database(subject: tuple[Resource, GuestFiles, Connection], context: Context) -> Iterator[Finding]:
    """One server, or whichever answers."""
    machine, files, connection = subject
    where = files.source(connection.path)
    hosts = guests.resolved(files, connection.hosts)
    for tier in tiers.of_kind(context, Kind.DATABASE):
        known = guests.among(context.stack, tier.machines, hosts)
        missing = ", ".join(one.label for one in tier.machines if one not in known)
        if len(known) == 1 and missing:
            yield Finding(where, f"a connection of {machine.label} names one database server, {known[0].label}")
        elif known and missing:
            yield Finding(where, f"a connection of {machine.label} does not name {missing}")
        if len(known) > 1 and not connection.wants_primary:
            yield Finding(
                where,
                f"a connection of {machine.label} takes a standby for the primary",
                "Add targetServerType=primary.",
            )


@rule(
    id="DB-03",
    title="A primary that lost its lease is stopped from writing",
    severity=Severity.CRITICAL,
    outage="After a freeze two servers take writes; one of the two histories has to be thrown away.",
    remedy="Set Patroni's watchdog mode to automatic or required, with a watchdog device in the guest.",
    why="Patroni demotes a primary that can't renew its lease, as long as Patroni itself runs. A machine that was"
    " frozen, or a Patroni that hangs, demotes nothing: the watchdog resets the machine before another may take the"
    " lease.",
    source="Patroni, “Watchdog support”",
    reads=("files of VMs: Patroni's YAML",),
    subjects=_databases,
    drill="freeze-primary-60s",
)
def fenced(tier: Tier, context: Context) -> Iterator[Finding]:
    """No watchdog."""
    if len(tier.machines) < 2:  # noqa: PLR2004
        return
    for machine, files, member in _members(tier, context):
        if member.watchdog not in ("automatic", "required"):
            state = "is off" if member.watchdog == "off" else "is not configured"
            yield Finding(files.source(member.path), f"Patroni's watchdog on {machine.label} {state}")
        if member.slack < 0:
            yield Finding(
                files.source(member.path),
                f"the lease of {machine.label} may end before its primary has given up renewing it",
                "Set ttl to at least loop_wait + 2 * retry_timeout.",
            )


@rule(
    id="DB-04",
    title="Clients give up on a database that has gone silent",
    severity=Severity.HIGH,
    outage="A frozen primary's machine goes on acknowledging packets: its clients wait for ever, and so do their"
    " users.",
    remedy="Add connectTimeout and socketTimeout (libpq: connect_timeout, tcp_user_timeout) to the connection string.",
    why="TCP only notices a peer that is gone. One whose kernel lives while PostgreSQL hangs keeps every connection"
    " open; a pool full of those is an outage that ends when somebody restarts the application.",
    source="PostgreSQL JDBC Driver, “Connection Parameters”",
    reads=("files of VMs: connection strings",),
    subjects=_connections,
    drill="freeze-primary-60s-unfenced",
)
def gives_up(subject: tuple[Resource, GuestFiles, Connection], _context: Context) -> Iterator[Finding]:
    """A connection without a time limit."""
    machine, files, connection = subject
    for jdbc, libpq in _TIMEOUTS.items():
        if connection.options.get(jdbc, "0") == "0" and connection.options.get(libpq, "0") == "0":
            yield Finding(files.source(connection.path), f"a connection of {machine.label} has no {jdbc}")


@rule(
    id="DB-05",
    title="Patroni knows every vote of the quorum",
    severity=Severity.HIGH,
    outage="When the one vote that Patroni knows is away, it can't renew its lease: the primary steps down, though the"
    " quorum stands.",
    remedy="Name every member under etcd3.hosts.",
    why="Patroni asks etcd whether it still is the primary. It goes on to the next address that it knows when one does"
    " not answer; with a single one, that server takes the database with it, whatever the quorum was built for; and a"
    " Patroni that starts while it is down doesn't start its PostgreSQL.",
    source="Patroni, “YAML Configuration Settings”: etcdv3",
    reads=("files of VMs: Patroni's YAML, etcd",),
    subjects=_databases,
    drill="kill-etcd",
)
def knows_every_vote(tier: Tier, context: Context) -> Iterator[Finding]:
    """A vote that a member doesn't look for."""
    for machine, files, member in _members(tier, context):
        hosts = {_host(one) for one in member.votes or ()}
        if not hosts or all(one.startswith(LOOPBACK) for one in hosts):
            continue  # its own vote, which comes and goes with it
        where = files.source(member.path)
        named = guests.resolved(files, hosts)
        for quorum in tiers.of_kind(context, Kind.QUORUM):
            known = guests.among(context.stack, quorum.machines, named)
            missing = ", ".join(one.label for one in quorum.machines if one not in known)
            if known and missing:
                yield Finding(where, f"Patroni on {machine.label} does not know the votes {missing}")
        if len(hosts) == 1:
            yield Finding(where, f"Patroni on {machine.label} knows one vote")


def _host(address: str) -> str:
    """The host in a member's address, with or without scheme and port."""
    return address.rpartition("//")[2].rpartition(":")[0] or address
