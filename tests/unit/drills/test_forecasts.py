"""Every drill has a forecast, or a reason why there is none."""

import pytest

from blueprint.forecast import forecast
from drills.faults import CATALOGUE
from drills.report.forecasts import UNFORETOLD
from stack.workspace import Stack

SOUND = {name for name, fault in CATALOGUE.items() if not fault.without and not fault.must_break}
"""Drills of a sound stack; the others break a rule first, or must lose writes."""
FORETOLD = {one.fault for stack in ("dev", "prod") for one in forecast(Stack(stack).settings)}


@pytest.mark.parametrize("drill", sorted(SOUND))
def test_drill_has_a_forecast_or_a_reason(drill: str) -> None:
    assert (drill in FORETOLD) != (drill in UNFORETOLD)


def test_nothing_else_is_foretold() -> None:
    assert FORETOLD | UNFORETOLD.keys() == SOUND


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_each_is_foretold_once_and_only_where_it_can_happen(stack: str) -> None:
    faults = [one.fault for one in forecast(Stack(stack).settings)]
    assert len(set(faults)) == len(faults)
    real = {fault for fault in faults if CATALOGUE[fault].unavailable(Stack(stack))}
    assert all("lab" in CATALOGUE[fault].unavailable(Stack(stack)) for fault in real), "only a drill needs the lab"
