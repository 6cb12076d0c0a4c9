"""`./perenne forecast`: the outage to expect per fault, before anything is deployed."""

import json
from dataclasses import asdict

from rich.table import Table

from blueprint.forecast import Forecast, forecast
from cli.console import out
from cli.workspace import Stack


def show(stack: Stack, *, as_json: bool) -> int:
    """Print the forecast; returns 0.

    Raises:
        StackFileError: The stack file can't be used.
    """
    found = forecast(stack.settings)
    if as_json:
        print(json.dumps([{**asdict(one), "bound": one.bound} for one in found], indent=2))
        return 0
    table = Table("fault", "what users notice, at most", "made up of", title=f"Stack {stack.name}, from its settings")
    for one in found:
        table.add_row(f"{one.fault}\n{one.title}", f"{one.bound:.1f} s {one.measure}", _terms(one))
    out.print(table)
    out.print("./perenne drill NAME makes the fault in the lab and measures it.", style="dim")
    return 0


def _terms(one: Forecast) -> str:
    return "\n".join(f"{term.seconds:5.2f} s {term.name} ({term.where})" for term in one.terms)
