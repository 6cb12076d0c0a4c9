"""The report as one HTML page that needs nothing else: no script, no font, no image from elsewhere."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drills.model import Circumstances, Observation
from drills.report import timeline
from drills.report.machine import processors
from drills.report.parts import drift_told, told
from drills.report.summary import ENOUGH_RUNS, Run, Runs, Summary, changes, tally

_HERE = Path(__file__).parent


def render(runs: Runs, stack: str, *, lab: bool, went: Circumstances | None = None) -> str:
    """The whole page; there must be at least one run.

    Raises:
        OSError: The recording of a run whose timeline is to be shown is not there any more.
    """
    went = went or Circumstances()
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["seconds"] = _seconds
    environment.filters["events"] = _events
    environment.filters["told"] = told
    environment.filters["drift_told"] = drift_told
    summaries = runs.summaries()
    recordings = [run.result.recording for run in runs]
    first = recordings[0]
    return environment.get_template("page.html.j2").render(
        stack=stack,
        lab=lab,
        began=min(recording.began for recording in recordings).astimezone(UTC),
        made=datetime.now(UTC),
        runs=len(runs),
        drills=[
            (summary, _drawings(summary, f"t{place}", typical=went.chance is None))
            for place, summary in enumerate(summaries)
        ],
        went=went,
        tally=tally(summaries),
        machine=first.machine,
        rates=first.rates,
        path=first.path,
        load_averages=sorted(recording.machine.load_average[0] for recording in recordings),
        processors=processors([recording.generator for recording in recordings]),
        cpu_share=max(recording.generator.cpu_seconds / recording.seconds for recording in recordings),
        late_worst=max(recording.generator.late_worst for recording in recordings),
        enough=ENOUGH_RUNS,
        acknowledged=sum(recording.ledger.acknowledged for recording in recordings),
        lost=sum(len(recording.ledger.lost) for recording in recordings),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 (our own file)
    )


def _drawings(summary: Summary, key: str, *, typical: bool) -> list[tuple[str, Run, Markup]]:
    """The timelines that are shown: what the run is, the run, the drawing. By chance a drill runs but a few times."""
    chosen = [("worst", summary.worst), *([("median", summary.middle)] if typical and summary.middle else [])]
    return [
        (what, run, Markup(timeline.svg(run.with_requests(), f"{key}-{what}")))  # noqa: S704 (our own drawing)
        for what, run in chosen
    ]


def _seconds(value: float | None) -> str:
    """Seconds with as many digits as mean something: the machine's noise is some hundredths."""
    if value is None:
        return "never"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004


def _events(summary: Summary) -> list[tuple[str, str]]:
    """The worst run in words: the same as its timeline, for those who don't see it."""
    result = summary.worst.result
    zero = result.injected or 0.0
    told = [(observed.time, _state(observed)) for observed in changes(result.recording.observations)]
    moments = (
        (f"the fault begins: {result.hit}", result.injected),
        ("the fault is undone", result.undone),
        ("the stack has its full redundancy again", result.whole),
    )
    told += [(time, what) for what, time in moments if time is not None]
    began = summary.worst.figures.outage_began
    told.append((began, "the last good answer before the longest outage"))
    told.append((began + summary.worst.figures.outage, "the first good answer after it"))
    return [(f"{time - zero:+.2f}", what) for time, what in sorted(told)]


def _state(seen: Observation) -> str:
    def who(names: tuple[str, ...]) -> str:
        return " and ".join(names) or "nobody"

    return (
        f"site address {who(seen.site_address)}, database address {who(seen.database_address)}, "
        f"primary {who(seen.primary)}, synchronous standby {who(seen.sync_standby)}, votes {seen.votes}"
    )
