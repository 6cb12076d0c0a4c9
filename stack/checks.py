"""What must be true of a site that is whole: asked from outside, of the site itself.

Whether servers answer as they should is the same question for all (`check_answers`); three add what only they look at:

- `check_site`, after a deployment and between a rotation's steps: the storage that every host reaches;
- `moves.standing.Standing.missing`, every two seconds of a drill: where servers run, and the lab's vCenter;
- `moves.site.Look.missing`, before and after a drain: all of that, and the hosts as vCenter sees them.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from blueprint.settings import Settings
from blueprint.terms import Role
from stack import ssh, status
from stack.status import SiteStatus
from stack.vault import Vault
from stack.workspace import Stack

_ANSWER_SECONDS = 10.0
_HOST_SECONDS = 30.0
"""Longer than a person would wait: what is asked here is whether, not how soon."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    """What must hold."""
    there: str
    """What there is, where it holds."""
    missing: tuple[str, ...] = ()
    """What keeps it from holding."""

    @property
    def held(self) -> bool:
        """Whether it holds."""
        return not self.missing

    @property
    def found(self) -> str:
        """What there is, or what is missing."""
        return "; ".join(self.missing) or self.there


def check_site(stack: Stack) -> list[Check]:
    """Ask users' page, every server and every host; nothing is changed.

    Raises:
        Failure: The stack's secrets can't be read.
    """
    return [
        *check_answers(stack.settings, status.status(stack, _ANSWER_SECONDS)),
        *asyncio.run(_storage(stack, Vault.open(stack))),
    ]


def check_preview(changes: Callable[[], str]) -> Check:
    """Ask for a preview, which tells what it would change; nothing, after a deployment."""
    left = changes()
    return Check("a second preview changes nothing", "no change", (left,) if left else ())


def check_answers(settings: Settings, found: SiteStatus, away: Collection[str] = ()) -> Iterator[Check]:
    """Judge what the page and the servers have answered.

    Args:
        settings: The stack's settings.
        found: The answers.
        away: Servers that are meant to be out of use, and so aren't missing.
    """
    here = [answer for answer in found.servers if answer.name not in away]
    drained = [answer.name for answer in here if answer.drained]
    yield Check("no server is drained", "none", tuple(f"{name} is drained" for name in drained))
    page = () if found.page == "200" else (f"the page does not answer ({found.page})",)
    yield Check("the page answers through the virtual address", found.page, page)
    # What a drained server does not do was taken from it.
    silent = [answer.name for answer in here if not answer.serves and not answer.drained]
    serving = ", ".join(answer.name for answer in here if answer.serves)
    yield Check("every server serves", serving, tuple(f"{name} does not serve" for name in silent))
    yield _check_database(found)
    yield _check_votes(settings, found, away)
    yield _check_address("site", str(settings.site.address), Role.BALANCER, found)
    yield _check_address("database", str(settings.database.address), Role.DATABASE, found)
    yield _check_home(found)


def _check_database(found: SiteStatus) -> Check:
    spared = any(answer.drained and answer.role == Role.DATABASE for answer in found.servers)
    missing = (
        *([] if found.primary else ["the database has no primary"]),
        *([] if found.sync_standby or spared else ["the database has no synchronous standby"]),
    )
    pair = f"{found.primary}, {found.sync_standby or 'nobody'}"
    return Check("there are a primary and a synchronous standby", pair, missing)


def _check_votes(settings: Settings, found: SiteStatus, away: Collection[str]) -> Check:
    every = len(settings.quorum)
    spared = [one for one in found.servers if one.name in settings.quorum and one.name in away and not one.vote]
    counted = f"{found.votes} of {every}"
    missing = (f"etcd has {counted} votes",) if found.votes < every - len(spared) else ()
    return Check("every vote of the quorum counts", counted, missing)


def _check_address(name: str, address: str, role: Role, found: SiteStatus) -> Check:
    holders = [answer.name for answer in found.servers if answer.role == role and address in answer.addresses]
    who = " and ".join(holders) or "nobody"
    missing = () if len(holders) == 1 else (f"the {name}'s address is held by {who}",)
    return Check(f"one server holds the {name}'s address", who, missing)


def _check_home(found: SiteStatus) -> Check:
    place = found.database_address_at or "nobody"
    at_home = found.primary is not None and place == found.primary
    missing = () if at_home else (f"the database's address is at {place}, the primary is {found.primary}",)
    return Check("the database's address is at the primary", place, missing)


async def _storage(stack: Stack, vault: Vault) -> list[Check]:
    """Ask every host which LUNs it reaches on how many paths, and which datastores it sees."""
    settings = stack.settings
    hosts = list(settings.hosts)
    question = _question(stack)
    answers = await asyncio.gather(*(ssh.said(stack, vault, host, question, _HOST_SECONDS) for host in hosts))
    paths = len(settings.networks.storage)
    expected = {f"{lun.naa} {paths}" for lun in settings.luns.values()}
    volumes = set(settings.luns)
    checks = []
    for host, answer in zip(hosts, answers, strict=True):
        lines = set(answer.splitlines())
        short = sorted(one.split()[0] for one in expected - lines)
        lacking = (f"not to {', '.join(short)}" if answer else "no answer",) if short else ()
        what = f"{host} has {paths} active paths to every LUN of {', '.join(settings.storage)}"
        checks.append(Check(what, f"{len(expected)} LUNs", lacking))
        unseen = sorted(volumes - {line.removeprefix("volume ") for line in lines})
        lacking = (f"not {', '.join(unseen)}",) if unseen else ()
        checks.append(Check(f"{host} sees every datastore", f"{len(volumes)} datastores", lacking))
    return checks


def _question(stack: Stack) -> str:
    """A script for an ESXi host (busybox sh): `NAA PATHS` per LUN, `volume NAME` per mounted VMFS volume."""
    luns = " ".join(lun.naa for lun in stack.settings.luns.values())
    count = "$(esxcli storage core path list --device=$naa | grep -c 'State: active')"
    return (
        f"for naa in {luns}; do echo $naa {count}; done; "
        "esxcli storage filesystem list | awk '/VMFS/ { print \"volume\", $2 }'"
    )
