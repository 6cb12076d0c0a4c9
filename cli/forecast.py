"""`./perenne forecast`: the outage to expect per fault, before anything is deployed, and what drills measured of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby

from rich.table import Table

from blueprint.forecast import Forecast, forecast
from blueprint.takeover import Terms, lasting
from cli.console import out
from drills.report import document
from drills.report.forecasts import Compared, compared
from drills.report.summary import ENOUGH_RUNS, in_runs
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
    sums = _sums(found)
    out.print(_table(found, known, sums, f"Stack {stack.name}, from its settings"))
    out.print("[bold]What each is made up of[/bold]")
    for number, terms in enumerate(sums, start=1):
        out.print(_made_up(number, terms))
    out.print(
        "At most: what users notice. Outage: the longest time without a good answer; paused writes: between two that "
        "were acknowledged. Measured: the 95th percentile (docs/drills/results.md), where the lab's stack has the same "
        "terms; of a stack without fencing, while no agent ran. ./perenne drill NAME makes the fault in the lab and "
        "measures it.",
        style="dim",
    )
    return 0


def measured(found: list[Forecast]) -> dict[str, Compared]:
    """What drills measured of each fault whose forecast is made up of the same terms as the measured stack's.

    Where this stack has no fencing and that one does, of the same fault while no agent ran.
    """
    if not document.RESULTS.exists():
        return {}
    results = document.parsed(document.RESULTS.read_bytes())
    there = {one.forecast.fault: one for one in compared(results, forecast(Stack(results.stack).settings))}
    return {
        one.fault: seen
        for one in found
        for seen in (there.get(one.fault), there.get(f"{one.fault}-unfenced"))
        if seen and seen.forecast.terms == one.terms
    }


def _as_json(one: Forecast, seen: Compared | None) -> dict[str, object]:
    lab = seen and {
        "drill": seen.forecast.fault,
        "runs": len(seen.measured),
        "within": seen.within,
        **asdict(seen.spread),
    }
    return {**asdict(one), "bound": one.bound, "measured": lab}


def _told(seen: Compared) -> str:
    runs = len(seen.measured)
    if runs >= ENOUGH_RUNS:
        return f"{seen.spread.p95:.1f} s\n{runs} runs, {100 * seen.within // runs}% within"
    return f"{seen.spread.worst:.1f} s\n{in_runs(runs) if runs == 1 else f'worst of {in_runs(runs)}'}"


def _table(found: Iterable[Forecast], known: Mapping[str, Compared], sums: Sequence[Terms], title: str) -> Table:
    """A section for each part of the site that faults break."""
    table = Table(title=title)
    table.add_column("fault", overflow="fold")
    for column in ("at most", "measured in the lab", "sum"):
        table.add_column(column)
    for broken, faults in groupby(found, key=lambda one: one.broken):
        table.add_section()
        table.add_row(f"[bold]{broken}[/bold]")
        for one in faults:
            seen = known.get(one.fault)
            costs = f"{one.bound:.1f} s\n{one.measure}"
            number = f"{sums.index(one.terms) + 1}"
            table.add_row(f"{one.fault}\n[dim]{one.title}[/dim]", costs, _told(seen) if seen else "", number)
    return table


def _sums(found: Iterable[Forecast]) -> list[Terms]:
    """What forecasts are made up of, each once: many faults end in the same way."""
    return list(dict.fromkeys(one.terms for one in found))


def _made_up(number: int, terms: Terms) -> str:
    lines = (f"{term.seconds:9.2f} s  {term.name} [dim]({term.where})[/dim]" for term in terms)
    return "\n".join((f"{number:3}. {lasting(terms):4.1f} s", *lines))
