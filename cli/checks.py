"""What must be true of a site that is whole: asked from outside, of the site itself."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cli import remote, status
from cli.status import SiteStatus
from cli.vault import Vault
from cli.workspace import Stack

_ANSWER_SECONDS = 10.0
_HOST_SECONDS = 30.0
"""Longer than a person would wait: what is asked here is whether, not how soon."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    found: str
    held: bool


def check_site(stack: Stack) -> list[Check]:
    """Ask users' page, every server and every host; nothing is changed.

    Raises:
        Failure: The stack's secrets can't be read.
    """
    return [
        *_service(stack, status.status(stack, _ANSWER_SECONDS)),
        *asyncio.run(_storage(stack, Vault.open(stack))),
    ]


def check_preview(changes: Callable[[], str]) -> Check:
    """Ask for a preview, which tells what it would change; nothing, after a deployment."""
    left = changes()
    return Check("a second preview changes nothing", left or "no change", held=not left)


def _service(stack: Stack, found: SiteStatus) -> Iterator[Check]:
    settings = stack.settings
    yield Check("the page answers through the virtual address", found.page, held=found.page == "200")
    serving = [answer.name for answer in found.servers if answer.serves]
    silent = [answer.name for answer in found.servers if not answer.serves]
    told = f"{', '.join(silent)} does not" if silent else ", ".join(serving)
    yield Check("every server serves", told, held=not silent)
    yield Check("no server is drained", ", ".join(found.drained) or "none", held=not found.drained)
    pair = f"{found.primary or 'nobody'}, {found.sync_standby or 'nobody'}"
    yield Check("there are a primary and a synchronous standby", pair, held=bool(found.primary and found.sync_standby))
    votes = len(settings.quorum)
    yield Check("every vote of the quorum counts", f"{found.votes} of {votes}", held=found.votes == votes)
    holders = {"site": found.site_address_at, "database": found.database_address_at}
    for name, holder in holders.items():
        yield Check(f"one server holds the {name}'s address", holder or "nobody", held=bool(holder))
    home = found.database_address_at == found.primary
    yield Check("the database's address is at the primary", found.database_address_at or "nobody", held=home)


async def _storage(stack: Stack, vault: Vault) -> list[Check]:
    """Ask every host which LUNs it reaches on how many paths, and which datastores it sees."""
    settings = stack.settings
    hosts = list(settings.hosts)
    question = _question(stack)
    answers = await asyncio.gather(*(remote.said(stack, vault, host, question, _HOST_SECONDS) for host in hosts))
    paths = len(settings.networks.storage)
    expected = {f"{lun.naa} {paths}" for lun in settings.luns.values()}
    volumes = set(settings.luns)
    checks = []
    for host, answer in zip(hosts, answers, strict=True):
        lines = set(answer.splitlines())
        short = expected - lines
        what = f"{host} has {paths} active paths to every LUN of {', '.join(settings.storage)}"
        reached = f"{len(expected)} LUNs" if not short else f"not to {', '.join(one.split()[0] for one in short)}"
        checks.append(Check(what, reached if answer else "no answer", held=not short))
        unseen = volumes - {line.removeprefix("volume ") for line in lines}
        sees = f"{len(volumes)} datastores" if not unseen else f"not {', '.join(sorted(unseen))}"
        checks.append(Check(f"{host} sees every datastore", sees, held=not unseen))
    return checks


def _question(stack: Stack) -> str:
    """A script for an ESXi host (busybox sh): `NAA PATHS` per LUN, `volume NAME` per mounted VMFS volume."""
    luns = " ".join(lun.naa for lun in stack.settings.luns.values())
    count = "$(esxcli storage core path list --device=$naa | grep -c 'State: active')"
    return (
        f"for naa in {luns}; do echo $naa {count}; done; "
        "esxcli storage filesystem list | awk '/VMFS/ { print \"volume\", $2 }'"
    )
