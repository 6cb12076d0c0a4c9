"""Since when a primary has not renewed its lease, as etcd's answers tell."""

from dataclasses import dataclass

_JITTER_SECONDS = 0.05
"""Between etcd's clock and this one's over the few seconds that are compared."""


@dataclass(frozen=True)
class Remaining:
    """etcd's answer to how long a lease still lasts (`LeaseTimeToLive`); `sent` and `received` by this machine's clock.

    `seconds` is cut down to whole ones. `term` is that of the member that answered: with a new leader of etcd every
    lease begins anew (etcd, `lessor.Promote`), which is no sign of life of its holder.
    """

    sent: float
    received: float
    lease: int
    seconds: int
    granted: int
    term: int


class LeaseClock:
    """Tells from answer to answer when the lease was renewed at the latest.

    Each answer gives an interval in which the last renewal lies, one second wide. Intervals of answers without a
    renewal between them overlap; so one that doesn't overlap with those before shows a renewal.
    """

    def __init__(self) -> None:
        self._seen: Remaining | None = None
        self._earliest = self._latest = 0.0
        self._renewed = 0.0
        self._watched_since = 0.0

    def observe(self, answer: Remaining) -> None:
        """Take in an answer."""
        passed = answer.granted - answer.seconds
        earliest, latest = answer.sent - passed, answer.received - passed + 1
        seen, self._seen = self._seen, answer
        if seen is None or seen.lease != answer.lease:
            self._begin(answer, earliest, latest)
            self._renewed = min(latest, answer.received)
        elif seen.term != answer.term:
            self._begin(answer, earliest, latest)  # what was known of renewals before stays so
        elif earliest > self._latest + _JITTER_SECONDS or latest < self._earliest - _JITTER_SECONDS:
            self._earliest, self._latest = earliest, latest
            self._renewed = min(latest, answer.received)
        else:
            self._earliest, self._latest = max(self._earliest, earliest), min(self._latest, latest)
            # After an election the interval is about etcd's own renewal, later than the holder's.
            self._renewed = min(self._renewed, self._latest)

    def _begin(self, answer: Remaining, earliest: float, latest: float) -> None:
        self._earliest, self._latest = earliest, latest
        self._watched_since = answer.received

    def unrenewed(self, watched: float) -> float:
        """Seconds for which the lease was certainly not renewed, up to the last answer.

        0 until answers of one and the same leader of etcd were seen for `watched` seconds: a renewal may hide behind an
        election, but the next one doesn't.
        """
        if self._seen is None or self._seen.sent - self._watched_since < watched:
            return 0.0
        return max(0.0, self._seen.sent - self._renewed)
