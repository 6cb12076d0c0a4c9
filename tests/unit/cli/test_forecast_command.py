"""The column of `./perenne forecast` with what drills measured: only where the lab's stack is comparable."""

import json
import re
from dataclasses import replace

import pytest

from blueprint.forecast import forecast
from cli import console
from cli import forecast as command
from drills.report import document
from drills.report.forecasts import Compared
from stack.workspace import Stack

RESULTS = document.parsed(document.RESULTS.read_bytes())


def test_what_was_measured_stands_beside_the_bound(capsys: pytest.CaptureFixture[str]) -> None:
    command.show(Stack("dev"), as_json=True)
    shown = {one["fault"]: one for one in json.loads(capsys.readouterr().out)}
    for drill in RESULTS.drills:
        if drill.fault in shown:
            seen = shown[drill.fault]["measured"]
            expected = drill.outage if shown[drill.fault]["measure"] == "outage" else drill.paused_writes
            assert seen["runs"] >= len(drill.runs)
            assert seen["worst"] >= expected.worst
            assert 0 <= seen["within"] <= seen["runs"]


def test_other_terms_are_not_comparable() -> None:
    found = forecast(Stack(RESULTS.stack).settings)
    assert {"lose-worst-host", "lose-app"} <= command.measured(found).keys()
    slower = [
        replace(one, terms=tuple(replace(term, seconds=term.seconds + 10) for term in one.terms))
        if one.fault == "lose-worst-host"
        else one
        for one in found
    ]
    known = command.measured(slower)
    assert "lose-worst-host" not in known, "with a longer lease it would have lasted longer"
    assert "lose-app" in known


def test_without_fencing_runs_without_it_are_comparable() -> None:
    known = command.measured(forecast(Stack("prod").settings))
    assert known["lose-worst-host"].forecast.fault == "lose-worst-host-unfenced"
    assert known["lose-app"].forecast.fault == "lose-app"
    assert "hang-postgres" not in known, "it ran with fencing only"


def test_the_table_has_a_section_for_each_part_and_every_sum_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "_width", 100)
    found = forecast(Stack("dev").settings)
    command.show(Stack("dev"), as_json=False)
    shown = capsys.readouterr().out
    table, sums = shown.split("What each is made up of")
    for broken in {one.broken for one in found}:
        assert len(re.findall(rf"│ {broken} +│ +│ +│ +│", table)) == 1
    assert sums.count("database.ttl") == len({one.terms for one in found if "database.ttl" in str(one.terms)})


def test_without_results_nothing_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "RESULTS", document.RESULTS.with_name("none.json"))
    assert command.measured(forecast(Stack("dev").settings)) == {}


def test_few_runs_are_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    (one, *_) = forecast(Stack("dev").settings)
    few = Compared(one, (0.3, 0.4))
    many = Compared(one, (0.3,) * 19 + (one.bound + 1.0,))
    assert command._told(few) == "0.4 s\nworst of 2 runs"
    assert command._told(many) == "0.3 s\n20 runs, 95% within"
    assert command.show(Stack("dev"), as_json=False) == 0
    assert "measured in the" in capsys.readouterr().out
