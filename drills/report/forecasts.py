"""What was forecast, compared with what drills measured.

A forecast is right for a run whose outage, or pause, did not exceed its bound (blueprint/forecast.py). Wanted is that
for 95 of 100 runs. Runs count whether their drill was named or chosen by chance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blueprint.forecast import Forecast
from drills.report.document import Document, RunEntry
from drills.report.summary import Spread, figure, spread

WANTED = 0.95
"""The share of runs that is to be within its bound."""

_SLOW = "what a tenth of a processor costs depends on how much is asked of it"
UNFORETOLD = {
    **dict.fromkeys(
        ("slow-httpd", "slow-keepalived", "slow-wildfly", "slow-postgres", "slow-patroni", "slow-etcd"), _SLOW
    ),
    "lose-packets": "chance decides how often a packet has to be sent again",
    "delay-packets": "an answer takes longer by as many packets as it needs, and nothing takes over",
    "step-clock": "nobody has tried it, and no setting says what Patroni does whose clock jumps",
    "cut-one-path": "how long ESXi pauses I/O until it takes the other path is ESXi's own, and the lab doesn't show it",
    "maintain-host": "how long a vMotion pauses a server depends on how fast that writes to its memory",
    "wake-primary-in-fencing": "it ends once its server has started again, which is the site's own time",
    "rolling-patch": "it is drains, which have forecasts of their own, and vMotions",
}
"""Drills of a sound stack whose outage no setting tells, each with the reason."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One fault's forecast and its runs, of which there is at least one."""

    forecast: Forecast
    measured: tuple[float, ...]
    """Seconds, of the forecast's measure, a run each."""

    @property
    def within(self) -> int:
        """How many runs did not exceed the bound."""
        return sum(seconds <= self.forecast.bound for seconds in self.measured)

    @property
    def spread(self) -> Spread:
        """Over the runs."""
        return spread(self.measured)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many runs were within their bounds."""

    within: int
    runs: int

    @property
    def reached(self) -> bool:
        """Whether that is as many as is wanted."""
        return self.within >= WANTED * self.runs

    def __str__(self) -> str:
        return f"{self.within:,} of {self.runs:,} runs ({100 * self.within // self.runs}%)"


def compared(found: Document, forecasts: Iterable[Forecast]) -> list[Compared]:
    """Every forecast of whose fault there are runs."""
    runs: dict[str, list[RunEntry]] = {}
    for drill in found.everything:
        runs.setdefault(drill.fault, []).extend(drill.runs)
    return [
        Compared(one, tuple(figure(run.figures, one.measure) for run in runs[one.fault]))
        for one in forecasts
        if one.fault in runs
    ]


def share(of: Sequence[Compared]) -> Share:
    """All of them together."""
    return Share(sum(each.within for each in of), sum(len(each.measured) for each in of))
