"""The drills as a table in the terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drills.model import Result
from drills.report.summary import Runs, Summary, Verdict

_COLOURS = {
    Verdict.MET: "green",
    Verdict.MISSED: "yellow",
    Verdict.BROKEN: "bold red",
    Verdict.NO_TARGET: "dim",
    Verdict.WITHOUT_RULE: "cyan",
}

_NAME = 19
"""Columns that a drill's name has at least; a longer one goes on in the next line, whole, as it is a command's word."""
_VERDICT = 7


def table(results: Runs | Iterable[Result]) -> RenderableType:
    """One line per drill: seconds as p95, then what did not hold."""
    summaries = (results if isinstance(results, Runs) else Runs(results)).summaries()
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column("drill", overflow="fold", min_width=_NAME)
    for heading in ("runs", "outage", "target", "paused", "failed", "whole"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column(min_width=_VERDICT)
    for summary in summaries:
        recovery = summary.recovery
        shown.add_row(
            summary.fault or "quiet",
            str(len(summary.runs)),
            f"{summary.outage.p95:.2f}",
            f"{summary.target.seconds:g}" if summary.target else "",
            f"{summary.paused_writes.p95:.2f}",
            f"{summary.failed} ({summary.failed_idempotent})",
            f"{recovery.p95:.1f}" if recovery else "never" if _broke(summary) else "",
            Text(summary.judged, _COLOURS[summary.verdict]),
        )
    legend = (
        "Seconds, 95th percentile (nearest rank): outage, paused writes, until whole again. "
        "Failed: all requests, and in brackets the idempotent ones; nothing was sent twice. Lab figures."
    )
    return Group(shown, Text(legend, "dim"), *_remarks(summaries))


def _broke(summary: Summary) -> bool:
    return any(run.result.injected is not None and not run.result.without for run in summary.runs)


def _remarks(summaries: Iterable[Summary]) -> Iterable[Text]:
    for summary in summaries:
        for run, invariant in summary.broken:
            yield Text(f"{summary.fault}, run {run.result.run}: {invariant.name}: {invariant.detail}", "bold red")
        for note in dict.fromkeys(note for run in summary.runs for note in run.result.notes):
            yield Text(f"{summary.fault}: {note}", "yellow")
