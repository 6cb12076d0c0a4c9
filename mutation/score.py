"""Which mutants the pack refuses, and by which rule."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from mutation import files, properties, relations
from mutation.mutant import Mutant
from mutation.program import resources_of
from mutation.variants import Variant
from policies.judging.configuration import Configuration, Level
from policies.judging.judgement import Judgement, judge
from policies.judging.rule import Rule
from policies.judging.stack import Stack

MUTATIONS = (*properties.MUTATIONS, *relations.MUTATIONS, *files.MUTATIONS)


@dataclass
class Score:
    """What became of the mutants."""

    refused: int = 0
    """By the rule that is meant to."""
    by_another: list[str] = field(default_factory=list)
    """Refused, but not by the rule that is meant to."""
    survivors: list[str] = field(default_factory=list)
    false_refusals: list[str] = field(default_factory=list)
    """Sound stacks that the pack refuses, or on which a rule fails."""
    rules: dict[str, int] = field(default_factory=dict)
    """Mutants by the rule that is meant to refuse them."""

    @property
    def total(self) -> int:
        """All mutants."""
        return self.refused + len(self.by_another) + len(self.survivors)

    @property
    def share(self) -> float:
        """Per cent of the mutants that the right rule refused."""
        return 100 * self.refused / self.total if self.total else 0.0


@cache
def stack_of(variant: Variant) -> Stack:
    """A variant's resources, recorded once; its services' artifacts are stood in for."""
    with tempfile.TemporaryDirectory() as folder:
        for service in variant.config["perenne:services"].values():
            artifact = Path(folder, service["artifact"])
            artifact.parent.mkdir(parents=True, exist_ok=True)
            artifact.touch()
        return resources_of(variant.config, variant.stack, Path(folder))


def mutants(stack: Stack) -> Iterator[Mutant]:
    """Every single change to a stack that brings in a single point of failure."""
    for mutations in MUTATIONS:
        yield from mutations(stack)


def score(
    variants: Sequence[Variant],
    rules: Sequence[Rule[Any]],
    configuration: Configuration,
    today: date,
    sample: tuple[int, int] | None = None,
) -> Score:
    """Judge the variants and their mutants.

    Args:
        variants: Sound stacks.
        rules: The pack's.
        configuration: The pack's.
        today: For waivers.
        sample: How many mutants of each variant at most, and the seed that chooses them; None: all.
    """
    found = Score()
    by_id = {rule.id: rule for rule in rules}
    for variant in variants:
        stack = stack_of(variant)
        sound = judge(stack, rules, configuration, variant.stack, today)
        found.false_refusals += [f"{variant.name}: {one}" for one in (*_refusals(sound), *sound.failed)]
        every = [one for one in mutants(stack) if _counts(by_id[one.rule], variant, configuration)]
        if sample:
            size, seed = sample
            every = random.Random(seed).sample(every, min(size, len(every)))  # noqa: S311 (a sample, not a secret)
        for mutant in every:
            judgement = judge(mutant.stack(), rules, configuration, variant.stack, today)
            _note(found, variant, mutant, judgement)
    return found


def _counts(rule: Rule[Any], variant: Variant, configuration: Configuration) -> bool:
    """A rule that is switched off or advisory in an environment refuses nothing there."""
    return configuration.level(rule.id, variant.stack, mandatory=rule.mandatory) is Level.MANDATORY


def _note(found: Score, variant: Variant, mutant: Mutant, judgement: Judgement) -> None:
    found.rules[mutant.rule] = found.rules.get(mutant.rule, 0) + 1
    refusing = {one.rule.id for one in judgement.violations if one.level is Level.MANDATORY}
    name = f"{mutant.rule} {variant.name}: {mutant.what}"
    if judgement.failed:
        found.survivors.append(f"{name} ({'; '.join(map(str, judgement.failed))})")
    elif mutant.rule in refusing:
        found.refused += 1
    elif refusing:
        found.by_another.append(f"{name} (by {', '.join(sorted(refusing))})")
    else:
        found.survivors.append(name)


def _refusals(judgement: Judgement) -> list[str]:
    return [str(one) for one in judgement.violations if one.level is Level.MANDATORY]
