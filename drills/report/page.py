"""The report as one HTML page that needs nothing else: no script, no font, no image from elsewhere."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drills.model import Observation, Result
from drills.report import document, timeline
from drills.report.summary import ENOUGH_RUNS, Summary, Verdict, summarise

_HERE = Path(__file__).parent


def render(results: Sequence[Result], stack: str, *, lab: bool) -> str:
    """The whole page; there must be at least one result."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["seconds"] = _seconds
    environment.filters["events"] = _events
    summaries = summarise(results)
    first = results[0].recording
    return environment.get_template("page.html.j2").render(
        stack=stack,
        lab=lab,
        began=min(result.recording.began for result in results).astimezone(UTC),
        made=datetime.now(UTC),
        runs=len(results),
        drills=[(summary, _drawing(summary, f"t{place}")) for place, summary in enumerate(summaries)],
        counts={verdict: sum(summary.verdict is verdict for summary in summaries) for verdict in Verdict},
        machine=first.machine,
        rates=first.rates,
        path=first.path,
        load_averages=sorted(result.recording.machine.load_average[0] for result in results),
        cpu_share=max(result.recording.generator.cpu_seconds / result.recording.seconds for result in results),
        late_worst=max(result.recording.generator.late_worst for result in results),
        enough=ENOUGH_RUNS,
        acknowledged=sum(result.recording.ledger.acknowledged for result in results),
        lost=sum(len(result.recording.ledger.lost) for result in results),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 (our own file)
    )


def _drawing(summary: Summary, key: str) -> Markup:
    return Markup(timeline.svg(summary.worst, key))  # noqa: S704 (our own drawing; its text is escaped)


def _seconds(value: float | None) -> str:
    """Seconds with as many digits as mean something: the machine's noise is some hundredths."""
    if value is None:
        return "never"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004


def _events(summary: Summary) -> list[tuple[str, str]]:
    """The worst run in words: the same as its timeline, for those who don't see it."""
    result = summary.worst.result
    zero = result.injected or 0.0
    told = [(observed.time, _state(observed)) for observed in document.changes(result.recording.observations)]
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
