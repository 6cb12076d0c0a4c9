"""What is put on a server, per role: files, the script that puts them into service, and what cloud-init starts from.

Over SSH a server gets one script per role, in clear, and on standard input one JSON document with all the role's files,
secrets included (`bundle`).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from blueprint import keys
from blueprint.hosts_file import hosts_file
from blueprint.secrets import SITE_AUTHORITIES, Stage, password_of
from blueprint.settings import Settings
from blueprint.terms import Certificate, Role


class GuestRole(StrEnum):
    """What can be put on a server."""

    BALANCER = "balancer"
    APPLICATION = "application"
    QUORUM = "quorum"
    """One vote of etcd: database servers and witnesses."""
    DATABASE = "database"
    """PostgreSQL under Patroni; the quorum must run before."""
    BACKUP = "backup"
    """Keeps backups of the database, alone or beside another role."""
    FENCING = "fencing"
    """Makes sure that a lost primary is off; on database servers, beside the database."""


@dataclass(frozen=True)
class File:
    """A file on a server; `owner` is user:group."""

    content: str
    mode: int = 0o644
    owner: str = "root:root"


@dataclass(frozen=True)
class SecretFile:
    """A file that is made from the secrets of these names (`blueprint.secrets`) once their values are known.

    While a secret is rotated, `render` is given its values of every stage.
    """

    secrets: tuple[str, ...]
    render: Callable[[Mapping[str, str]], str]
    mode: int = 0o600
    owner: str = "root:root"


CLUSTER = "perenne"
"""Patroni's scope: the name of the PostgreSQL cluster."""

_INTERFACE = "guests"
"""What cloud-init and netplan call a server's interface in their files."""

_RESPONSE_TIMEOUT_SECONDS = 15
"""How long a balancer waits for a node's answer: longer than the one statement that `socketTimeout` allows."""

_RESERVED_CONNECTIONS = 20
"""PostgreSQL connections that no pool takes: superuser, Patroni, replication, administrators."""

_CONNECTIONS_PER_CORE = 4
"""Of all pools together, per core of a database server: twice what PostgreSQL's wiki counts ("Number Of Database
Connections"), as a commit also waits for the standby. No more: after a change of the primary all of them are made anew
at once, each with TLS and SCRAM, and users wait (drill switchover: with 20 a node 3 s longer than the database)."""

_SMALLEST_POOL = 4
"""Connections of one service on one node, where PostgreSQL has so many to give."""

_WORKER_THREADS = 384
"""Requests that one node of WildFly has in progress; more wait for a thread."""

_HIGHEST_PRIORITY = 254
"""Of keepalived's first server; 255 is for a router that owns the address. The nearer to 256, the less a backup waits
beyond the three intervals (RFC 9568, 6.1: the skew), 2 ms of an interval of 0.2 s."""
_PRIORITY_STEP = 10
"""To the next one, so that two backups don't take the address within one round trip: 8 ms of an interval of 0.2 s."""

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
    # A server that was found down or read-only is asked again after this time (default 10 s); 0 was no faster.
    "hostRecheckSeconds": "1",
}
"""Parameters of pgjdbc's URL ("Connecting to the Database"); times in seconds, sslResponseTimeout in milliseconds."""

_GUEST = Path(__file__).parent.parent / "components" / "guest"


def script(role: GuestRole) -> str:
    """The shell text that puts `role` into service, and changes nothing where that is already so (bash, as root)."""
    installer = (_GUEST / "install.py").read_text()
    parts = [
        "#!/bin/bash\n# shellcheck disable=SC2154  # set by the role's env file\nset -euo pipefail\n",
        f"role={role}\ninstaller=$(cat <<'END_OF_INSTALLER'\n{installer}END_OF_INSTALLER\n)\n",
        (_GUEST / "common.sh").read_text(),
        (_GUEST / role / "apply.sh").read_text(),
    ]
    return "\n".join(parts)


def files(settings: Settings, name: str, role: GuestRole, checksums: Mapping[str, str]) -> dict[str, File]:
    """The files of `role` on server `name` that hold no secret, by path; `checksums` are the services' SHA-256."""
    # What comes beside another role leaves the common files to that one.
    alone = settings.servers[name].role is Role.BACKUP
    beside = role in (GuestRole.DATABASE, GuestRole.FENCING) or (role is GuestRole.BACKUP and not alone)
    common = {} if beside else _common_files(settings)
    render = partial(_render, context=_context(settings, name) | {"checksums": checksums})
    match role:
        case GuestRole.BALANCER:
            own = _balancer_files(render)
        case GuestRole.APPLICATION:
            own = _application_files(render)
        case GuestRole.QUORUM:
            own = _quorum_files(render, settings.servers[name].role)
        case GuestRole.DATABASE:
            own = _database_files(render)
        case GuestRole.BACKUP:
            own = _backup_files(render) | (_drain_files("backup/drain.sh") if alone else {})
        case GuestRole.FENCING:
            own = _fencing_files(settings, name)
    return common | {f"/etc/perenne/{role}.env": File(render(f"{role}/env.j2"))} | own


def secret_files(settings: Settings, name: str, role: GuestRole) -> dict[str, SecretFile]:
    """The files of `role` on server `name` that are made from secrets, by path."""
    # Only its certificate leaves the machine that runs Pulumi, never the key that signs the others.
    authority = SecretFile(("tls-authority",), keys.authorities, 0o644)
    login = SecretFile(("ssh-key",), keys.authorized_keys)
    context = _context(settings, name)
    match role:
        case GuestRole.BALANCER:
            own = {"/etc/perenne/tls/site.pem": _verbatim("tls-site"), **_site_authorities(settings)}
        case GuestRole.APPLICATION:
            passwords = tuple(password_of(service) for service in context["datasources"])
            own = {
                **_site_authorities(settings),
                "/etc/perenne/tls/server.pem": _verbatim(f"tls-{name}"),
                "/etc/perenne/wildfly/environment": _template(
                    "application/environment.j2", ("jgroups-key", *passwords), context
                ),
            }
        case GuestRole.QUORUM:
            own = {"/etc/perenne/tls/etcd.pem": _verbatim(f"tls-{name}", "etcd:etcd")}
        case GuestRole.DATABASE:
            roles = tuple(f"database-{user}-password" for user in ("superuser", "replication", "rewind"))
            secrets = ("patroni-api-password", *roles)
            owner = "postgres:postgres"
            # The authority's certificate came with the quorum role.
            return {
                "/etc/perenne/tls/postgres.pem": _verbatim(f"tls-{name}", owner),
                "/etc/patroni/perenne/20-secrets.yml": _template("database/secrets.yml.j2", secrets, context, owner),
                "/etc/patroni/passwords.sql": _template("database/passwords.sql.j2", roles, context, owner),
                "/etc/patroni/passwords": _template("database/pgpass.j2", roles, context),
            }
        case GuestRole.BACKUP:
            needed, owner = ("database-backup-password",), "perenne-backup:perenne-backup"
            own = {"/etc/perenne/backup.pgpass": _template("backup/pgpass.j2", needed, context, owner)}
            # Beside another role logins and the authority's certificate came with that one.
            if settings.servers[name].role is not Role.BACKUP:
                return own
        case GuestRole.FENCING:
            return _fencing_secrets(settings, name)
    return {"/etc/perenne/tls/ca.pem": authority, "/root/.ssh/authorized_keys": login} | own


def secret_names(needed: Mapping[str, SecretFile], known: Iterable[str]) -> set[str]:
    """The names of all secrets that these files are made from, with those `known` of them in stages of a rotation."""
    names = {name for file in needed.values() for name in file.secrets}
    return names | {key for key in known for stage in Stage if key.removeprefix(stage) in names and key not in names}


def bundle(plain: Mapping[str, File], secret: Mapping[str, SecretFile], values: Mapping[str, str]) -> str:
    """The JSON text that the script of a role reads on standard input: every file with its content, mode and owner."""
    made = {path: File(file.render(values), file.mode, file.owner) for path, file in secret.items()}
    everything = {path: vars(file) for path, file in sorted((dict(plain) | made).items())}
    return json.dumps(everything, indent=0)


def metadata(settings: Settings, name: str) -> str:
    """cloud-init's `guestinfo.metadata`: identity and network (VMware data source, network configuration version 2)."""
    server = settings.servers[name]
    network = settings.networks.guests
    resolvers = {"nameservers": {"addresses": [str(one) for one in network.nameservers]}} if network.nameservers else {}
    return yaml.safe_dump(
        {
            "instance-id": settings.fqdn(name),
            "local-hostname": settings.fqdn(name),
            # Once read, the guest overwrites it: it holds the host's private key, and vCenter shows it to every user.
            "cleanup-guestinfo": ["userdata"],
            "network": {
                "version": 2,
                "ethernets": {
                    _INTERFACE: {
                        "match": {"name": "e*"},
                        "dhcp4": False,
                        "mtu": network.mtu,
                        "addresses": [f"{server.address}/{network.cidr.prefixlen}"],
                        "routes": [{"to": "0.0.0.0/0", "via": str(network.gateway)}],
                        **resolvers,
                    }
                },
            },
        },
        sort_keys=False,
    )


def user_data(settings: Settings, name: str, public_key: str, host_key: str) -> str:
    """cloud-init's `guestinfo.userdata`: who may log in, and the key by which the server proves itself.

    `public_key` is Perenne's own (one line, as in `authorized_keys`), `host_key` the server's private key (OpenSSH's
    format): the text holds a secret.
    """
    configuration = {
        "fqdn": settings.fqdn(name),
        "hostname": name,
        "prefer_fqdn_over_hostname": False,
        "manage_etc_hosts": False,
        "disable_root": False,
        "ssh_pwauth": False,
        "users": [{"name": "root", "lock_passwd": True, "ssh_authorized_keys": [public_key]}],
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key},
        "package_update": False,
    }
    return "#cloud-config\n" + yaml.safe_dump(configuration, sort_keys=False)


def _common_files(settings: Settings) -> dict[str, File]:
    """What every server has, whatever it does."""
    context = {"settings": settings}
    administrators = "".join(f"{key}\n" for key in settings.administrators)
    common = {
        "/etc/apt/apt.conf.d/99perenne": File(_text("common/apt.conf")),
        "/etc/hosts": File(hosts_file(settings)),
        "/etc/ssh/sshd_config.d/perenne.conf": File(_text("common/sshd.conf")),
        "/etc/ssh/perenne_administrators": File(administrators),
        "/etc/systemd/journald.conf.d/perenne.conf": File(_text("common/journald.conf")),
        f"/etc/systemd/network/10-netplan-{_INTERFACE}.network.d/perenne.conf": File(_text("common/networkd.conf")),
    }
    if settings.ntp:
        common["/etc/chrony/chrony.conf"] = File(_render("common/chrony.conf.j2", context))
    return common


def _balancer_files(render: Callable[[str], str]) -> dict[str, File]:
    return {
        "/etc/apache2/apache2.conf": File(render("balancer/apache2.conf.j2")),
        "/etc/systemd/system/apache2.service.d/perenne.conf": File(_text("balancer/httpd.conf")),
        "/etc/keepalived/keepalived.conf": File(render("balancer/keepalived.conf.j2")),
        "/etc/systemd/system/keepalived.service.d/perenne.conf": File(_text("common/keepalived.conf")),
        "/etc/systemd/system/perenne-hand-over.service": File(_text("balancer/perenne-hand-over.service")),
        "/etc/tmpfiles.d/perenne.conf": File(_text("balancer/tmpfiles.conf")),
        "/etc/logrotate.d/apache2": File(_text("balancer/logrotate.conf")),
        "/etc/systemd/system/logrotate.timer.d/perenne.conf": File(_text("balancer/logrotate-hourly.conf")),
        "/usr/local/lib/perenne/check-httpd": File(_text("balancer/check-httpd.sh"), 0o755),
        "/usr/local/lib/perenne/hand-over": File(_text("balancer/hand_over.py"), 0o755),
        "/usr/local/lib/perenne/reload-httpd": File(_text("balancer/reload-httpd.sh"), 0o755),
        "/usr/local/lib/perenne/drain": File(_text("balancer/drain.sh"), 0o755),
        "/usr/local/lib/perenne/undrain": File(_text("balancer/undrain.sh"), 0o755),
    }


def _application_files(render: Callable[[str], str]) -> dict[str, File]:
    return {
        "/etc/perenne/wildfly/configuration.yml": File(render("application/configuration.yml.j2")),
        "/etc/perenne/wildfly/artifacts": File(render("application/artifacts.j2")),
        "/etc/systemd/system/wildfly.service": File(render("application/wildfly.service.j2")),
        "/etc/systemd/system/perenne-gate.service": File(_text("application/perenne-gate.service")),
        "/etc/systemd/system/perenne-split.service": File(render("application/perenne-split.service.j2")),
        "/etc/sysctl.d/60-perenne.conf": File(_text("application/sysctl.conf")),
        "/usr/local/lib/perenne/gate": File(_text("application/gate.sh"), 0o755),
        "/usr/local/lib/perenne/keep-gate": File(_text("application/keep_gate.py"), 0o755),
        "/usr/local/lib/perenne/watch-split": File(_text("application/watch_split.py"), 0o755),
        "/usr/local/lib/perenne/drain": File(_text("application/drain.sh"), 0o755),
        "/usr/local/lib/perenne/undrain": File(_text("application/undrain.sh"), 0o755),
        "/usr/local/share/perenne/modules/org/postgresql/jdbc/main/module.xml": File(_text("application/module.xml")),
    }


def _quorum_files(render: Callable[[str], str], server: Role) -> dict[str, File]:
    # A database server is drained as what it is beside a vote.
    drain = _drain_files("quorum/drain.sh") if server == Role.WITNESS else {}
    return drain | {
        "/etc/default/etcd": File(render("quorum/etcd.env.j2")),
        "/etc/default/etcd-cluster": File(render("quorum/cluster.env.j2")),
        "/usr/local/lib/perenne/etcd-membership": File(_text("quorum/membership.sh"), 0o755),
        "/etc/systemd/system/etcd.service.d/perenne.conf": File(_text("quorum/etcd.conf")),
        "/usr/local/lib/perenne/yield-quorum": File(_text("quorum/yield-quorum.sh"), 0o755),
    }


def _drain_files(script: str) -> dict[str, File]:
    """What takes a server out of use before it is stopped, and back (`./perenne drain`)."""
    return {
        "/usr/local/lib/perenne/drain": File(_text(script), 0o755),
        "/usr/local/lib/perenne/undrain": File(_text("common/undrain.sh"), 0o755),
    }


def _database_files(render: Callable[[str], str]) -> dict[str, File]:
    return _drain_files("database/drain.py") | {
        "/etc/patroni/perenne/10-patroni.yml": File(render("database/patroni.yml.j2")),
        "/etc/patroni/dynamic.json": File(render("database/dynamic.json.j2")),
        "/etc/systemd/system/patroni.service.d/perenne.conf": File(_text("database/patroni.conf")),
        "/etc/modules-load.d/perenne-watchdog.conf": File(_text("database/modules.conf")),
        "/etc/udev/rules.d/60-perenne-watchdog.rules": File(_text("database/watchdog.rules")),
        "/etc/systemd/system/perenne-postmaster.service": File(_text("database/perenne-postmaster.service")),
        "/usr/local/lib/perenne/watch-postmaster": File(_text("database/watch_postmaster.py"), 0o755),
        "/usr/local/share/perenne/patroni.txt": File(_text("database/patroni.txt")),
        "/usr/local/bin/patronictl": File(_text("database/patronictl.py"), 0o755),
        "/usr/local/lib/perenne/start-patroni": File(_text("database/start_patroni.py"), 0o755),
        "/etc/keepalived/keepalived.conf": File(render("database/keepalived.conf.j2")),
        "/etc/systemd/system/keepalived.service.d/perenne.conf": File(_text("common/keepalived.conf")),
        "/usr/local/lib/perenne/check-primary": File(_text("database/check-primary.sh"), 0o755),
    }


def _backup_files(render: Callable[[str], str]) -> dict[str, File]:
    return {
        "/etc/systemd/system/perenne-backup.service": File(_text("backup/perenne-backup.service")),
        "/etc/systemd/system/perenne-backup.timer": File(render("backup/perenne-backup.timer.j2")),
        "/etc/systemd/system/perenne-wal.service": File(_text("backup/perenne-wal.service")),
        "/usr/local/lib/perenne/backup": File(_text("backup/backup.sh"), 0o755),
        "/usr/local/lib/perenne/receive-wal": File(_text("backup/receive-wal.sh"), 0o755),
        "/usr/local/sbin/perenne-restore": File(_text("backup/restore.sh"), 0o755),
    }


_AGENT = "/usr/local/lib/perenne/fencing/agent"


def _fencing_files(settings: Settings, name: str) -> dict[str, File]:
    agent = {
        f"{_AGENT}/{file.name}": File(file.read_text()) for file in sorted((_GUEST / "fencing/agent").glob("*.py"))
    }
    return agent | {
        "/etc/perenne/fencing/configuration.json": File(json.dumps(_fencing_configuration(settings, name), indent=2)),
        "/etc/systemd/system/perenne-fencing.service": File(_text("fencing/perenne-fencing.service")),
        "/usr/local/share/perenne/pyvmomi.txt": File(_text("fencing/pyvmomi.txt")),
    }


def _fencing_configuration(settings: Settings, name: str) -> dict[str, Any]:
    """What the agent on a server is told (components/guest/fencing/agent)."""
    server, _, port = settings.vcenter.server.partition(":")
    others = [f"{vote.address}:2379" for vote_name, vote in settings.quorum.items() if vote_name != name]
    return {
        "name": name,
        "servers": {database: str(one.address) for database, one in settings.servers_of(Role.DATABASE).items()},
        "etcd": ["127.0.0.1:2379", *others],
        "prefix": f"/perenne/{CLUSTER}/",
        "vcenter": {"server": server, "port": int(port or 443), "user": settings.fencing.user},
        "hosts": {
            host: {
                "name": settings.fqdn(host),
                "address": str(described.address),
                "bmc": {
                    "address": str(described.bmc.address),
                    "port": described.bmc.port,
                    "user": described.bmc.user,
                    "thumbprint": described.bmc.thumbprint or "",
                },
            }
            for host, described in settings.hosts.items()
        },
        "patience": {
            "server": settings.fencing.patience_seconds,
            "host": settings.fencing.host_patience_seconds,
            "renewal": settings.database.loop_wait,
        },
    }


def _fencing_secrets(settings: Settings, name: str) -> dict[str, SecretFile]:
    owner = "perenne-fencing:perenne-fencing"
    passwords = {"vcenter": "fencing-password"} | {host: f"bmc-{host}" for host in settings.hosts}
    return {
        "/etc/perenne/fencing/etcd.pem": _verbatim(f"tls-{name}", owner),
        "/etc/perenne/fencing/authorities.pem": _verbatim("fencing-authorities", owner),
        "/etc/perenne/fencing/secrets.json": SecretFile(
            tuple(passwords.values()),
            lambda values: json.dumps({key: values[secret] for key, secret in passwords.items()}),
            0o600,
            owner,
        ),
    }


def _context(settings: Settings, name: str) -> dict[str, Any]:
    """What templates may use: the settings, and what follows from them for server `name`."""
    server = settings.servers[name]
    tier = settings.servers_of(server.role)
    applications = settings.servers_of(Role.APPLICATION)
    databases = settings.servers_of(Role.DATABASE)
    services = [service for service, described in settings.services.items() if described.database]
    return {
        "settings": settings,
        "name": name,
        "server": server,
        "peers": [twin for twin_name, twin in tier.items() if twin_name != name],
        "priority": _HIGHEST_PRIORITY - _PRIORITY_STEP * list(tier).index(name),
        "applications": applications,
        "databases": databases,
        "cluster": CLUSTER,
        "keepers": [settings.servers[keeper] for keeper in settings.backup.servers],
        "response_timeout_seconds": _RESPONSE_TIMEOUT_SECONDS,
        "worker_threads": _WORKER_THREADS,
        "asked_path": next(iter(settings.services.values())).health_path,
        "initial_hosts": ",".join(f"{node.address}[7600]" for node in applications.values()),
        "datasources": {service: _jdbc_url(settings, databases, service) for service in services},
        "pool_size": _pool_size(settings, len(applications) * len(services)),
    }


def _jdbc_url(settings: Settings, databases: Iterable[str], service: str) -> str:
    hosts = ",".join(f"{settings.fqdn(database)}:5432" for database in databases)
    options = "&".join(f"{key}={value}" for key, value in (_JDBC_OPTIONS | {"ApplicationName": service}).items())
    return f"jdbc:postgresql://{hosts}/{service}?{options}"


def _pool_size(settings: Settings, pools: int) -> int:
    """Connections of one pool, such that all pools together leave PostgreSQL the reserved ones."""
    cores = min(server.cpus for server in settings.servers_of(Role.DATABASE).values())
    useful = max(_SMALLEST_POOL, _CONNECTIONS_PER_CORE * cores // max(pools, 1))
    share = (settings.database.max_connections - _RESERVED_CONNECTIONS) // max(pools, 1)
    return max(2, min(useful, share))


def _site_authorities(settings: Settings) -> dict[str, SecretFile]:
    """What servers that ask for the site's own name verify it by."""
    given = (SITE_AUTHORITIES,) if settings.site.certificate is Certificate.GIVEN else ()
    return {"/etc/perenne/tls/site-ca.pem": SecretFile(("tls-authority", *given), keys.site_authorities, 0o644)}


def _verbatim(secret: str, owner: str = "root:root") -> SecretFile:
    return SecretFile((secret,), lambda values: values[secret], 0o600, owner)


def _template(
    template: str, secrets: tuple[str, ...], context: Mapping[str, Any], owner: str = "root:root"
) -> SecretFile:
    return SecretFile(secrets, lambda values: _render(template, {**context, "secret": values}), 0o600, owner)


def _text(path: str) -> str:
    return (_GUEST / path).read_text()


def _render(template: str, context: Mapping[str, Any]) -> str:
    return _ENVIRONMENT.get_template(template).render(context)


def _password_variable(service: str) -> str:
    """The environment variable that holds the password of a service's database role."""
    return f"PERENNE_DATABASE_{service.upper().replace('-', '_')}_PASSWORD"


def _fingerprint(secret: str) -> str:
    """Tells a secret drawn by chance from its successor, and nothing about either: 32 bits of its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_GUEST),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # configuration files, not HTML; the values are checked by blueprint.settings
    )
    environment.filters |= {"fingerprint": _fingerprint, "password_variable": _password_variable, "quote": quote}
    return environment


_ENVIRONMENT = _environment()
