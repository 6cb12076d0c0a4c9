"""What the pages of the policy rules say of drills: just what was measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drills.faults import CATALOGUE
from drills.model import Invariant, LedgerCheck, Result
from drills.report import document, rules
from drills.report.document import Document
from drills.report.summary import Runs
from policies import pages
from policies.judging.rule import Rule
from policies.rules import RULES
from tests.unit.drills.recordings import FAULT, recording


def result(fault: str, outage: float, *, run: int = 1, lost: int = 0) -> Result:
    """A run of a drill of the catalogue, made up."""
    seen = recording(outage, failed=2)
    seen = replace(seen, ledger=LedgerCheck(written=9, acknowledged=9, lost=tuple(map(str, range(lost)))))
    return Result(
        fault=fault,
        title=CATALOGUE[fault].title,
        hit="somebody",
        run=run,
        target=None,
        recording=seen,
        injected=FAULT,
        proves=CATALOGUE[fault].proves,
        without=CATALOGUE[fault].without,
    )


def reported(*results: Result, lab: bool = True) -> Document:
    """Their report, written and read again."""
    return document.parsed(document.as_json(document.document(Runs(results), "dev", lab=lab)))


def test_a_page_quotes_its_rules_drill() -> None:
    found = reported(*(result("kill-httpd", outage, run=run) for run, outage in enumerate((0.5, 1.0, 3.0), 1)))
    texts = rules.measured(found)
    assert texts.keys() == {"BAL-01", "BAL-03"}, "the rules that it proves"
    requests = f"{found.drills[0].requests:,}"
    lead, _, *table, _, conditions, simulated, _ = texts["BAL-03"].splitlines()
    assert lead == (
        "Measured in the lab, on a stack that keeps the rule: `kill-httpd` paused users for 1.00 s and writes for"
        " 1.00 s (median of 3 runs)."
    )
    assert table[2:] == [
        f"| `kill-httpd` | Apache httpd is killed | 3 | 1.00 (3.00) | 1.00 (3.00) | 6 of {requests} | 0 |",
    ]
    assert conditions.startswith("Seconds: median (worst). 2 cores (a processor), 24 GiB; 20 requests and 10 writes")
    assert "are simulated" in simulated


def test_what_did_not_hold_comes_first_and_is_told() -> None:
    others = {"kill-postgres": 7.0, "freeze-primary-60s": 6.0, "lose-primary": 3.0, "kill-patroni": 2.0}
    broken = Invariant("sessions survive", held=False, detail="7 of 1000 lost")
    found = reported(
        *(result(name, outage) for name, outage in others.items()),
        replace(result("switchover", 0.5), invariants=(broken,)),
    )
    text = rules.measured(found)["DB-01"]
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert rows == ["switchover", "kill-postgres", "freeze-primary-60s", "lose-primary"]
    assert "- `switchover`: sessions survive: 7 of 1000 lost" in text


def test_the_drill_without_the_rule_is_quoted_beside_the_sound_one() -> None:
    gone = Invariant("sessions survive", held=False, detail="500 of 1000 lost")
    found = reported(result("lose-app", 0.5), replace(result("without-app-01", 4.0), invariants=(gone,)))
    lead, _, *table = rules.measured(found)["APP-01"].splitlines()
    assert lead == (
        "Measured in the lab, on a stack that keeps the rule: `lose-app` paused users for 0.50 s and writes for 0.50 s"
        " (median of 1 run). **With the rule broken**, `without-app-01` paused users for 4.00 s and writes for 4.00 s"
        " (median of 1 run); what must hold elsewhere and did not: sessions survive."
    )
    assert [line.split("`")[1] for line in table if line.startswith("| `")] == ["lose-app", "without-app-01"]
    assert "What must hold in every drill" not in "".join(table), "a stack with a broken rule need not hold"
    assert "without-app-01" not in rules.measured(found)["BAL-02"], "it says nothing of other rules"


def test_other_drills_that_prove_the_rule_come_after_its_own_longest_first() -> None:
    others = {
        "kill-postgres": 1.0,
        "freeze-primary-60s": 6.0,
        "lose-primary": 3.0,
        "switchover": 0.5,
        "kill-patroni": 2.0,
    }
    found = reported(
        *(result(name, outage) for name, outage in others.items()), result("control-lose-writes", 4.0, lost=7)
    )
    text = rules.measured(found)["DB-01"]
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert rows == ["control-lose-writes", "freeze-primary-60s", "lose-primary", "kill-patroni", "kill-postgres"]
    assert text.startswith("Measured in the lab, the rule taken away for it: `control-lose-writes` paused")
    assert "; 7 acknowledged writes were lost.\n" in text
    without_control = rules.measured(reported(result("kill-postgres", 1.0)))["DB-01"]
    assert without_control.startswith("Measured in the lab, on a stack that keeps the rule: `kill-postgres`")


def test_a_real_stack_is_no_lab() -> None:
    text = rules.measured(reported(result("kill-etcd", 1.0), lab=False))["DB-05"]
    assert text.startswith("Measured on stack dev, ")
    assert "simulated" not in text


def test_files_of_rules_that_have_nothing_go(tmp_path: Path) -> None:
    results, folder = tmp_path / "results.json", tmp_path / "measured"
    folder.mkdir()
    (folder / "OLD-01.md").write_text("old")
    results.write_bytes(document.as_json(reported(result("kill-etcd", 1.0))))
    rules.write(results, folder)
    assert {file.name for file in folder.iterdir()} == {"DB-05.md", "PLA-05.md"}


def test_the_pages_agree_with_the_results() -> None:
    """Of the repository itself: pages quote docs/drills/results.json and nothing else."""
    expected = rules.measured(document.parsed(rules.RESULTS.read_bytes())) if rules.RESULTS.exists() else {}
    quoted = {file.stem: file.read_text() for file in rules.QUOTED.glob("*.md")}
    assert quoted == expected, "run: python -m drills.report.publish"
    for rule, text in quoted.items():
        assert text.strip() in (pages.FOLDER / f"{rule}.md").read_text()


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.drill], ids=lambda rule: rule.id)
def test_a_rules_drill_is_in_the_catalogue_and_proves_it(rule: Rule[Any]) -> None:
    assert rule.drill in CATALOGUE
    assert rule.id in CATALOGUE[rule.drill].proves
