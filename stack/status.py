"""What of a site serves, what leads, and where everything runs: asked of all at once, also while parts are down."""

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from blueprint.keys import authorities, site_authorities
from blueprint.settings import Settings
from blueprint.terms import Role
from lab.status import Status as LabStatus
from machine.failure import Failure
from stack import keys, ssh
from stack.labs import lab_of
from stack.vault import Vault
from stack.workspace import Stack

ANSWER_SECONDS = 2.0
"""How long each question may take; all are asked at the same time."""

PATRONI_PORT = 8008
SYNCHRONOUS = ("sync_standby", "quorum_standby")
"""What Patroni calls a standby that has every acknowledged write."""
_ETCD_PORT = 2379
_WILDFLY_PORT = 8443
GATE = "/usr/local/lib/perenne/gate"
"""On application servers: `gate state` says why it is closed."""


@dataclass
class Answer:
    """What one server says of itself."""

    name: str
    role: Role
    address: str
    host: str
    """Where it runs, as far as anybody knows; else where the stack file wants it."""
    serves: bool = False
    detail: str = ""
    addresses: list[str] = field(default_factory=list)
    """Which virtual addresses it holds."""
    vote: bool | None = None
    """Whether its etcd vote counts; None if it has none."""
    drained: bool = False
    """Whether `./perenne drain` took it out of use; what can't be reached isn't known to be."""


@dataclass
class SiteStatus:
    """The whole site."""

    page: str
    """`200`, or why the page doesn't answer through the virtual address."""
    primary: str | None
    sync_standby: str | None
    site_address_at: str | None
    database_address_at: str | None
    servers: list[Answer]
    votes: int
    votes_needed: int
    lab: LabStatus | None
    to_renew: list[str] = field(default_factory=list)
    """Certificates in the stack file that end soon or no longer fit."""

    @property
    def drained(self) -> list[str]:
        """The servers that were taken out of use on purpose."""
        return [answer.name for answer in self.servers if answer.drained]


def status(stack: Stack, seconds: float = ANSWER_SECONDS) -> SiteStatus:
    """Ask everything that can be asked; each answer may take so many seconds.

    Raises:
        Failure: The stack's secrets can't be read, or its lab is not there.
        StackFileError: The stack file can't be used.
    """
    lab = lab_of(stack).status() if stack.is_lab else None
    if lab and lab.condition == "absent":
        raise Failure("the lab is not up", "there is none on this machine", f"Run {stack.command('up')}.")
    vault = Vault.open(stack)
    found = asyncio.run(_ask_all(stack, vault, trust(vault), lab, seconds))
    return replace(found, to_renew=keys.certificates_to_renew(stack.settings, vault.values))


async def _ask_all(
    stack: Stack, vault: Vault, context: ssl.SSLContext, lab: LabStatus | None, seconds: float
) -> SiteStatus:
    settings = stack.settings
    places = _places(lab)
    answers = {
        name: Answer(name, server.role, str(server.address), places.get(name, server.host))
        for name, server in settings.servers.items()
    }
    async with _client(settings, vault, context, seconds) as client:
        page, cluster, *_ = await asyncio.gather(
            _page(client, settings),
            members_of(client, settings),
            *(_ask(client, stack, vault, answers[name], seconds) for name in settings.servers),
            *(_vote(client, answers[name]) for name in settings.quorum),
            *(_look_inside(stack, vault, answer, seconds) for answer in answers.values()),
            *(_keeps(stack, vault, answer, seconds) for answer in answers.values() if answer.role == Role.BACKUP),
        )
    for member in cluster:
        if answer := answers.get(member["name"]):
            answer.detail = f"{member['role'].replace('_', ' ')}, {member['state']}"
    by_role = {member["role"]: member["name"] for member in cluster}
    votes = sum(bool(answer.vote) for answer in answers.values())
    return SiteStatus(
        page=page,
        primary=by_role.get("leader"),
        sync_standby=next((by_role[role] for role in SYNCHRONOUS if role in by_role), None),
        site_address_at=_holder(answers, str(settings.site.address)),
        database_address_at=_holder(answers, str(settings.database.address)),
        servers=list(answers.values()),
        votes=votes,
        votes_needed=len(settings.quorum) // 2 + 1,
        lab=lab,
    )


def _client(settings: Settings, vault: Vault, context: ssl.SSLContext, seconds: float) -> httpx.AsyncClient:
    """What asks: balancers show the site's certificate, which may be given, all others one of the stack's authority."""
    site = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cadata=site_authorities(vault.values)))
    showing = [settings.site.address, *(one.address for one in settings.servers_of(Role.BALANCER).values())]
    mounts = {f"https://{address}": site for address in showing}
    return httpx.AsyncClient(verify=context, timeout=seconds, trust_env=False, follow_redirects=True, mounts=mounts)


async def _page(client: httpx.AsyncClient, settings: Settings) -> str:
    service = next(iter(settings.services.values()))
    try:
        url = f"https://{settings.site.address}{service.context_path}/"
        answer = await client.get(url, extensions={"sni_hostname": settings.site.name})
    except httpx.HTTPError as error:
        return _why(error)
    return str(answer.status_code)


async def members_of(client: httpx.AsyncClient, settings: Settings) -> list[dict[str, Any]]:
    """Patroni's members, from whichever database server answers first with all of them."""
    for server in settings.servers_of(Role.DATABASE).values():
        try:
            answer = await client.get(f"https://{server.address}:{PATRONI_PORT}/cluster")
            members: list[dict[str, Any]] = answer.raise_for_status().json()["members"]
        except (httpx.HTTPError, ValueError, KeyError):
            continue
        return members
    return []


async def _ask(client: httpx.AsyncClient, stack: Stack, vault: Vault, answer: Answer, seconds: float) -> None:
    """Ask a server's own health; an application server that takes no connections may have its gate closed."""
    settings = stack.settings
    service = next(iter(settings.services.values()))
    paths = {
        Role.BALANCER: "/perenne/health",
        Role.APPLICATION: f":{_WILDFLY_PORT}{service.health_path}",
        Role.DATABASE: f":{PATRONI_PORT}/health",
    }
    path = paths.get(answer.role)
    if path is None:
        return  # a witness serves by its vote, and who keeps backups is asked over SSH
    # A given certificate has the site's name alone.
    extensions = {"sni_hostname": settings.site.name} if answer.role == Role.BALANCER else {}
    try:
        found = await client.get(f"https://{answer.address}{path}", extensions=extensions)
    except httpx.HTTPError as error:
        answer.detail = _why(error)
        if answer.role == Role.APPLICATION and isinstance(error, httpx.ConnectError):
            said = await ssh.said(stack, vault, answer.name, f"{GATE} state", seconds)
            answer.detail = "; ".join(said.splitlines()) if said.strip() not in ("", "open") else answer.detail
        return
    answer.serves = found.is_success
    if not found.is_success:
        answer.detail = f"status {found.status_code}"
    elif answer.role == Role.APPLICATION:
        answer.detail = _database_of(found)


def _database_of(found: httpx.Response) -> str:
    """Which database server an application server uses, where its health says so."""
    try:
        return f"database at {found.json()['primary']}"
    except (ValueError, KeyError, TypeError):
        return ""


async def _vote(client: httpx.AsyncClient, answer: Answer) -> None:
    try:
        found = await client.get(f"https://{answer.address}:{_ETCD_PORT}/health")
        answer.vote = str(found.json().get("health")) == "true"
    except (httpx.HTTPError, ValueError):
        answer.vote = False
    if answer.role == Role.WITNESS:
        answer.serves = answer.vote


@dataclass(frozen=True)
class Asked:
    """What servers say when they are asked whether they are drained."""

    drained: list[str]
    """Those that are out of use on purpose."""
    silent: list[str]
    """Those that don't answer, so that it isn't known."""


def ask_drained(stack: Stack, seconds: float = ANSWER_SECONDS) -> Asked:
    """Ask every server whether it is out of use on purpose.

    Raises:
        StackFileError: The stack file or its secrets can't be used.
    """
    vault = Vault.open(stack)
    answers = [Answer(name, one.role, str(one.address), one.host) for name, one in stack.settings.servers.items()]

    async def ask() -> list[bool]:
        return await asyncio.gather(*(_look_inside(stack, vault, answer, seconds) for answer in answers))

    told = asyncio.run(ask())
    silent = [answer.name for answer, answered in zip(answers, told, strict=True) if not answered]
    return Asked([answer.name for answer in answers if answer.drained], silent)


DRAINED_MARK = "/var/lib/perenne/drained"
"""The file that a server has while it is out of use on purpose."""

_INSIDE = f"ip -4 -oneline address show scope global\nif [ -e {DRAINED_MARK} ]; then echo drained; fi\n"
"""What a server says of itself over SSH: a line per address, and whether it is drained."""


async def _look_inside(stack: Stack, vault: Vault, answer: Answer, seconds: float) -> bool:
    """Ask a server over SSH which virtual addresses it has, and whether it was taken out of use; False: no answer."""
    lines = (await ssh.said(stack, vault, answer.name, _INSIDE, seconds)).splitlines()
    answer.drained = "drained" in lines
    held = {line.split()[3].split("/")[0] for line in lines if line != "drained"}
    virtual = [str(stack.settings.site.address), str(stack.settings.database.address)]
    answer.addresses = [address for address in virtual if address in held]
    return bool(lines)


async def _keeps(stack: Stack, vault: Vault, answer: Answer, seconds: float) -> None:
    """Ask a server over SSH whether it receives the database's WAL, and when it made its last base backup."""
    question = (
        "systemctl is-active perenne-wal.service perenne-backup.timer || true; "
        "find /var/lib/perenne-backup/base -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\\n' | sort | tail -1"
    )
    told = (await ssh.said(stack, vault, answer.name, question, seconds)).split()
    made = told[2:]
    answer.serves = told[:2] == ["active", "active"] and bool(made)
    answer.detail = f"last base backup {made[0]}" if made else "no base backup" if told else "no answer"


def _holder(answers: dict[str, Answer], address: str) -> str | None:
    return next((answer.name for answer in answers.values() if address in answer.addresses), None)


def _places(lab: LabStatus | None) -> dict[str, str]:
    vms = lab.vcenter.vms if lab and lab.vcenter else ()
    return {vm.name: vm.host.partition(".")[0] for vm in vms if not vm.template}


def _why(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer"
    if isinstance(error, httpx.ConnectError) and "certificate" not in str(error).lower():
        return "no connection"
    return str(error) or type(error).__name__


def trust(vault: Vault) -> ssl.SSLContext:
    """Trust the site's authority, and prove ourselves to etcd with the certificate of a server."""
    context = ssl.create_default_context(cadata=authorities(vault.values))
    shown = (vault.values.get(f"tls-{name}") for name in vault.stack.settings.quorum)
    if own := next(filter(None, shown), None):
        keys.present(context, own)
    return context
