"""The plain program in examples/: sound as it is, and with each fault refused by the rule that its README names."""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mutation.program import recorded
from policies.judging import configuration
from policies.judging.judgement import Judgement, judge
from policies.judging.rule import Rule
from policies.rules import RULES

EXAMPLE = Path(__file__).parents[3] / "examples" / "plain-vsphere"
SETTINGS = configuration.load(EXAMPLE / "policies.yaml", frozenset(rule.id for rule in RULES))
FAULTS = dict(re.findall(r"^\| ([a-z-]+) \| \[([A-Z]+-\d+)\]", (EXAMPLE / "README.md").read_text(), re.MULTILINE))


def judged(fault: str, rules: Sequence[Rule[Any]] = RULES) -> Judgement:
    secrets = {"password": "p", "esxi-password": "e", "chap": "c", "mutual-chap": "m"}
    config = {"vcenter": "vcenter.example.com", "esxi-host-key": "ssh-ed25519 AAAA", "fault": fault, **secrets}
    values = {f"plain-vsphere:{key}": value for key, value in config.items()}
    secret = [f"plain-vsphere:{key}" for key in secrets]
    stack = recorded(EXAMPLE, "plain-vsphere", "trial", values, secret)
    return judge(stack, rules, SETTINGS, "trial", date(2026, 11, 23))


def test_it_passes_as_it_is() -> None:
    judgement = judged("none")
    assert [str(one) for one in judgement.violations] == []
    assert [str(one) for one in judgement.failed] == []


@pytest.mark.parametrize(("fault", "rule"), FAULTS.items())
def test_each_fault_is_refused_by_its_rule(fault: str, rule: str) -> None:
    judgement = judged(fault, [one for one in RULES if one.id == rule])
    assert judgement.refused
    assert judgement.violations


def test_every_rule_has_a_fault_but_for_two() -> None:
    """OPS-01 judges the pack's configuration; a host's own resource pool can only be looked up."""
    assert {rule.id for rule in RULES} - set(FAULTS.values()) == {"OPS-01", "VM-04"}


def test_the_readme_names_every_fault() -> None:
    text = "".join(file.read_text() for file in EXAMPLE.glob("*.py"))
    assert set(re.findall(r'fault [!=]= "([a-z-]+)"', text)) == FAULTS.keys()
