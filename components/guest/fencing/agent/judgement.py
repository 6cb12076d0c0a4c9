"""What to do about a primary, by the signs of one moment."""

from dataclasses import dataclass
from enum import StrEnum

FRESH_SECONDS = 1.0
"""Older answers of etcd say nothing about now."""
SUSPICIOUS_SECONDS = 1.0
"""A primary that has been silent for so long may be dead; one that is known to be off needs no longer."""
RENEWAL_SLACK_SECONDS = 0.5
"""By so much a renewal may come late: Patroni's round itself takes time."""
KNOWN_SECONDS = 15.0
"""On which host a server runs must have been seen within so many seconds before it fell silent."""


class Verdict(StrEnum):
    """What an agent does."""

    WAIT = "wait"
    RELEASE = "release"
    """The primary is off already: give its leader key away."""
    FENCE_SERVER = "fence the server"
    """Power it off through vCenter, or its host where vCenter can't."""
    FENCE_HOST = "fence the host"
    """Its host is silent too: power that off."""


@dataclass(frozen=True)
class Patience:
    """Seconds that an agent waits.

    A frozen server comes back, as after a snapshot; that freezes of 5 s must not fail over is what `server` is for. A
    host that is silent on its own network as well is not just frozen.
    """

    server: float
    host: float
    renewal: float
    """Between two renewals of the primary's lease: Patroni's `loop_wait`."""

    @property
    def watched(self) -> float:
        """How long etcd must have been watched to see a renewal, if there was one."""
        return self.renewal + RENEWAL_SLACK_SECONDS


@dataclass(frozen=True)
class Signs:
    """What is known at one moment; silence and ages in seconds.

    `observed_off` says that vCenter, or the host's BMC, has seen the primary's server or host off since it fell silent.
    """

    may_act: bool
    """This server is the synchronous standby, could take over, and nobody has paused Patroni."""
    etcd_age: float
    """Since the last answer of a quorum."""
    primary_silent: float
    """Since Patroni's REST interface answered there."""
    unrenewed: float
    """Since the primary has not renewed its lease."""
    host_silent: float
    """Since its host answered at its management address."""
    placement_age: float
    """How old the knowledge of its host was when it fell silent."""
    observed_off: bool


def judge(signs: Signs, patience: Patience) -> Verdict:
    """Decide. Silence alone is never enough: a primary that renews its lease lives, whoever can't reach it."""
    if not signs.may_act or signs.etcd_age > FRESH_SECONDS or signs.placement_age > KNOWN_SECONDS:
        return Verdict.WAIT
    if signs.primary_silent < SUSPICIOUS_SECONDS or signs.unrenewed < patience.watched:
        return Verdict.WAIT
    if signs.observed_off:
        return Verdict.RELEASE
    if min(signs.primary_silent, signs.host_silent) >= patience.host:
        return Verdict.FENCE_HOST
    # The last renewal may have been a round before the last answer.
    if signs.primary_silent >= patience.server and signs.unrenewed >= patience.server - patience.watched:
        return Verdict.FENCE_SERVER
    return Verdict.WAIT
