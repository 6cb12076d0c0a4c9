"""The page docs/drills/results.md."""

from dataclasses import replace

import pytest

from blueprint.terms import Measure
from drills.model import Invariant, Target
from drills.report import document, rules
from drills.report.overview import overview
from drills.report.publish import OVERVIEW, merged, timelines
from tests.unit.drills.test_rules_report import reported, result


def test_a_line_per_drill_with_target_and_verdict() -> None:
    target = Target(1.0, Measure.OUTAGE, "made up")
    runs = (replace(result("kill-httpd", outage, run=run), target=target) for run, outage in enumerate((0.5, 0.8), 1))
    page = overview(reported(*runs, result("kill-etcd", 0.2)))
    (httpd,) = (line for line in page.splitlines() if line.startswith("| `kill-httpd`"))
    assert "| 2 | 0.50 (0.80) |" in httpd
    assert "| 1 outage | **met** |" in httpd
    (etcd,) = (line for line in page.splitlines() if line.startswith("| `kill-etcd`"))
    assert "| 1 | 0.20 |" in etcd
    assert "**met**" not in etcd
    assert "Every invariant held in every run." in page


def test_losses_are_counted_but_for_those_that_check_the_checker() -> None:
    found = reported(result("kill-httpd", 0.5, lost=2), result("control-lose-writes", 20.0, lost=7))
    assert "**9 writes were acknowledged, 2 of them lost**" in overview(found)


def test_what_did_not_hold_is_told() -> None:
    broken = Invariant("sessions survive", held=False, detail="7 of 1000 lost")
    page = overview(reported(replace(result("kill-httpd", 0.5), invariants=(broken,))))
    assert "- `kill-httpd`, run 1 (somebody): sessions survive: 7 of 1000 lost" in page
    assert "Every invariant held" not in page
    assert "| **broken** |" in page


def test_every_series_page_of_timelines_is_linked() -> None:
    page = overview(reported(result("kill-httpd", 0.5)), ["timelines-1.html", "timelines-2.html"])
    for name in ("timelines-1.html", "timelines-2.html"):
        assert f"[{name}]({name})" in page


def test_of_a_drill_that_ran_again_the_newest_series_counts() -> None:
    former = reported(result("kill-httpd", 0.5), result("kill-etcd", 0.2))
    newer = reported(result("kill-etcd", 0.3), result("lose-app", 0.4))
    together = {drill.fault: drill for drill in merged(former, newer).drills}
    assert list(together) == ["kill-httpd", "kill-etcd", "lose-app"]
    assert together["kill-httpd"] == former.drills[0]
    assert together["kill-etcd"] == newer.drills[0]


def test_series_measured_under_other_conditions_is_refused() -> None:
    former = reported(result("kill-httpd", 0.5))
    fewer = replace(former, rates=replace(former.rates, sessions=former.rates.sessions // 10))
    with pytest.raises(ValueError, match=f"sessions={fewer.rates.sessions},"):
        merged(former, fewer)
    with pytest.raises(ValueError, match="measured with"):
        merged(former, replace(former, machine=replace(former.machine, cores=former.machine.cores + 1)))
    idle = replace(former, machine=replace(former.machine, load_average=(0.0, 0.0, 0.0)))
    assert merged(former, idle).drills == former.drills, "a run's load is told per run"


def test_the_page_agrees_with_the_results() -> None:
    """Of the repository itself."""
    assert rules.RESULTS.exists() == OVERVIEW.exists()
    if rules.RESULTS.exists():
        expected = overview(document.parsed(rules.RESULTS.read_bytes()), timelines())
        assert OVERVIEW.read_text() == expected, "run: python -m drills.report.publish"
