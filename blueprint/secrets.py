"""Which secrets a stack has: their names in the encrypted configuration, what each is for, and how each is rotated.

`./perenne init STACK` makes those that are missing (cli/init.py); the program reads them as secret outputs;
`./perenne rotate` takes new ones into use (blueprint/rotation.py).
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar

from blueprint.mistakes import Mistake
from blueprint.settings import Settings
from blueprint.terms import Certificate, Role

Value = TypeVar("Value")
"""A secret in clear, or what Pulumi hands over in its place."""


class Kind(StrEnum):
    """What form a secret has."""

    PASSWORD = "password"  # noqa: S105  # the name of a form, not a password
    """32 characters from letters and digits."""
    CHAP = "chap"
    """16 characters: some arrays take no more (RFC 7143 asks for at least 12)."""
    SSH_KEY = "ssh-key"
    """A P-256 private key in OpenSSH's format. ESXi's sshd runs in FIPS mode, in which it takes no Ed25519 key."""
    SSH_HOST_KEY = "ssh-host-key"
    """An Ed25519 private key in OpenSSH's format: a server of Debian shows it."""
    CERTIFICATE_AUTHORITY = "certificate-authority"
    """A P-256 key and its self-signed certificate, PEM."""
    AUTHORITIES = "authorities"
    """Certificates of authorities, PEM: what others' certificates are verified with. Not secret, but to be trusted."""
    CERTIFICATE = "certificate"
    """A key and its certificate, PEM: P-256 and of the stack's own authority, or given, with what is between that
    and its root."""


class Way(StrEnum):
    """How a running site gets from a secret's old value to a new one."""

    SWAP = "swap"
    """One deployment puts the new value in the old one's place; nothing that serves needs both at the same time."""
    OVERLAP = "overlap"
    """Both are accepted while servers change over one after the other."""
    IN_PLACE = "in place"
    """A server's own key, by which deployments know it: it is changed on the server before they expect the new one."""
    GIVEN = "given"
    """It belongs to what Perenne does not own: it is changed there, and Perenne is told."""
    COSTLY = "costly"
    """There is no way without a cost to users; it is rotated only when it is named."""


class Stage(StrEnum):
    """What stands before a secret's name while it is rotated: the rotation's only memory."""

    NEXT = "next-"
    """The new value: where both are accepted it is, and nothing uses it yet."""
    PREVIOUS = "previous-"
    """The old value: still accepted, no longer used."""
    RETIRED = "retired-"
    """The old value: the next deployment takes it off every server."""


@dataclass(frozen=True)
class Secret:
    """One secret of a stack.

    `given` secrets belong to what exists before Perenne: `init` asks for them where there is no lab.
    `names` are what a certificate is valid for: DNS names and addresses; a given one may have others besides.
    `is_client_s` says whether a certificate proves a client, too: who has one may write to etcd.
    `touches` is what rotating it does.
    """

    name: str
    kind: Kind
    purpose: str
    given: bool = False
    names: tuple[str, ...] = ()
    is_client_s: bool = False
    way: Way = Way.SWAP
    touches: str = ""


_PREFIXES = (
    "vcenter-",
    "esxi-",
    "chap-",
    "ssh-",
    "tls-",
    "database-",
    "patroni-",
    "jgroups-",
    "fencing-",
    "bmc-",
)
_SECOND_LOGIN = "_b"
SITE_AUTHORITIES = "tls-site-authorities"


def is_secret_name(name: str) -> bool:
    """Whether a configuration key holds a secret, not a setting."""
    return name.startswith((*_PREFIXES, *Stage))


def keys_of(known: Container[str], name: str) -> list[str]:
    """The known keys under which a secret has a value: its name, for the one in use, then those of a rotation."""
    return [key for key in (name, *(f"{stage}{name}" for stage in Stage)) if key in known]


def accepted(values: Mapping[str, Value], name: str) -> list[Value]:
    """The values of a secret that servers accept now, the one in use first."""
    return [values[key] for key in keys_of(values, name) if not key.startswith(Stage.RETIRED)]


def missing(needed: Iterable[Secret], present: Container[str], remedy: str) -> list[Mistake]:
    """A mistake for each needed secret that is not present."""
    absent = (secret for secret in needed if secret.name not in present)
    return [Mistake(one.name, None, f"secret is missing ({one.purpose})", remedy) for one in absent]


def password_of(service: str) -> str:
    """The name of the secret by which a service logs in on its database."""
    return f"database-{service}-password"


def other_login(service: str, login: str) -> str:
    """The role that a service logs in by next: it has two, as PostgreSQL knows one password per role."""
    return service if login != service else service + _SECOND_LOGIN


def secrets_of(settings: Settings) -> Iterator[Secret]:
    """Every secret that the stack needs."""
    yield from _of_equipment(settings)
    login, in_place = (
        "authorized on hosts and servers beside the old one, then used, then the old one goes",
        Way.IN_PLACE,
    )
    yield Secret("ssh-key", Kind.SSH_KEY, "Perenne's login on hosts and servers", way=Way.OVERLAP, touches=login)
    for name in settings.servers:
        touches = f"sshd of {name} reloads"
        yield Secret(f"ssh-host-key-{name}", Kind.SSH_HOST_KEY, f"{name}'s own SSH key", way=in_place, touches=touches)
    yield from _certificates(settings)
    yield from _of_databases(settings)
    touches = "all application servers restart one after the other and forget their sessions"
    purpose = "application servers recognise each other by it"
    yield Secret("jgroups-key", Kind.PASSWORD, purpose, way=Way.COSTLY, touches=touches)


def _of_equipment(settings: Settings) -> Iterator[Secret]:
    def given(name: str, kind: Kind, purpose: str, touches: str) -> Secret:
        return Secret(name, kind, purpose, given=True, way=Way.GIVEN, touches=touches)

    yield given("vcenter-password", Kind.PASSWORD, f"vCenter's {settings.vcenter.user}", "change it in vCenter first")
    yield given("esxi-password", Kind.PASSWORD, "root of the ESXi hosts", "change it on every host first")
    for array in settings.storage:
        touches = f"change it on {array} at the same time; paths that are logged in stay so"
        yield given(f"chap-{array}", Kind.CHAP, f"the hosts prove themselves to array {array}", touches)
        yield given(f"chap-mutual-{array}", Kind.CHAP, f"array {array} proves itself to the hosts", touches)
    if settings.has_fencing:
        account = f"vCenter's {settings.fencing.user}"
        yield given(
            "fencing-password", Kind.PASSWORD, account, "change it in vCenter first; until then nothing is fenced"
        )
        purpose = "certificates of the authorities behind vCenter's and the BMCs' certificates"
        yield given("fencing-authorities", Kind.AUTHORITIES, purpose, "the fencing agents restart")
    for host, described in settings.hosts.items():
        if described.bmc.address:
            purpose = f"{described.bmc.user} at the BMC of {host}"
            yield given(
                f"bmc-{host}", Kind.PASSWORD, purpose, "change it at the BMC first; until then nothing is fenced by it"
            )


def _certificates(settings: Settings) -> Iterator[Secret]:
    yield Secret(
        "tls-authority",
        Kind.CERTIFICATE_AUTHORITY,
        "signs the site's certificates",
        way=Way.OVERLAP,
        touches="trusted beside the old one, signs all certificates, then the old one goes; users need it, too",
    )
    yield from _of_site(settings)
    for name, server in settings.servers.items():
        names = [settings.fqdn(name), name, str(server.address), "localhost", "127.0.0.1"]
        if server.role is Role.DATABASE:
            names.append(str(settings.database.address))
        yield Secret(
            f"tls-{name}",
            Kind.CERTIFICATE,
            f"{name}'s listeners",
            names=tuple(names),
            # Votes, Patroni and the fencing agents; no server that runs users' requests.
            is_client_s=server.role in (Role.DATABASE, Role.WITNESS),
            touches=_TOUCHED_BY_CERTIFICATE[server.role].format(name),
        )


def _of_site(settings: Settings) -> Iterator[Secret]:
    """What users' browsers see, and, where that is given, what Perenne's own checks verify it by."""
    site, reload = settings.site, "balancers reload one after the other"
    certificate = partial(Secret, "tls-site", Kind.CERTIFICATE, touches=reload)
    if site.certificate is Certificate.OWN:
        names = (site.name, str(site.address), "localhost", "127.0.0.1")
        yield certificate("what users' browsers see", names=names)
        return
    purpose = f"private key of {site.name}, its certificate, and those between that and its root"
    yield certificate(purpose, given=True, names=(site.name,), way=Way.GIVEN)
    purpose = f"certificates of the authorities behind the certificate of {site.name}, the root's among them"
    touches = f"trusted beside the old ones, then the old ones go; {reload}"
    yield Secret(SITE_AUTHORITIES, Kind.AUTHORITIES, purpose, given=True, way=Way.OVERLAP, touches=touches)


_TOUCHED_BY_CERTIFICATE = {
    Role.BALANCER: "nothing: {} shows users the site's certificate",
    Role.APPLICATION: "{} restarts; its sessions go on at the others",
    Role.DATABASE: "PostgreSQL and Patroni of {} reload",
    Role.WITNESS: "nothing: etcd of {} reads it for every connection",
    Role.BACKUP: "nothing: no service of {} listens with it",
}


def _of_databases(settings: Settings) -> Iterator[Secret]:
    def password(name: str, purpose: str, touches: str, way: Way = Way.SWAP) -> Secret:
        return Secret(name, Kind.PASSWORD, purpose, way=way, touches=touches)

    reload = "Patroni reloads; connections that are there stay"
    yield password("database-superuser-password", "PostgreSQL's postgres role", reload)
    yield password("database-replication-password", "the standby's role", reload)
    yield password("database-rewind-password", "pg_rewind's role", reload)
    if settings.backup.servers:
        yield password(
            "database-backup-password", "the backups' role", "the WAL's receiver restarts, and misses nothing"
        )
    for service in (name for name, service in settings.services.items() if service.database):
        touches = "a second role is made, application servers restart one after the other, then the first one goes"
        yield password(password_of(service), f"service {service}'s database role", touches, Way.OVERLAP)
    yield password("patroni-api-password", "changes through Patroni's REST interface", "Patroni reloads")
