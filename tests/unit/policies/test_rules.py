"""Every rule, on whole stacks: what it refuses, what it can't know yet, what it leaves alone."""

from dataclasses import replace
from datetime import date
from functools import cache
from itertools import groupby
from typing import Any

import pytest

from mutation.mutant import Mutant
from mutation.score import mutants, stack_of
from mutation.variants import variants
from policies.judging import configuration
from policies.judging.judgement import Judgement, judge
from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Rule
from policies.judging.stack import Stack
from policies.rules import RULES
from tests.unit.policies.stacks import made, vsphere

TODAY = date(2026, 11, 23)
SETTINGS = configuration.load(configuration.DEFAULT, frozenset(rule.id for rule in RULES))
VARIANTS = {variant.name: variant for variant in variants() if variant.name in ("prod", "prod with DRS")}


@cache
def kinds_of_mutants() -> dict[str, list[Mutant]]:
    """By rule, one mutant of every kind: the same change, of whichever resource comes first."""
    first: dict[tuple[str, str], Mutant] = {}
    for variant in VARIANTS.values():
        for mutant in mutants(stack_of(variant)):
            first.setdefault((mutant.rule, mutant.what.partition(": ")[2]), mutant)
    return {rule: list(found) for rule, found in groupby(sorted(first.values(), key=_rule), _rule)}


def _rule(mutant: Mutant) -> str:
    return mutant.rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_single_point_of_failure_is_refused_and_where_is_said(rule: Rule[Any]) -> None:
    """Whether the whole pack refuses them, too, is tested with a sample (tests/unit/mutation/test_score.py)."""
    asked = RULES if rule.id == "SEC-02" else [rule]  # no rule may say what another one finds to be a secret
    for mutant in kinds_of_mutants().get(rule.id, []):
        violations = judge(mutant.stack(), asked, SETTINGS, "prod", TODAY).violations
        assert not any("open-sesame" in str(violation) for violation in violations), f"{mutant.what}: a secret is told"
        found = [violation for violation in violations if violation.rule.id == rule.id]
        assert found, mutant.what
        assert all(violation.finding.problem and violation.change for violation in found), mutant.what


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_what_is_unknown_is_not_refused(rule: Rule[Any], name: str) -> None:
    """Ids, files, scripts: whatever comes late must neither be refused nor break a rule."""
    for key in ("stdin", "create", "extraConfig", "name", "disks", "activeNics", "enabled", "drsEnabled", "haEnabled"):
        judgement = judge(_hidden(name, key), [rule], SETTINGS, "prod", TODAY)
        assert judgement.violations == [], key
        assert judgement.failed == [], key


@cache
def _hidden(name: str, key: str) -> Stack:
    """One for all rules: what they read of it is read once."""
    return Stack(_hiding(resource, key) for resource in stack_of(VARIANTS[name]).resources)


def _hiding(resource: Resource, key: str) -> Resource:
    if key not in resource.properties:
        return resource
    return replace(resource, properties={**resource.properties, key: UNKNOWN})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_stack_of_other_things_is_left_alone(rule: Rule[Any]) -> None:
    others = [
        vsphere("Folder", "folder", path="servers"),
        made("random:index/randomPassword:RandomPassword", "password", {"length": 32.0}, {}),
        made("aws:ec2/instance:Instance", "elsewhere", {"ami": "ami-1"}, {}),
    ]
    assert judge(Stack(others), [rule], SETTINGS, "prod", TODAY) == Judgement()
