"""Watches the primary, and sees to it that a lost one is off before its leader key goes.

Only the agent on the synchronous standby acts. Whatever goes wrong leaves things as they are without an agent: the lost
primary's lease runs out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from .etcd import EtcdError, Leader, Lock, Off, View
from .judgement import KNOWN_SECONDS, Patience, Signs, Verdict, judge
from .lease import LeaseClock
from .protocols import Placement, PowerError, Silence, Tools

CALM_SECONDS = 0.5
ALERT_PERIOD_SECONDS = 0.1
ALERT_SECONDS = 0.5
"""A primary that has been silent for so long is looked at closely: its server in vCenter, its host, the host's BMC."""
PLACEMENT_SECONDS = 2.0
"""Between two looks at where the primary runs; they keep the session at vCenter alive, too."""
BMC_SECONDS = 30.0
"""Between two looks whether the BMC answers, and is that of the host."""
WAKING_SECONDS = 2.0
"""By so much longer a primary is waited for that sends its WAL to this server. After it had stood still for 5 s, on a
busy machine, PostgreSQL was there again, and Patroni not yet (262nd drill of the series). One that really is silent
sends none by then (wal_receiver_timeout: 3 s); one whose Patroni hangs is off long before its lease ends."""
RETRY_SECONDS = 3.0
RESTORE_SECONDS = 2.0

SERVER_OFF_SECONDS = 3.0
"""vCenter takes some tenths of a second; one that needs longer is taken for lost with the host."""
HOST_OFF_SECONDS = 8.0
POWER_ON_SECONDS = 60.0
BLOCK_SECONDS = 5.0
"""How long the way to a dead primary is closed at most: Patroni's question to it ends at once then, not after 2 s."""

log = logging.getLogger("fencing")


class Agent:
    """The agent of one database server, `name`."""

    def __init__(self, name: str, hosts: Mapping[str, str], patience: Patience, tools: Tools) -> None:
        """Take what it works with.

        Args:
            name: This server's own.
            hosts: The ESXi hosts' short names by their names in vCenter.
            patience: How long to wait.
            tools: What it hears with, and acts with.
        """
        self._name = name
        self._hosts = hosts
        self._patience = patience
        self._ears, self._quorum, self._power, self._road = tools.ears, tools.quorum, tools.power, tools.road
        self._lease = LeaseClock()
        self._view: View | None = None
        self._viewed = 0.0
        self._primary: str | None = None
        self._patroni: Silence | None = None
        self._host: Silence | None = None
        self._placement: Placement | None = None
        self._placed = float("-inf")
        self._observed_off = False
        self._longest_silence = 0.0
        self._bmc_fits: dict[str, bool] = {}
        self._bmc_asked = float("-inf")
        self._able = False
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        """Watch and act, for ever."""
        await self._road.open()
        async with asyncio.TaskGroup() as tasks:
            for watch, calm, alert in (
                (self._look_at_quorum, CALM_SECONDS, ALERT_PERIOD_SECONDS),
                (self._look_at_server, PLACEMENT_SECONDS, ALERT_PERIOD_SECONDS),
                (self._look_at_bmc, PLACEMENT_SECONDS, ALERT_PERIOD_SECONDS),
                (self._look_at_self, 1.0, 1.0),
                (self._decide, ALERT_PERIOD_SECONDS, ALERT_PERIOD_SECONDS),
                (self._restore, RESTORE_SECONDS, RESTORE_SECONDS),
            ):
                tasks.create_task(self._again_and_again(watch, calm, alert))

    async def _again_and_again(self, watch: Callable[[], Awaitable[None]], calm: float, alert: float) -> None:
        while True:
            await watch()
            slept = 0.0
            # What is asked seldom is asked at once when the primary falls silent.
            while slept < (alert if self._is_alert else calm):
                await asyncio.sleep(ALERT_PERIOD_SECONDS)
                slept += ALERT_PERIOD_SECONDS

    @property
    def _is_alert(self) -> bool:
        return self._patroni is not None and self._patroni.seconds >= ALERT_SECONDS

    async def _look_at_quorum(self) -> None:
        asked = _now()
        try:
            view = await self._quorum.view()
        except EtcdError as error:
            self._say("quorum", f"etcd has no quorum for this server: {error}", logging.WARNING)
            return
        self._say("quorum", "")
        self._view, self._viewed = view, asked
        if view.remaining is not None:
            self._lease.observe(view.remaining)
        watched = view.leader.name if view.leader and view.is_standby(self._name) else None
        if watched != self._primary:
            self._watch(watched)

    def _watch(self, primary: str | None) -> None:
        """Turn to another primary, or to none."""
        self._primary = primary
        self._patroni = self._ears.patroni(primary) if primary else None
        self._host = self._ears.host(None)
        self._placement, self._placed, self._observed_off = None, float("-inf"), False
        self._longest_silence = 0.0
        log.info("%s", f"watches {primary}" if primary else "is not the synchronous standby, and watches nobody")

    async def _look_at_server(self) -> None:
        """See in vCenter where the primary runs, and whether it is off once it is silent."""
        primary, patroni = self._primary, self._patroni
        if primary is None or patroni is None:
            return
        was_alert = self._is_alert
        try:
            found = await self._power.placement(primary, ready=not was_alert)
        except PowerError as error:
            self._say("vCenter", f"vCenter can't tell about {primary}: {error}", logging.WARNING)
            return
        self._say("vCenter", "")
        if primary != self._primary:
            return
        if was_alert:
            if found.is_off and self._was_placed:
                self._say("off", f"vCenter shows that {primary} is off", logging.WARNING)
                self._observed_off = True
        elif found.is_off:
            why = f"vCenter shows {primary} off, and it answers: the server of that name is another one"
            self._say("mistaken", why, logging.ERROR)
        elif not self._is_alert:
            self._say("off", "")
            self._say("mistaken", "")
            if self._placement is None or found.host != self._placement.host:
                log.info("%s runs on %s", primary, found.host)
            self._placement, self._placed = found, _now()

    @property
    def _was_placed(self) -> bool:
        """Whether it was known, shortly before the primary fell silent, where it ran."""
        return self._placement_age <= KNOWN_SECONDS

    @property
    def _placement_age(self) -> float:
        silent = self._patroni.seconds if self._patroni else 0.0
        return _now() - silent - self._placed

    async def _look_at_bmc(self) -> None:
        """Ask the BMC of the primary's host: whether it is of use; and in an alert, whether the host is off."""
        placement, host = self._placement, self._host_of_primary
        if placement is None:
            return
        if host is None:
            self._say("BMC", f"no host of the stack file is called {placement.host} in vCenter", logging.ERROR)
            return
        if not self._is_alert and self._bmc_fits.get(host) and _now() - self._bmc_asked < BMC_SECONDS:
            return
        was_alert, self._bmc_asked = self._is_alert, _now()
        try:
            is_off, uuid = await self._power.host_state(host)
        except PowerError as error:
            self._say("BMC", f"the BMC of {host} is of no use: {error}", logging.WARNING)
            return
        self._bmc_fits[host] = fits = self._power.same_machine(placement.host_uuid, uuid)
        if not fits:
            why = f"the BMC of {host} is another machine's: UUID {uuid or 'none'}, in vCenter {placement.host_uuid}"
            self._say("BMC", why, logging.ERROR)
            return
        self._say("BMC", "")
        if was_alert and is_off and self._host is not None and self._host.seconds >= ALERT_SECONDS:
            self._say("off", f"the BMC of {host} shows that it is off", logging.WARNING)
            self._observed_off = True

    @property
    def _host_of_primary(self) -> str | None:
        """The short name of the host that the primary runs on, as far as it is known."""
        return self._hosts.get(self._placement.host) if self._placement else None

    def _listen_to_host(self) -> None:
        """Listen while the primary is silent; at other times hosts are left alone."""
        wanted = self._host_of_primary if self._is_alert else None
        if (wanted is None) != (self._host is None):
            self._host = self._ears.host(wanted)
        if self._is_alert and self._patroni is not None:
            self._longest_silence = self._patroni.seconds
            return
        self._observed_off = False
        if self._longest_silence:
            # Whoever chooses `patience_seconds` wants to know how long the site's own freezes are.
            log.info("%s answers again, after %.1f s", self._primary, self._longest_silence)
            self._longest_silence = 0.0

    async def _look_at_self(self) -> None:
        """Whether this server could take over."""
        self._able = await self._ears.here("/replica")

    async def _decide(self) -> None:
        self._listen_to_host()
        view, patroni = self._view, self._patroni
        if view is None or view.leader is None or patroni is None or view.leader.name != self._primary:
            return
        verdict = judge(self._signs(view, patroni), self._patience)
        if verdict is Verdict.WAIT or (verdict is Verdict.FENCE_SERVER and await self._just_woke(patroni)):
            return
        try:
            done = await self._act(verdict, view.leader)
        except EtcdError as error:
            _complain(f"{view.leader.name}: etcd: {error}")
            done = False
        if not done:
            await asyncio.sleep(RETRY_SECONDS)

    async def _just_woke(self, patroni: Silence) -> bool:
        """Whether the primary's PostgreSQL lives, and its Patroni may be about to answer, too."""
        if patroni.seconds >= self._patience.server + WAKING_SECONDS or not await self._ears.streams():
            self._say("WAL", "")
            return False
        self._say("WAL", f"{self._primary} is silent, and sends its WAL: it is waited for a little longer")
        return True

    def _signs(self, view: View, patroni: Silence) -> Signs:
        return Signs(
            may_act=self._able and not view.is_paused and view.is_standby(self._name),
            etcd_age=_now() - self._viewed,
            primary_silent=patroni.seconds,
            unrenewed=self._lease.unrenewed(self._patience.watched),
            host_silent=self._host.seconds + ALERT_SECONDS if self._host else 0.0,
            placement_age=self._placement_age,
            observed_off=self._observed_off,
        )

    async def _act(self, verdict: Verdict, leader: Leader) -> bool:
        """Have the primary off for certain, then give its key away."""
        silent = self._patroni.seconds if self._patroni else 0.0
        fell_silent = _now() - silent
        log.warning("%s has been silent for %.1f s: %s", leader.name, silent, verdict)
        async with self._quorum.lock(self._name) as lock:
            if lock is None:
                log.warning("another agent is at work")
                return False
            view = await self._quorum.view()
            if view.leader != leader or view.is_paused or not view.is_standby(self._name):
                log.warning("%s is not the primary of this standby any more: nothing is done", leader.name)
                return False
            if not self._is_alert:
                log.warning("%s answers again: nothing is done", leader.name)
                return False
            if verdict is not Verdict.RELEASE and not await self._make_sure(verdict, leader.name, lock):
                return False
            await self._road.close(leader.name)
            try:
                if not await self._quorum.release(lock, leader):
                    log.error("the leader key has changed meanwhile: it is left alone")
                    return False
                log.warning(
                    "%s is off: its leader key is gone, %.1f s after it fell silent",
                    leader.name,
                    _now() - fell_silent,
                )
                await self._await_successor()
            finally:
                await self._road.open()
        return True

    async def _make_sure(self, verdict: Verdict, primary: str, lock: Lock) -> bool:
        """Returns whether it is certain that the primary is off, and that this standby has all that it acknowledged."""
        if not await self._power_off(verdict, primary, lock):
            log.error("%s could not be powered off for certain: its lease has to run out", primary)
            return False
        if not (await self._quorum.view()).is_standby(self._name):
            # It came back in the last moment, and did not find its standby: `_restore` powers it on again.
            log.error("%s has given this standby up meanwhile: it alone has all that was acknowledged", primary)
            return False
        return True

    async def _power_off(self, verdict: Verdict, primary: str, lock: Lock) -> bool:
        """Returns whether it is certain that the primary is off."""
        if verdict is Verdict.FENCE_SERVER:
            await self._quorum.note(lock, Off("server", primary))
            try:
                await self._power.server_off(primary, SERVER_OFF_SECONDS)
            except PowerError as error:
                _complain(f"vCenter can't power {primary} off: {error}")
            else:
                log.warning("%s is powered off", primary)
                return True
        host = self._host_of_primary
        if verdict is Verdict.FENCE_SERVER and host is not None and await self._ears.host_answers(host):
            log.error("%s answers: its other servers are not powered off for this one", host)
            return False
        if host is None or not self._bmc_fits.get(host):
            log.error("the host of %s can't be powered off: its BMC is not known to be its own", primary)
            return False
        await self._quorum.note(lock, Off("host", host))
        try:
            await self._power.host_off(host, HOST_OFF_SECONDS)
        except PowerError as error:
            _complain(f"the BMC can't power {host} off: {error}")
            return False
        if verdict is Verdict.FENCE_SERVER and await self._ears.host_answers(host):
            log.error("%s still answers after its BMC has powered it off: that is another host's", host)
            return False
        log.warning("%s is powered off, with %s", host, primary)
        return True

    async def _await_successor(self) -> None:
        try:
            async with asyncio.timeout(BLOCK_SECONDS):
                while (await self._quorum.view()).leader is None:  # noqa: ASYNC110 (nobody here sets an event)
                    await asyncio.sleep(ALERT_PERIOD_SECONDS)
        except TimeoutError:
            log.warning("nobody has taken the leader key for %g s", BLOCK_SECONDS)

    async def _restore(self) -> None:
        """Power on what was powered off, and HA leaves alone: as the new primary, or where there is none without."""
        view = self._view
        if view is None:
            return
        leads = view.leader is not None and view.leader.name == self._name and await self._ears.here("/primary")
        if not leads and view.sync_standbys:
            return  # somebody else restores, or is about to lead
        try:
            for off in await self._quorum.noted():
                if leads or self._is_needed(off, view):
                    await self._power_on(off)
                    await self._quorum.strike(off)
        except (EtcdError, PowerError) as error:
            self._say("restore", f"what was powered off can't be powered on yet: {error}", logging.WARNING)
        else:
            self._say("restore", "")

    def _is_needed(self, off: Off, view: View) -> bool:
        """Whether nobody may be primary without it: the last one, or its host, was powered off and has no standby."""
        if view.sync_leader == self._name:
            return False
        return off.name == view.sync_leader if off.kind == "server" else view.leader is None

    async def _power_on(self, off: Off) -> None:
        switch = self._power.host_on if off.kind == "host" else self._power.server_on
        await switch(off.name, POWER_ON_SECONDS)
        log.warning("%s is powered on again", off.name)

    def _say(self, about: str, what: str, level: int = logging.INFO) -> None:
        """Log something that lasts once, and its end."""
        if self._said.get(about, "") == what:
            return
        if what:
            log.log(level, what)
        else:
            log.info("%s: as it should be again", about)
        self._said[about] = what


def _complain(what: str) -> None:
    log.error("%s", what)


def _now() -> float:
    return asyncio.get_running_loop().time()
