"""`./perenne forecast`: the outage to expect per fault, before anything is deployed, and what drills measured of it."""

import json
from dataclasses import asdict

from rich.table import Table

from blueprint.forecast import Forecast, forecast
from cli.console import out
from drills.report import document
from drills.report.forecasts import Compared, compared
from drills.report.summary import ENOUGH_RUNS
from stack.workspace import Stack


def show(stack: Stack, *, as_json: bool) -> int:
    """Print the forecast; returns 0.

    Raises:
        StackFileError: The stack file can't be used.
    """
    found = forecast(stack.settings)
    known = measured(found)
    if as_json:
        print(json.dumps([_as_json(one, known.get(one.fault)) for one in found], indent=2))
        return 0
    table = Table(
        "fault",
        "what users notice, at most",
        "measured in the lab",
        "made up of",
        title=f"Stack {stack.name}, from its settings",
    )
    for one in found:
        seen = known.get(one.fault)
        table.add_row(
            f"{one.fault}\n{one.title}", f"{one.bound:.1f} s {one.measure}", _told(seen) if seen else "", _terms(one)
        )
    out.print(table)
    out.print(
        "Measured: the 95th percentile (docs/drills/results.md), where the lab's stack has the same terms. "
        "./perenne drill NAME makes the fault in the lab and measures it.",
        style="dim",
    )
    return 0


def measured(found: list[Forecast]) -> dict[str, Compared]:
    """What drills measured of each fault whose forecast is made up of the same terms as the measured stack's."""
    if not document.RESULTS.exists():
        return {}
    results = document.parsed(document.RESULTS.read_bytes())
    there = compared(results, forecast(Stack(results.stack).settings))
    here = {one.fault: one for one in found}
    return {
        one.forecast.fault: one
        for one in there
        if (same := here.get(one.forecast.fault)) and same.terms == one.forecast.terms
    }


def _as_json(one: Forecast, seen: Compared | None) -> dict[str, object]:
    lab = seen and {"runs": len(seen.measured), "within": seen.within, **asdict(seen.spread)}
    return {**asdict(one), "bound": one.bound, "measured": lab}


def _told(seen: Compared) -> str:
    runs = len(seen.measured)
    if runs >= ENOUGH_RUNS:
        return f"{seen.spread.p95:.1f} s\n{runs} runs, {seen.within / runs:.0%} within"
    return f"{seen.spread.worst:.1f} s\n{'1 run' if runs == 1 else f'worst of {runs} runs'}"


def _terms(one: Forecast) -> str:
    return "\n".join(f"{term.seconds:5.2f} s {term.name} ({term.where})" for term in one.terms)
