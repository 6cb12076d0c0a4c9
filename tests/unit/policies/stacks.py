"""Stacks made by hand, for tests of single rules."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from policies.judging.configuration import Configuration
from policies.judging.judgement import Judgement, judge
from policies.judging.resource import Resource
from policies.judging.rule import Rule
from policies.judging.stack import Stack

TODAY = date(2026, 11, 23)


def vsphere(
    kind: str, logical: str, /, *, refers: Mapping[str, Sequence[Resource]] | None = None, **rest: object
) -> Resource:
    """A vSphere resource: `rest` are its properties, `refers` the resources behind some of them."""
    token = f"vsphere:index/{kind[0].lower()}{kind[1:]}:{kind}"
    return made(token, logical, rest, refers or {})


def made(
    token: str,
    name: str,
    properties: Mapping[str, Any],
    refers: Mapping[str, Sequence[Resource]],
    **options: Any,  # noqa: ANN401
) -> Resource:
    """Any resource."""
    references = {key: tuple(one.urn for one in found) for key, found in refers.items()}
    return Resource(
        urn=f"urn:pulumi:test::project::{token}::{name}",
        type=token,
        name=name,
        properties=properties,
        property_dependencies=references,
        dependencies=tuple(urn for urns in references.values() for urn in urns),
        **options,
    )


def judged(rule: Rule[Any], *resources: Resource, configuration: Configuration | None = None) -> Judgement:
    """What one rule says of a stack of these resources."""
    return judge(Stack(resources), [rule], configuration or Configuration(), "prod", TODAY)
