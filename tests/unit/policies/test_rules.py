"""Every rule, on whole stacks: what it refuses, what it can't know yet, what it leaves alone."""

from dataclasses import replace
from datetime import date
from functools import cache
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
STACKS = {variant.name: stack_of(variant) for variant in variants() if variant.name in ("prod", "prod with DRS")}


def kinds_of_mutants() -> list[Mutant]:
    """One mutant of every kind: the same change, of whichever resource comes first."""
    first: dict[tuple[str, str], Mutant] = {}
    for stack in STACKS.values():
        for mutant in mutants(stack):
            first.setdefault((mutant.rule, mutant.what.partition(": ")[2]), mutant)
    return list(first.values())


@pytest.mark.parametrize("mutant", kinds_of_mutants(), ids=lambda mutant: f"{mutant.rule} {mutant.what}")
def test_a_single_point_of_failure_is_refused_and_where_is_said(mutant: Mutant) -> None:
    judgement = judge(mutant.stack(), RULES, SETTINGS, "prod", TODAY)
    found = [violation for violation in judgement.violations if violation.rule.id == mutant.rule]
    assert found
    assert all(violation.finding.problem and violation.change for violation in found)
    assert not any("open-sesame" in str(violation) for violation in judgement.violations), "a secret in a message"


@pytest.mark.parametrize("name", STACKS)
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
    return Stack(_hiding(resource, key) for resource in STACKS[name].resources)


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
