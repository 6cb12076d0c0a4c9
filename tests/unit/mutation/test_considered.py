"""The catalogue is complete: whatever a sound stack has is changed by some mutation, or considered and left."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from mutation.considered import HARMLESS, UNSEEN
from mutation.files import FILES, SCRIPTS
from mutation.score import mutants, stack_of
from mutation.variants import variants
from policies.judging.resource import Resource
from policies.judging.stack import Stack


@pytest.fixture(scope="module")
def stacks() -> list[Stack]:
    """One with DRS and one without."""
    return [stack_of(variant) for variant in variants()[:2]]


@pytest.fixture(scope="module")
def changed(stacks: list[Stack]) -> set[str]:
    """What mutations change: the difference between each mutant and the sound stack."""
    found: set[str] = set()
    for stack in stacks:
        for mutant in mutants(stack):
            after = mutant.stack().by_urn
            for urn, resource in stack.by_urn.items():
                if after.get(urn) is not resource:
                    found |= set(_differences(resource, after.get(urn)))
    return found


def test_everything_is_changed_or_considered(stacks: list[Stack], changed: set[str]) -> None:
    there = {part for stack in stacks for resource in stack.resources for part in _parts(resource)}
    considered = {**HARMLESS, **UNSEEN}
    left = sorted(one for one in there - changed if not any(fnmatchcase(one, known) for known in considered))
    assert left == [], "mutate it, or say in mutation/considered.py why not"


def test_nothing_is_considered_that_no_stack_has(stacks: list[Stack]) -> None:
    there = {part for stack in stacks for resource in stack.resources for part in _parts(resource)}
    assert [one for one in {**HARMLESS, **UNSEEN} if not any(fnmatchcase(part, one) for part in there)] == []


def test_what_no_rule_judges_is_changed_by_no_mutation(changed: set[str]) -> None:
    assert [one for one in changed if any(fnmatchcase(one, known) for known in UNSEEN)] == []


def test_every_substitution_finds_its_text(stacks: list[Stack]) -> None:
    """A pattern that a template has outgrown would leave its mutants out in silence."""
    done = {mutant.what for stack in stacks for mutant in mutants(stack)}
    assert [one.what for one in FILES if not any(what.endswith(f"{one.path}: {one.what}") for what in done)] == []
    assert [what for _, what, _, _ in SCRIPTS if not any(one.endswith(f": {what}") for one in done)] == []


def test_every_mutant_differs(stacks: list[Stack]) -> None:
    for stack in stacks:
        before = {urn: _parts_and_values(resource) for urn, resource in stack.by_urn.items()}
        for mutant in mutants(stack):
            after = {urn: _parts_and_values(resource) for urn, resource in mutant.stack().by_urn.items()}
            assert after != before, mutant.what


def _parts_and_values(resource: Resource) -> tuple[object, ...]:
    return resource.properties, resource.property_dependencies, resource.protect, resource.dependencies


def _differences(resource: Resource, after: Resource | None) -> Iterator[str]:
    kind = _kind(resource)
    if after is None:
        yield kind
        return
    if after.protect != resource.protect or after.dependencies != resource.dependencies:
        yield kind
    for key in {*resource.properties, *after.properties}:
        references = [one.property_dependencies.get(key) for one in (resource, after)]
        if resource.properties.get(key) != after.properties.get(key) or references[0] != references[1]:
            yield f"{kind}.{key}"
    files, others = _files(resource), _files(after)
    yield from (path for path, text in files.items() if others.get(path) != text)


def _parts(resource: Resource) -> Iterator[str]:
    yield _kind(resource)
    yield from (f"{_kind(resource)}.{key}" for key in resource.properties)
    yield from _files(resource)


def _kind(resource: Resource) -> str:
    return resource.type if resource.type.startswith("pulumi:") else resource.type.rpartition(":")[2]


def _files(resource: Resource) -> dict[str, object]:
    text = resource.properties.get("stdin")
    return json.loads(text) if isinstance(text, str) and text.startswith("{") else {}
