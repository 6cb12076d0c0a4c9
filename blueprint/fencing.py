"""The fencing agent's files on a database server: its program, what it is told, and its secrets."""

import json
from typing import Any

from blueprint.guest_files import SOURCES, File, SecretFile, text, verbatim
from blueprint.settings import Settings
from blueprint.terms import Role

_AGENT = "/usr/local/lib/perenne/fencing/agent"


def files(settings: Settings, name: str, cluster: str) -> dict[str, File]:
    """Those that hold no secret, by path; `cluster` is Patroni's scope."""
    agent = {
        f"{_AGENT}/{file.name}": File(file.read_text()) for file in sorted((SOURCES / "fencing/agent").glob("*.py"))
    }
    return agent | {
        "/etc/perenne/fencing/configuration.json": File(json.dumps(_configuration(settings, name, cluster), indent=2)),
        "/etc/systemd/system/perenne-fencing.service": File(text("fencing/perenne-fencing.service")),
        "/usr/local/share/perenne/pyvmomi.txt": File(text("fencing/pyvmomi.txt")),
    }


def _configuration(settings: Settings, name: str, cluster: str) -> dict[str, Any]:
    """What the agent on a server is told (components/guest/fencing/agent)."""
    server, _, port = settings.vcenter.server.partition(":")
    others = [f"{vote.address}:2379" for vote_name, vote in settings.quorum.items() if vote_name != name]
    return {
        "name": name,
        "servers": {database: str(one.address) for database, one in settings.servers_of(Role.DATABASE).items()},
        "etcd": ["127.0.0.1:2379", *others],
        "prefix": f"/perenne/{cluster}/",
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


def secret_files(settings: Settings, name: str) -> dict[str, SecretFile]:
    """Those that are made from secrets, by path."""
    owner = "perenne-fencing:perenne-fencing"
    passwords = {"vcenter": "fencing-password"} | {host: f"bmc-{host}" for host in settings.hosts}
    return {
        "/etc/perenne/fencing/etcd.pem": verbatim(f"tls-{name}", owner),
        "/etc/perenne/fencing/authorities.pem": verbatim("fencing-authorities", owner),
        "/etc/perenne/fencing/secrets.json": SecretFile(
            tuple(passwords.values()),
            lambda values: json.dumps({key: values[secret] for key, secret in passwords.items()}),
            0o600,
            owner,
        ),
    }
