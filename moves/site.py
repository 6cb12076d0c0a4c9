"""Where a move is made, and whether redundancy allows it."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from blueprint.settings import Settings
from machine.failure import Failure
from moves.hands import Hands
from moves.standing import Standing, in_maintenance, standing, too_close
from moves.vcenter import HostState, VCenter
from moves.waiting import WHOLE_SECONDS, until_steady
from stack.workspace import Stack

SETTLE_SECONDS = 30.0
"""How long one that ought to be whole may take to be seen so: what was just done settles within seconds."""


@dataclass(frozen=True)
class Site:
    """A stack, and what moves need to act on it."""

    stack: Stack
    hands: Hands
    vcenter: VCenter
    say: Callable[[str], None]
    """Takes a line about what goes on."""

    @property
    def settings(self) -> Settings:
        """The stack's settings."""
        return self.stack.settings


@dataclass(frozen=True)
class Look:
    """The site at one moment, hosts as vCenter sees them included."""

    standing: Standing
    hosts: Sequence[HostState]

    @property
    def drained(self) -> list[str]:
        """Servers and hosts that are out of use on purpose."""
        return [*self.standing.site.drained, *(host.name for host in self.hosts if host.in_maintenance)]

    def missing(self, away: Collection[str] = ()) -> list[str]:
        """What keeps the site from full redundancy, by its servers and vCenter, beside what is meant to be `away`."""
        found = [*self.standing.missing(away), *self._missing_hosts(away)]
        return list(dict.fromkeys(found))

    def host_of(self, server: str) -> str:
        """The host on which a server runs, by vCenter.

        Raises:
            Failure: It runs on none.
        """
        for host in self.hosts:
            if server in host.runs:
                return host.name
        raise Failure(
            f"{server} runs nowhere", "vCenter has it on no host", f"Look at {self.standing.stack.command('status')}."
        )

    def _missing_hosts(self, away: Collection[str]) -> Iterator[str]:
        settings = self.standing.settings
        states = {host.name: host for host in self.hosts}
        for name in settings.hosts:
            if name in away:
                continue
            if name not in states or not states[name].connected:
                yield f"{name} is not connected to vCenter"
            elif states[name].in_maintenance:
                yield in_maintenance(name)
        places = {server: host.name for host in self.hosts for server in host.runs}
        yield from too_close(settings, places, away)


async def look(site: Site) -> Look:
    """Ask servers and vCenter.

    Raises:
        Failure: The stack's secrets can't be read, its lab is not there, or vCenter does not answer.
    """
    found, hosts = await asyncio.gather(standing(site.stack), site.vcenter.hosts())
    return Look(found, hosts)


async def until_whole(site: Site, *, away: Collection[str] = (), seconds: float = WHOLE_SECONDS) -> Look:
    """Wait until nothing is missing but what is `away`, and stays so; after so many seconds return how it stands."""
    return (await until_steady(lambda: look(site), away, seconds=seconds))[1]


async def allow(site: Site, node: str, tied: Collection[str] = ()) -> Look:
    """Check that a node may be taken out of use now: the site is whole, and nothing else is drained.

    Args:
        site: The site.
        node: A server or a host.
        tied: Servers that go out of use with it.

    Raises:
        Failure: It may not.
    """
    what = f"{node} can't be drained now"
    away = (node, *tied)
    found = await look(site)
    if other := next((name for name in found.drained if name not in away), None):
        why = f"{other} is drained: with both away, one failure would be an outage"
        raise Failure(what, why, f"First: {site.stack.command('undrain', other)}")
    found = await until_whole(site, away=away, seconds=SETTLE_SECONDS)
    if missing := found.missing(away):
        remedy = f"Nothing was changed. Mend it first: {site.stack.command('status')}"
        raise Failure(what, f"the site is not whole: {'; '.join(missing)}", remedy)
    return found


def clock() -> float:
    """The time on the clock of what waits, in seconds."""
    return asyncio.get_running_loop().time()
