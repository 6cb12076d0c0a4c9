"""The pack's proof, in small: a seeded sample of every stack's mutants, and a catalogue without gaps."""

from datetime import date

import pytest

from mutation.score import mutants, score, stack_of
from mutation.variants import Variant, variants
from policies.judging import configuration
from policies.judging.configuration import Configuration
from policies.judging.judgement import judge
from policies.rules import RULES

TODAY = date(2026, 11, 23)
SAMPLE = 6
"""Mutants of each stack; `./perenne mutate` makes all."""
SETTINGS = configuration.load(configuration.DEFAULT, frozenset(rule.id for rule in RULES))


@pytest.fixture(scope="module")
def every() -> list[Variant]:
    return variants()


def test_no_sound_stack_is_refused_and_a_sample_of_mutants_is(every: list[Variant]) -> None:
    found = score(every, RULES, SETTINGS, TODAY, sample=(SAMPLE, 2026))
    assert found.false_refusals == []
    assert found.survivors == []
    assert found.by_another == []
    assert found.refused == SAMPLE * len(every)


def test_every_rule_has_a_mutant(every: list[Variant]) -> None:
    """But for the rule about waivers, which are no resources: tests/unit/policies/test_judgement.py."""
    covered = {mutant.rule for variant in every for mutant in mutants(stack_of(variant))}
    assert covered == {rule.id for rule in RULES} - {"OPS-01"}


def test_a_pack_without_a_rule_lets_its_mutants_through(every: list[Variant]) -> None:
    """The score can fall: what a missing rule should have refused survives."""
    blind = [rule for rule in RULES if not rule.id.startswith("VM")]
    meant = [mutant for mutant in mutants(stack_of(every[0])) if mutant.rule == "VM-01"][:3]
    assert meant
    for mutant in meant:
        lenient = Configuration.model_validate({"environments": {"dev": {"levels": {"SEC-04": "disabled"}}}})
        assert not judge(mutant.stack(), blind, lenient, "dev", TODAY).refused
        assert judge(mutant.stack(), RULES, lenient, "dev", TODAY).refused
