"""Which secrets a stack has: their names in the encrypted configuration and what each is for.

`./perenne init STACK` makes those that are missing (cli/init.py); the program reads them as secret outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from blueprint.settings import Settings
from blueprint.terms import Role


class Kind(StrEnum):
    """What form a secret has."""

    PASSWORD = "password"  # noqa: S105  # the name of a form, not a password
    """32 characters from letters and digits."""
    CHAP = "chap"
    """16 characters: some arrays take no more (RFC 7143 asks for at least 12)."""
    SSH_KEY = "ssh-key"
    """An Ed25519 private key in OpenSSH's format."""
    CERTIFICATE_AUTHORITY = "certificate-authority"
    """A P-256 key and its self-signed certificate, PEM."""
    AUTHORITIES = "authorities"
    """Certificates of authorities, PEM: what others' certificates are verified with. Not secret, but to be trusted."""
    CERTIFICATE = "certificate"
    """A P-256 key and a certificate of the site's own authority, PEM."""


@dataclass(frozen=True)
class Secret:
    """One secret of a stack.

    `given` secrets belong to equipment that exists before Perenne: `init` asks for them where there is no lab.
    `names` are what a certificate is valid for: DNS names and addresses.
    """

    name: str
    kind: Kind
    purpose: str
    given: bool = False
    names: tuple[str, ...] = ()


_PREFIXES = (
    "vcenter-",
    "esxi-",
    "chap-",
    "ssh-",
    "tls-",
    "database-",
    "patroni-",
    "etcd-",
    "jgroups-",
    "fencing-",
    "bmc-",
)


def is_secret_name(name: str) -> bool:
    """Whether a configuration key holds a secret, not a setting."""
    return name.startswith(_PREFIXES)


def secrets_of(settings: Settings) -> Iterator[Secret]:
    """Every secret that the stack needs."""
    yield Secret("vcenter-password", Kind.PASSWORD, f"vCenter's {settings.vcenter.user}", given=True)
    yield Secret("esxi-password", Kind.PASSWORD, "root of the ESXi hosts", given=True)
    for array in settings.storage:
        yield Secret(f"chap-{array}", Kind.CHAP, f"the hosts prove themselves to array {array}", given=True)
        yield Secret(f"chap-mutual-{array}", Kind.CHAP, f"array {array} proves itself to the hosts", given=True)
    if settings.has_fencing:
        yield Secret("fencing-password", Kind.PASSWORD, f"vCenter's {settings.fencing.user}", given=True)
        purpose = "certificates of the authorities behind vCenter's and the BMCs' certificates"
        yield Secret("fencing-authorities", Kind.AUTHORITIES, purpose, given=True)
    for host, described in settings.hosts.items():
        if described.bmc.address:
            yield Secret(f"bmc-{host}", Kind.PASSWORD, f"{described.bmc.user} at the BMC of {host}", given=True)
    yield Secret("ssh-key", Kind.SSH_KEY, "Perenne's login on hosts and servers")
    for name in settings.servers:
        yield Secret(f"ssh-host-key-{name}", Kind.SSH_KEY, f"{name}'s own SSH key")
    yield Secret("tls-authority", Kind.CERTIFICATE_AUTHORITY, "signs the site's certificates")
    site = (settings.site.name, str(settings.site.address), "localhost", "127.0.0.1")
    yield Secret("tls-site", Kind.CERTIFICATE, "what users' browsers see", names=site)
    for name, server in settings.servers.items():
        names = [settings.fqdn(name), name, str(server.address), "localhost", "127.0.0.1"]
        if server.role is Role.DATABASE:
            names.append(str(settings.database.address))
        yield Secret(f"tls-{name}", Kind.CERTIFICATE, f"{name}'s listeners", names=tuple(names))
    yield Secret("database-superuser-password", Kind.PASSWORD, "PostgreSQL's postgres role")
    yield Secret("database-replication-password", Kind.PASSWORD, "the standby's role")
    yield Secret("database-rewind-password", Kind.PASSWORD, "pg_rewind's role")
    if settings.backup.servers:
        yield Secret("database-backup-password", Kind.PASSWORD, "the backups' role")
    for service in (name for name, service in settings.services.items() if service.database):
        yield Secret(f"database-{service}-password", Kind.PASSWORD, f"service {service}'s database role")
    yield Secret("patroni-api-password", Kind.PASSWORD, "changes through Patroni's REST interface")
    yield Secret("jgroups-key", Kind.PASSWORD, "application servers recognise each other by it")
