"""What users saw, in seconds and counts, out of a recording.

All quantiles are by nearest rank (numpy's `inverted_cdf`): the smallest measured value that at least that share of the
values does not exceed. Nothing is interpolated, so each figure is one that was measured; with fewer than 20 runs the
95th percentile is the worst run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from drills.model import Kind, Recording, Request

VISITS = (Kind.PAGE, Kind.API)
"""What the outage is taken from: requests at a fixed rate that anybody could send again."""


BREAK_SECONDS = 0.5
"""From here on a time without a good answer is one in which nobody was served: two and a half intervals of a kind."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which something did not happen."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one recording."""

    outage: float
    """Seconds; see `outage`."""
    outage_began: float
    paused_writes: float
    """Seconds; the longest time without an acknowledged ledger write."""
    requests: int
    failed: int
    """Requests without a good answer, of every kind; nothing was sent twice."""
    failed_idempotent: int
    """Those of them that anybody on the way could have sent again."""
    median_answer: float
    """Seconds; of good visits."""
    p95_answer: float
    unserved: float | None = None
    """Seconds; see `unserved`. None in reports from before it was looked at."""


def figures(recording: Recording) -> Figures:
    """The figures of a recording."""
    visits = [request for request in recording.requests if request.kind in VISITS]
    failed = [request for request in recording.requests if not request.good]
    answers = [request.seconds for request in visits if request.good] or [recording.seconds]
    longest = outage(visits, recording.seconds)
    return Figures(
        outage=longest.seconds,
        outage_began=longest.begin,
        paused_writes=longest_gap((kept.time for kept in recording.acknowledgements), recording.seconds).seconds,
        requests=len(recording.requests),
        failed=len(failed),
        failed_idempotent=sum(request.idempotent for request in failed),
        median_answer=quantile(answers, 0.5),
        p95_answer=quantile(answers, 0.95),
        unserved=unserved(visits, recording.seconds),
    )


def outage(visits: Iterable[Request], seconds: float) -> Gap:
    """The longest time without a good answer, of pages or of the API, whichever is longer.

    It lasts from the moment at which a good answer was complete to the moment at which the next one was. Requests are
    sent at a fixed rate, so there is always one that could have been answered. Counting to the next answer, not to the
    sending of the request that got it, makes waiting count as outage: a request that is held for 3 s and then answered
    well is no failed one, but nobody was served for 3 s. Pages and API are looked at apart, so that one that goes on
    does not hide that the other stands still. The recording's beginning and end count as answers: an outage that had
    not ended is as long as it was seen.

    In quiet times it is about one interval between requests of a kind, plus what answers differ in their duration: the
    shortest outage that can be told apart.
    """
    return max((longest_gap(times, seconds) for times in _answered(visits).values()), key=lambda gap: gap.seconds)


def unserved(visits: Iterable[Request], seconds: float) -> float:
    """All times without a good answer that are longer than BREAK_SECONDS, of pages or of the API, whichever is more.

    A fault may cost users twice: when it happens, and when what it took away comes back.
    """
    return max(
        sum(gap.seconds for gap in _gaps(times, seconds) if gap.seconds > BREAK_SECONDS)
        for times in _answered(visits).values()
    )


def longest_gap(times: Iterable[float], seconds: float) -> Gap:
    """The longest time between two neighbouring times, the beginning (0) and the end included."""
    return max(_gaps(times, seconds), key=lambda gap: gap.seconds)


def _answered(visits: Iterable[Request]) -> dict[Kind, list[float]]:
    """When good answers were complete, by kind."""
    done: dict[Kind, list[float]] = {kind: [] for kind in VISITS}
    for request in visits:
        if request.good:
            done[request.kind].append(request.done)
    return done


def _gaps(times: Iterable[float], seconds: float) -> list[Gap]:
    ordered = sorted(time for time in times if time < seconds)
    return [Gap(before, after) for before, after in zip([0.0, *ordered], [*ordered, seconds], strict=True)]


def quantile(values: Sequence[float], share: float) -> float:
    """The value at that share (0 to 1), by nearest rank.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values have no quantile")
    return float(np.quantile(values, share, method="inverted_cdf"))
