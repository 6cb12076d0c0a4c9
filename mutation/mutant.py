"""A stack with one change that brings in a single point of failure."""

from collections.abc import Callable
from dataclasses import dataclass

from mutation.changes import Edit, edited
from policies.judging.resource import Resource
from policies.judging.stack import Stack


@dataclass(frozen=True)
class Mutant:
    """One change; `rule` is the one that is meant to refuse it."""

    rule: str
    what: str
    """The resource and the change."""
    stack: Callable[[], Stack]
    """Makes the changed stack."""


def changed(rule: str, stack: Stack, resource: Resource, what: str, edit: Edit) -> Mutant:
    """One resource of a stack, changed."""
    return Mutant(rule, f"{resource.label}: {what}", lambda: edited(stack, resource.urn, edit))


def with_more(rule: str, stack: Stack, what: str, resource: Resource) -> Mutant:
    """A stack with one resource more."""
    return Mutant(rule, what, lambda: Stack((*stack.resources, resource)))
