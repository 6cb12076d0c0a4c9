"""What is put on a server, per role: files, and the script that puts them into service.

Over SSH a server gets one script per role, in clear, and on standard input one JSON document with all the role's files,
secrets included (`bundle`).
"""

import json
from collections.abc import Callable, Container, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from blueprint import fencing, keys
from blueprint.cloud_init import INTERFACE
from blueprint.guest_files import SOURCES, File, SecretFile, render, template, text, verbatim
from blueprint.hosts_file import hosts_file
from blueprint.pools import jdbc_url, pool_size
from blueprint.secrets import SITE_AUTHORITIES, keys_of, password_of
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


CLUSTER = "perenne"
"""Patroni's scope: the name of the PostgreSQL cluster."""

_RESPONSE_TIMEOUT_SECONDS = 15
"""How long a balancer waits for a node's answer: longer than the one statement that `socketTimeout` allows."""

_WORKER_THREADS = 384
"""Requests that one node of WildFly has in progress; more wait for a thread."""

_HIGHEST_PRIORITY = 254
"""Of keepalived's first server; 255 is for a router that owns the address. The nearer to 256, the less a backup waits
beyond the three intervals (RFC 9568, 6.1: the skew), 2 ms of an interval of 0.2 s."""
_PRIORITY_STEP = 10
"""To the next one, so that two backups don't take the address within one round trip: 8 ms of an interval of 0.2 s."""


def script(role: GuestRole) -> str:
    """The shell text that puts `role` into service, and changes nothing where that is already so (bash, as root)."""
    installer = (SOURCES / "install.py").read_text()
    parts = [
        "#!/bin/bash\n# shellcheck disable=SC2154  # set by the role's env file\nset -euo pipefail\n",
        f"role={role}\ninstaller=$(cat <<'END_OF_INSTALLER'\n{installer}END_OF_INSTALLER\n)\n",
        (SOURCES / "common.sh").read_text(),
        (SOURCES / role / "apply.sh").read_text(),
    ]
    return "\n".join(parts)


def files(settings: Settings, name: str, role: GuestRole, checksums: Mapping[str, str]) -> dict[str, File]:
    """The files of `role` on server `name` that hold no secret, by path; `checksums` are the services' SHA-256."""
    # What comes beside another role leaves the common files to that one.
    alone = settings.servers[name].role is Role.BACKUP
    beside = role in (GuestRole.DATABASE, GuestRole.FENCING) or (role is GuestRole.BACKUP and not alone)
    common = {} if beside else _common_files(settings)
    rendered = partial(render, context=_context(settings, name) | {"checksums": checksums})
    match role:
        case GuestRole.BALANCER:
            own = _balancer_files(rendered)
        case GuestRole.APPLICATION:
            own = _application_files(rendered)
        case GuestRole.QUORUM:
            own = _quorum_files(rendered, settings.servers[name].role)
        case GuestRole.DATABASE:
            own = _database_files(rendered)
        case GuestRole.BACKUP:
            own = _backup_files(rendered) | (_drain_files("backup/drain.sh") if alone else {})
        case GuestRole.FENCING:
            own = fencing.files(settings, name, CLUSTER)
    return common | {f"/etc/perenne/{role}.env": File(rendered(f"{role}/env.j2"))} | own


def secret_files(settings: Settings, name: str, role: GuestRole) -> dict[str, SecretFile]:
    """The files of `role` on server `name` that are made from secrets, by path."""
    # Only its certificate leaves the machine that runs Pulumi, never the key that signs the others.
    authority = SecretFile(("tls-authority",), keys.authorities, 0o644)
    login = SecretFile(("ssh-key",), keys.authorized_keys)
    context = _context(settings, name)
    match role:
        case GuestRole.BALANCER:
            own = {"/etc/perenne/tls/site.pem": verbatim("tls-site"), **_site_authorities(settings)}
        case GuestRole.APPLICATION:
            passwords = tuple(password_of(service) for service in context["datasources"])
            own = {
                **_site_authorities(settings),
                "/etc/perenne/tls/server.pem": verbatim(f"tls-{name}"),
                "/etc/perenne/wildfly/environment": template(
                    "application/environment.j2", ("jgroups-key", *passwords), context
                ),
            }
        case GuestRole.QUORUM:
            own = {"/etc/perenne/tls/etcd.pem": verbatim(f"tls-{name}", "etcd:etcd")}
        case GuestRole.DATABASE:
            roles = tuple(f"database-{user}-password" for user in ("superuser", "replication", "rewind"))
            secrets = ("patroni-api-password", *roles)
            owner = "postgres:postgres"
            # The authority's certificate came with the quorum role.
            return {
                "/etc/perenne/tls/postgres.pem": verbatim(f"tls-{name}", owner),
                "/etc/patroni/perenne/20-secrets.yml": template("database/secrets.yml.j2", secrets, context, owner),
                "/etc/patroni/passwords.sql": template("database/passwords.sql.j2", roles, context, owner),
                "/etc/patroni/passwords": template("database/pgpass.j2", roles, context),
            }
        case GuestRole.BACKUP:
            needed, owner = ("database-backup-password",), "perenne-backup:perenne-backup"
            own = {"/etc/perenne/backup.pgpass": template("backup/pgpass.j2", needed, context, owner)}
            # Beside another role logins and the authority's certificate came with that one.
            if settings.servers[name].role is not Role.BACKUP:
                return own
        case GuestRole.FENCING:
            return fencing.secret_files(settings, name)
    return {"/etc/perenne/tls/ca.pem": authority, "/root/.ssh/authorized_keys": login} | own


def secret_names(needed: Mapping[str, SecretFile], known: Container[str]) -> set[str]:
    """The names of all secrets that these files are made from, with those `known` of them in stages of a rotation."""
    names = {name for file in needed.values() for name in file.secrets}
    return names.union(*(keys_of(known, name) for name in names))


def bundle(plain: Mapping[str, File], secret: Mapping[str, SecretFile], values: Mapping[str, str]) -> str:
    """The JSON text that the script of a role reads on standard input: every file with its content, mode and owner."""
    made = {path: File(file.render(values), file.mode, file.owner) for path, file in secret.items()}
    everything = {path: vars(file) for path, file in sorted((dict(plain) | made).items())}
    return json.dumps(everything, indent=0)


def _common_files(settings: Settings) -> dict[str, File]:
    """What every server has, whatever it does."""
    context = {"settings": settings}
    administrators = "".join(f"{key}\n" for key in settings.administrators)
    common = {
        "/etc/apt/apt.conf.d/99perenne": File(text("common/apt.conf")),
        "/etc/hosts": File(hosts_file(settings)),
        "/etc/ssh/sshd_config.d/perenne.conf": File(text("common/sshd.conf")),
        "/etc/ssh/perenne_administrators": File(administrators),
        "/etc/systemd/journald.conf.d/perenne.conf": File(text("common/journald.conf")),
        f"/etc/systemd/network/10-netplan-{INTERFACE}.network.d/perenne.conf": File(text("common/networkd.conf")),
    }
    if settings.ntp:
        common["/etc/chrony/chrony.conf"] = File(render("common/chrony.conf.j2", context))
    return common


def _balancer_files(rendered: Callable[[str], str]) -> dict[str, File]:
    return {
        "/etc/apache2/apache2.conf": File(rendered("balancer/apache2.conf.j2")),
        "/etc/systemd/system/apache2.service.d/perenne.conf": File(text("balancer/httpd.conf")),
        "/etc/keepalived/keepalived.conf": File(rendered("balancer/keepalived.conf.j2")),
        "/etc/systemd/system/keepalived.service.d/perenne.conf": File(text("common/keepalived.conf")),
        "/etc/systemd/system/perenne-hand-over.service": File(text("balancer/perenne-hand-over.service")),
        "/etc/tmpfiles.d/perenne.conf": File(text("balancer/tmpfiles.conf")),
        "/etc/logrotate.d/apache2": File(text("balancer/logrotate.conf")),
        "/etc/systemd/system/logrotate.timer.d/perenne.conf": File(text("balancer/logrotate-hourly.conf")),
        "/usr/local/lib/perenne/check-httpd": File(text("balancer/check-httpd.sh"), 0o755),
        "/usr/local/lib/perenne/hand-over": File(text("balancer/hand_over.py"), 0o755),
        "/usr/local/lib/perenne/reload-httpd": File(text("balancer/reload-httpd.sh"), 0o755),
        "/usr/local/lib/perenne/drain": File(text("balancer/drain.sh"), 0o755),
        "/usr/local/lib/perenne/undrain": File(text("balancer/undrain.sh"), 0o755),
    }


def _application_files(rendered: Callable[[str], str]) -> dict[str, File]:
    return {
        "/etc/perenne/wildfly/configuration.yml": File(rendered("application/configuration.yml.j2")),
        "/etc/perenne/wildfly/artifacts": File(rendered("application/artifacts.j2")),
        "/etc/systemd/system/wildfly.service": File(rendered("application/wildfly.service.j2")),
        "/etc/systemd/system/perenne-gate.service": File(text("application/perenne-gate.service")),
        "/etc/systemd/system/perenne-split.service": File(rendered("application/perenne-split.service.j2")),
        "/etc/sysctl.d/60-perenne.conf": File(text("application/sysctl.conf")),
        "/etc/sysctl.d/60-perenne-neighbours.conf": File(text("common/neighbours.conf")),
        "/usr/local/lib/perenne/gate": File(text("application/gate.sh"), 0o755),
        "/usr/local/lib/perenne/keep-gate": File(text("application/keep_gate.py"), 0o755),
        "/usr/local/lib/perenne/watch-split": File(text("application/watch_split.py"), 0o755),
        "/usr/local/lib/perenne/drain": File(text("application/drain.sh"), 0o755),
        "/usr/local/lib/perenne/undrain": File(text("application/undrain.sh"), 0o755),
        "/usr/local/share/perenne/modules/org/postgresql/jdbc/main/module.xml": File(text("application/module.xml")),
    }


def _quorum_files(rendered: Callable[[str], str], server: Role) -> dict[str, File]:
    # A database server is drained as what it is beside a vote.
    drain = _drain_files("quorum/drain.sh") if server == Role.WITNESS else {}
    return drain | {
        "/etc/default/etcd": File(rendered("quorum/etcd.env.j2")),
        "/etc/default/etcd-cluster": File(rendered("quorum/cluster.env.j2")),
        "/usr/local/lib/perenne/etcd-membership": File(text("quorum/membership.sh"), 0o755),
        "/etc/systemd/system/etcd.service.d/perenne.conf": File(text("quorum/etcd.conf")),
        "/usr/local/lib/perenne/yield-quorum": File(text("quorum/yield-quorum.sh"), 0o755),
    }


def _drain_files(script: str) -> dict[str, File]:
    """What takes a server out of use before it is stopped, and back (`./perenne drain`)."""
    return {
        "/usr/local/lib/perenne/drain": File(text(script), 0o755),
        "/usr/local/lib/perenne/undrain": File(text("common/undrain.sh"), 0o755),
    }


def _database_files(rendered: Callable[[str], str]) -> dict[str, File]:
    return _drain_files("database/drain.py") | {
        "/etc/sysctl.d/60-perenne-neighbours.conf": File(text("common/neighbours.conf")),
        "/etc/patroni/perenne/10-patroni.yml": File(rendered("database/patroni.yml.j2")),
        "/etc/patroni/dynamic.json": File(rendered("database/dynamic.json.j2")),
        "/etc/systemd/system/patroni.service.d/perenne.conf": File(text("database/patroni.conf")),
        "/etc/modules-load.d/perenne-watchdog.conf": File(text("database/modules.conf")),
        "/etc/udev/rules.d/60-perenne-watchdog.rules": File(text("database/watchdog.rules")),
        "/etc/systemd/system/perenne-postmaster.service": File(text("database/perenne-postmaster.service")),
        "/usr/local/lib/perenne/watch-postmaster": File(text("database/watch_postmaster.py"), 0o755),
        "/usr/local/share/perenne/patroni.txt": File(text("database/patroni.txt")),
        "/usr/local/bin/patronictl": File(text("database/patronictl.py"), 0o755),
        "/usr/local/lib/perenne/start-patroni": File(text("database/start_patroni.py"), 0o755),
        "/etc/keepalived/keepalived.conf": File(rendered("database/keepalived.conf.j2")),
        "/etc/systemd/system/keepalived.service.d/perenne.conf": File(text("common/keepalived.conf")),
        "/usr/local/lib/perenne/check-primary": File(text("database/check-primary.sh"), 0o755),
    }


def _backup_files(rendered: Callable[[str], str]) -> dict[str, File]:
    return {
        "/etc/systemd/system/perenne-backup.service": File(text("backup/perenne-backup.service")),
        "/etc/systemd/system/perenne-backup.timer": File(rendered("backup/perenne-backup.timer.j2")),
        "/etc/systemd/system/perenne-wal.service": File(text("backup/perenne-wal.service")),
        "/usr/local/lib/perenne/backup": File(text("backup/backup.sh"), 0o755),
        "/usr/local/lib/perenne/receive-wal": File(text("backup/receive-wal.sh"), 0o755),
        "/usr/local/sbin/perenne-restore": File(text("backup/restore.sh"), 0o755),
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
        "datasources": {service: jdbc_url(settings, databases, service) for service in services},
        "pool_size": pool_size(settings, len(applications) * len(services)),
    }


def _site_authorities(settings: Settings) -> dict[str, SecretFile]:
    """What servers that ask for the site's own name verify it by."""
    given = (SITE_AUTHORITIES,) if settings.site.certificate is Certificate.GIVEN else ()
    return {"/etc/perenne/tls/site-ca.pem": SecretFile(("tls-authority", *given), keys.site_authorities, 0o644)}
