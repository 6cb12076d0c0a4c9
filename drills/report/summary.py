"""All runs of one drill in a few figures, and whether they meet the target.

A run whose recording is a file does without its requests in memory, so that hundreds fit.

Quantiles are by nearest rank (drills.workload.figures): each is a run that was measured. Below 20 runs the 95th
percentile is the worst run, and the report says how few runs there were.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from blueprint.terms import Measure
from drills.model import Invariant, Observation, Result, Target
from drills.workload import keeping
from drills.workload.figures import Figures, figures, quantile

ENOUGH_RUNS = 20
"""From this many runs on the 95th percentile is another one than the worst."""


TYPICAL_RUNS = 3
"""From this many runs on there is one in the middle."""


class Verdict(StrEnum):
    """Whether a drill's runs, as many as there are, reached what they should; `judged` says it to people."""

    MET = "met"
    MISSED = "missed"
    BROKEN = "broken"
    """An invariant did not hold: no figure makes up for that."""
    NO_TARGET = "no target"
    WITHOUT_RULE = "rule broken"
    """A rule was broken for it: it shows what the rule is for, and nothing need have held."""


_OF_A_TARGET = {Verdict.MET, Verdict.MISSED}


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all runs, seconds."""

    median: float
    p95: float
    worst: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its result with the figures that follow from it."""

    result: Result
    figures: Figures
    number: int = 0
    """Its place in the sequence of its series, counted from 1; 0 if it is none of a series."""
    file: Path | None = None
    """Its recording, where the run does without the requests."""

    @property
    def measured(self) -> float:
        """The figure that the target is about: the outage, where there is none."""
        return figure(self.figures, self.result.target.measure if self.result.target else Measure.OUTAGE)

    @property
    def rank(self) -> tuple[bool, float]:
        """How bad it was: a broken invariant is worse than any figure."""
        return any(not each.held for each in self.result.invariants), self.measured

    def with_requests(self) -> "Run":
        """The same with what a timeline needs.

        Raises:
            OSError: Its recording is not there any more.
        """
        if self.file is None:
            return self
        return replace(self, result=replace(self.result, recording=keeping.read(self.file)))

    def without_requests(self) -> "Run":
        """The same without what only a timeline needs: some megabytes."""
        recording = self.result.recording
        slim = replace(
            recording,
            requests=(),
            acknowledgements=(),
            writers=(),
            observations=changes(recording.observations),
        )
        return replace(self, result=replace(self.result, recording=slim))


class Runs:
    """Runs as they come in."""

    def __init__(self, results: Iterable[Result] = ()) -> None:
        self._runs: dict[str, list[Run]] = {}
        for result in results:
            self.keep(run_of(result))

    def keep(self, run: Run) -> None:
        """Add a run."""
        self._runs.setdefault(run.result.fault, []).append(run)

    def summaries(self) -> tuple["Summary", ...]:
        """One per drill, in the order in which drills first ran."""
        return tuple(
            Summary(fault, runs[0].result.title, tuple(runs), runs[0].result.target)
            for fault, runs in self._runs.items()
        )

    def __iter__(self) -> Iterator[Run]:
        return (run for runs in self._runs.values() for run in runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs.values()))


def run_of(result: Result, number: int = 0, file: Path | None = None) -> Run:
    """A result with its figures."""
    return Run(result, figures(result.recording), number, file)


@dataclass(frozen=True, slots=True)
class Summary:
    """All runs of one drill."""

    fault: str
    title: str
    runs: tuple[Run, ...]
    target: Target | None

    @property
    def outage(self) -> Spread:
        """Seconds without a good answer."""
        return spread(run.figures.outage for run in self.runs)

    @property
    def paused_writes(self) -> Spread:
        """Seconds without an acknowledged write."""
        return spread(run.figures.paused_writes for run in self.runs)

    @property
    def recovery(self) -> Spread | None:
        """Seconds until full redundancy; None if a run never came to it, or nothing was broken."""
        known = [run.result.recovery for run in self.runs]
        return None if None in known else spread(seconds for seconds in known if seconds is not None)

    @property
    def failed(self) -> int:
        """Failed requests of all runs."""
        return sum(run.figures.failed for run in self.runs)

    @property
    def failed_idempotent(self) -> int:
        """Those of them that anybody on the way could have sent again."""
        return sum(run.figures.failed_idempotent for run in self.runs)

    @property
    def requests(self) -> int:
        """Requests of all runs."""
        return sum(run.figures.requests for run in self.runs)

    @property
    def broken(self) -> tuple[tuple[Run, Invariant], ...]:
        """Invariants that had to hold and did not, each with its run."""
        return tuple((run, each) for run, each in self.gave_way if not run.result.without)

    @property
    def gave_way(self) -> tuple[tuple[Run, Invariant], ...]:
        """Invariants that did not hold, whether they had to or not, each with its run."""
        return tuple((run, each) for run in self.runs for each in run.result.invariants if not each.held)

    @property
    def measured(self) -> Spread:
        """The figure that the target is about."""
        return spread(run.measured for run in self.runs)

    @property
    def verdict(self) -> Verdict:
        """Against the target, at the 95th percentile."""
        return verdict(self.target, self.measured, broken=bool(self.broken), without=self.runs[0].result.without)

    @property
    def judged(self) -> str:
        """The verdict in words."""
        return judged(self.verdict, len(self.runs))

    @property
    def worst(self) -> Run:
        """The worst run, whose timeline is shown."""
        return max(self.runs, key=lambda run: run.rank)

    @property
    def middle(self) -> Run | None:
        """The run with the median, whose timeline is shown, too, where there are enough that it tells something."""
        if len(self.runs) < TYPICAL_RUNS:
            return None
        ranked = sorted(self.runs, key=lambda run: run.measured)
        median = ranked[(len(ranked) - 1) // 2]
        return None if median is self.worst else median

    @property
    def few(self) -> bool:
        """Whether there were too few runs to tell the 95th percentile from the worst."""
        return len(self.runs) < ENOUGH_RUNS


def changes(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The observations at which something was other than before."""

    def state(seen: Observation) -> tuple[object, ...]:
        return seen.site_address, seen.database_address, seen.primary, seen.sync_standby, seen.votes

    return tuple(next(same) for _, same in groupby(observations, state))


def figure(of: Figures, measure: Measure) -> float:
    """The figure that a target or a forecast is about, seconds."""
    return of.paused_writes if measure is Measure.PAUSED_WRITES else of.outage


def spread(values: Iterable[float]) -> Spread:
    """A figure over runs, of which there must be one.

    Raises:
        ValueError: There is none.
    """
    known = list(values)
    return Spread(median=quantile(known, 0.5), p95=quantile(known, 0.95), worst=max(known))


def verdict(target: Target | None, measured: Spread, *, broken: bool, without: str = "") -> Verdict:
    """Whether runs reached what they should, at the 95th percentile; `without` is the rule that was broken for them."""
    if without:
        return Verdict.WITHOUT_RULE
    if broken:
        return Verdict.BROKEN
    if target is None:
        return Verdict.NO_TARGET
    return Verdict.MET if measured.p95 <= target.seconds else Verdict.MISSED


def judged(of: Verdict, runs: int) -> str:
    """A verdict in words that claim no more than is known: `met (1 run)`.

    Targets are for the 95th percentile. Below `ENOUGH_RUNS` runs it can't be told from the worst one, and what was met,
    or missed, so far may be otherwise in the next run: then the words say how many there were.
    """
    return f"{of} ({in_runs(runs)})" if of in _OF_A_TARGET and runs < ENOUGH_RUNS else str(of)


def tally(summaries: Iterable[Summary]) -> list[tuple[Verdict, str, int]]:
    """How many drills came to which verdict: the verdict, its words, the number; those with few runs apart."""

    def words(of: Verdict, *, few: bool) -> str:
        return f"{of} in fewer than {ENOUGH_RUNS} runs" if few and of in _OF_A_TARGET else str(of)

    found = Counter((each.verdict, words(each.verdict, few=each.few)) for each in summaries)
    return [(of, told, found[of, told]) for of, told in sorted(found, key=lambda key: list(Verdict).index(key[0]))]


def in_runs(count: int) -> str:
    """How many runs there were."""
    return "1 run" if count == 1 else f"{count:,} runs"
