# ruff: noqa: D102, ARG002  # stand-ins for documented protocols (protocols.Ears, Quorum, Power, Road)
"""A primary, its host, etcd, vCenter and a BMC, as the fencing agent sees them; time is the event loop's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from components.guest.fencing.agent.etcd import EtcdError, Leader, Lock, Off, View
from components.guest.fencing.agent.lease import Remaining
from components.guest.fencing.agent.protocols import Placement, PowerError

TTL = 20
HOST, BMC_UUID = "psexi04", "4c4c4544-0038-3510-8052-b4c04f4e4b31"
ROUND_TRIP = 0.01


def now() -> float:
    return asyncio.get_running_loop().time()


class Hearing:
    """Silence of a machine that the test keeps silent."""

    def __init__(self, silent_since: "list[float | None]") -> None:
        self._began = now()
        self._silent_since = silent_since

    @property
    def seconds(self) -> float:
        since = self._silent_since[0]
        return 0.0 if since is None else now() - max(since, self._began)


@dataclass
class PretendSite:
    """db01 is the primary on psexi04, db02 the synchronous standby; what the test changes happens from then on."""

    primary_silent: list[float | None] = field(default_factory=lambda: [None])
    host_silent: list[float | None] = field(default_factory=lambda: [None])
    renews: bool = True
    sends_wal: bool = False
    """In spite of its silence."""
    is_paused: bool = False
    able: bool = True
    quorum_answers: bool = True
    vcenter_answers: bool = True
    vcenter_refuses: bool = False
    bmc_answers: bool = True
    bmc_refuses: bool = False
    bmc_uuid: str = BMC_UUID
    server_off: bool = False
    host_off: bool = False
    gives_up: bool = False
    """The primary comes back just before it is powered off, and misses its standby."""
    leader: Leader | None = field(default_factory=lambda: Leader("db01", 7, 4711))
    sync: tuple[str, tuple[str, ...]] = ("db01", ("db02",))
    renewed: float = 0.0
    term: int = 3
    locked: bool = False
    noted_down: list[Off] = field(default_factory=list)
    roads_closed: list[str] = field(default_factory=list)
    closed_at_release: list[str] = field(default_factory=list)
    did: list[tuple[str, float]] = field(default_factory=list)

    def do(self, what: str) -> None:
        self.did.append((what, now()))

    def times(self, what: str) -> list[float]:
        """When something was done."""
        return [when for did, when in self.did if did == what]

    def lose_primary(self, *, off: bool = False) -> None:
        """It stands still: no answer, no renewal."""
        self._renew()
        self.primary_silent[0], self.renews, self.server_off = now(), False, off

    def lose_host(self, *, off: bool = False) -> None:
        """Its host with it: vCenter is no longer connected to that."""
        self.lose_primary()
        self.host_silent[0], self.host_off = now(), off

    def come_back(self) -> None:
        """It goes on."""
        self.primary_silent[0], self.host_silent[0], self.renews = None, None, True

    def elect(self) -> None:
        """Another member leads etcd: every lease begins anew."""
        self._renew()
        self.term += 1
        self.renewed = now() + 1

    def _renew(self) -> None:
        """Patroni renews once a second."""
        if self.renews:
            self.renewed = max(self.renewed, float(int(now())))

    # protocols.Quorum

    async def view(self) -> View:
        sent = now()
        await asyncio.sleep(ROUND_TRIP)
        if not self.quorum_answers:
            raise EtcdError("no quorum")
        self._renew()
        left = int(TTL - (now() - self.renewed))
        remaining = Remaining(sent, now(), self.leader.lease, left, TTL, self.term) if self.leader else None
        return View(self.leader, self.sync[0], self.sync[1], self.is_paused, remaining)

    @asynccontextmanager
    async def lock(self, holder: str) -> AsyncIterator[Lock | None]:
        await asyncio.sleep(ROUND_TRIP)
        if self.locked:
            yield None
            return
        self.locked = True
        yield Lock(99, 100)
        self.locked = False

    async def note(self, lock: Lock, off: Off) -> None:
        self.noted_down.append(off)

    async def release(self, lock: Lock, leader: Leader) -> bool:
        await asyncio.sleep(ROUND_TRIP)
        if leader != self.leader:
            return False
        self.do("release")
        self.closed_at_release = list(self.roads_closed)
        self.leader = None
        return True

    async def noted(self) -> list[Off]:
        return [] if self.locked else list(self.noted_down)

    async def strike(self, off: Off) -> None:
        self.noted_down.remove(off)

    # protocols.Power

    async def placement(self, server: str, *, ready: bool) -> Placement:
        # What has its hands full with a power-off is not asked for anything else.
        assert not (ready and self.locked)
        await asyncio.sleep(ROUND_TRIP)
        if not self.vcenter_answers or self.host_silent[0] is not None:
            raise PowerError("its host is not connected")
        return Placement(f"{HOST}.vmlabs.int", BMC_UUID, self.server_off)

    async def server_off_(self, server: str, seconds: float) -> None:
        if not self.vcenter_answers:
            await asyncio.sleep(seconds)
            raise PowerError("no answer")
        if self.vcenter_refuses:
            raise PowerError("refused")
        await asyncio.sleep(0.2)
        if self.gives_up:
            self.sync = ("db01", ())
        self.do("server off")
        self.server_off = True

    async def server_on(self, server: str, seconds: float) -> None:
        self.do(f"{server} on")
        self.server_off = False

    async def host_state(self, host: str) -> tuple[bool, str]:
        await asyncio.sleep(ROUND_TRIP)
        if not self.bmc_answers:
            raise PowerError("no answer")
        return self.host_off, self.bmc_uuid

    async def host_off_(self, host: str, seconds: float) -> None:
        if not self.bmc_answers or self.bmc_refuses:
            raise PowerError("refused")
        await asyncio.sleep(0.2)
        self.do("host off")
        self.host_off = True
        self.host_silent[0] = now()

    async def host_on(self, host: str, seconds: float) -> None:
        self.do(f"{host} on")

    # protocols.Ears

    def patroni(self, server: str) -> Hearing:
        return Hearing(self.primary_silent)

    def host(self, host: str | None) -> Hearing | None:
        return Hearing(self.host_silent) if host else None

    async def host_answers(self, host: str) -> bool:
        return self.host_silent[0] is None

    async def here(self, path: str) -> bool:
        return self.able and path == ("/primary" if self.leader and self.leader.name == "db02" else "/replica")

    async def streams(self) -> bool:
        await asyncio.sleep(ROUND_TRIP)
        return self.sends_wal

    # protocols.Road

    async def close(self, server: str) -> None:
        self.roads_closed.append(server)

    async def open(self) -> None:
        self.roads_closed.clear()

    def promote(self) -> None:
        """The standby takes over."""
        self.leader = Leader("db02", 8, 4712)
        self.sync = ("db02", ())

    def rename_leader(self) -> None:
        """The primary takes its key anew, as after a restart."""
        if self.leader:
            self.leader = replace(self.leader, revision=self.leader.revision + 1)


class PretendPower:
    """vCenter and BMC of the site."""

    def __init__(self, site: PretendSite) -> None:
        self.placement, self.host_state = site.placement, site.host_state
        self.server_off, self.server_on = site.server_off_, site.server_on
        self.host_off, self.host_on = site.host_off_, site.host_on

    def same_machine(self, first: str, second: str) -> bool:
        return first == second
