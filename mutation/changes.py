"""Changes to a stack as the engine shows it: what the mutations are made of."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from policies.judging.resource import Resource
from policies.judging.stack import Stack

Edit = Callable[[Resource], Resource | None]
"""What becomes of a resource; None: it goes."""

Change = Callable[[Resource], Resource]
"""The same of one that stays."""


def edited(stack: Stack, urn: str, edit: Edit) -> Stack:
    """The stack with one resource changed, or without it; references to one that is gone go, too."""
    resources = [edit(one) if one.urn == urn else one for one in stack.resources]
    left = [one for one in resources if one is not None]
    there = {one.urn for one in left}
    return Stack(one if there >= {*one.dependencies} else _forgetting(one, there) for one in left)


def _forgetting(resource: Resource, there: set[str]) -> Resource:
    def kept(urns: Iterable[str]) -> tuple[str, ...]:
        return tuple(urn for urn in urns if urn in there)

    references = {key: kept(urns) for key, urns in resource.property_dependencies.items()}
    return replace(resource, dependencies=kept(resource.dependencies), property_dependencies=references)


def gone(_resource: Resource) -> None:
    """The resource isn't there."""


def setting(key: str, value: Any) -> Change:  # noqa: ANN401 (a property may be anything)
    """A property has another value."""
    return lambda one: replace(one, properties={**one.properties, key: value})


def unset(key: str) -> Edit:
    """A property isn't given."""

    def edit(one: Resource) -> Resource:
        properties = {name: value for name, value in one.properties.items() if name != key}
        references = {name: urns for name, urns in one.property_dependencies.items() if name != key}
        return replace(one, properties=properties, property_dependencies=references)

    return edit


def referring(key: str, targets: Iterable[str]) -> Change:
    """A property refers to other resources (by URN)."""
    found = tuple(targets)
    return lambda one: replace(one, property_dependencies={**one.property_dependencies, key: found})


def both(first: Change, second: Change) -> Edit:
    """One edit after the other."""
    return lambda one: second(first(one))


def not_after(urn: str) -> Edit:
    """A resource doesn't wait for another one."""
    return lambda one: replace(one, dependencies=tuple(each for each in one.dependencies if each != urn))


def unprotected(one: Resource) -> Resource:
    """The resource can be deleted."""
    return replace(one, protect=False)


def file_edit(path: str, change: Callable[[str], str]) -> Edit:
    """A file in a command's standard input reads otherwise."""

    def edit(one: Resource) -> Resource:
        document: dict[str, Mapping[str, Any]] = json.loads(one.properties["stdin"])
        document[path] = {**document[path], "content": change(document[path]["content"])}
        return replace(one, properties={**one.properties, "stdin": json.dumps(document)})

    return edit


def file_gone(path: str) -> Edit:
    """A file isn't put on the server."""

    def edit(one: Resource) -> Resource:
        document = {name: entry for name, entry in json.loads(one.properties["stdin"]).items() if name != path}
        return replace(one, properties={**one.properties, "stdin": json.dumps(document)})

    return edit


def script_edit(change: Callable[[str], str]) -> Edit:
    """A command's script reads otherwise."""

    def edit(one: Resource) -> Resource:
        texts = {key: change(one.properties[key]) for key in ("create", "update") if one.properties.get(key)}
        return replace(one, properties={**one.properties, **texts})

    return edit
