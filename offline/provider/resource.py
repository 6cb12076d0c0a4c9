"""What a resource type is: its properties, and what creating, changing and deleting one of them does."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from offline.provider.values import UNKNOWN, Properties, Secret, Value, has_unknown, is_archive, is_asset, reveal, same

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True)
class Property:
    """One property of a resource, a provider or a nested object.

    Attributes:
        type: string, boolean, integer, number, array, object, asset (an asset or an archive) or any.
        required: the program has to give it.
        default: its value when the program gives none.
        secret: always stored and shown as a secret.
        replaces: a change of it replaces the resource.
        computed: the provider fills it in when the program gives none; no longer giving it changes nothing.
        unordered: an array in which neither order nor repetition matters.
        choices: the only values allowed; empty: any.
        fields: the properties of an object of fixed shape.
        items: what an array or an object of free shape consists of.
        refused: why this provider does not take it, for properties that only the official one implements.
    """

    type: str = "string"
    required: bool = False
    default: Any = None
    secret: bool = False
    replaces: bool = False
    computed: bool = False
    unordered: bool = False
    choices: tuple[str, ...] = ()
    fields: Mapping[str, Property] = field(default_factory=dict)
    items: Property | None = None
    refused: str = ""


@dataclass(frozen=True)
class Failure:
    """What is wrong with one input, in words for the person who wrote the program."""

    property: str
    reason: str


@dataclass(frozen=True)
class Change:
    """One changed property: its path, and whether it was added, deleted or updated."""

    path: str
    kind: str
    replaces: bool


@dataclass(frozen=True)
class Call:
    """The circumstances of one operation: the resource's name and a log line that the person sees while it runs."""

    name: str
    log: Callable[[str], None] = lambda _line: None


@dataclass(frozen=True)
class State:
    """An existing resource: its id, what the program asked for, and what it then was. No `Secret` marks."""

    id: str
    inputs: Properties
    outputs: Properties


class Resource(ABC):
    """A resource type. Property values reach its methods revealed and known; `ProviderError` says what went wrong."""

    urn_type: ClassVar[str]
    inputs: ClassVar[Mapping[str, Property]]
    outputs: ClassVar[Mapping[str, Property]] = {}
    """What the provider adds to the inputs; it changes with every create and update."""
    secrets_spread: ClassVar[bool] = False
    """Whether one secret input makes every added output secret."""
    always_replaces: ClassVar[bool] = False
    deletes_before_replace: ClassVar[bool] = False
    aliases: ClassVar[tuple[str, ...]] = ()

    def validate(self, inputs: Properties) -> list[Failure]:
        """Mistakes beyond the type of one property; values may be `UNKNOWN`."""
        del inputs
        return []

    def default_name(self, name: str, seed: bytes) -> Properties:
        """Inputs that follow from the resource's Pulumi name when the program gives none."""
        del name, seed
        return {}

    def replaces_in_place(self, olds: Properties, news: Properties) -> bool:
        """Whether the old one has to go before its replacement can come."""
        del olds, news
        return self.deletes_before_replace

    @abstractmethod
    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Make it; returns its id and its outputs."""

    @abstractmethod
    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Change it in place; returns its outputs."""

    @abstractmethod
    async def delete(self, old: State, call: Call) -> None:
        """Remove it; one that is gone already is no error."""

    @abstractmethod
    async def read(self, old: State, call: Call) -> State | None:
        """How it is now, or None when it is gone. Importing reads with an id and nothing else."""


class ProviderError(Exception):
    """An operation failed; the text is for the person who runs Pulumi."""


def check(spec: Mapping[str, Property], news: Properties, owner: str) -> tuple[Properties, list[Failure]]:
    """Inputs with defaults and secret marks, and what is wrong with them.

    Nothing is dropped in silence: a property that is not in `spec`, or that it refuses, is a failure.
    """
    return _check(spec, news, owner, "")


def changes(spec: Mapping[str, Property], olds: Properties, news: Properties) -> list[Change]:
    """How revealed new inputs differ from the old ones."""
    found: list[Change] = []
    for name, prop in spec.items():
        old, new = olds.get(name), news.get(name)
        if prop.computed and new is None:
            continue
        if prop.unordered and isinstance(old, list) and isinstance(new, list) and not has_unknown(new):
            old, new = sorted(set(old)), sorted(set(new))
        found += [replace(change, replaces=prop.replaces) for change in _changes(name, old, new)]
    return found


def schema(name: str, version: str, config: Mapping[str, Property], resources: list[Resource]) -> str:
    """A Pulumi package schema (JSON) of the resources, enough for the engine and for policy packs."""
    return json.dumps(
        {
            "name": name,
            "version": version,
            "config": {"variables": _schema(config)},
            "provider": {"inputProperties": _schema(config)},
            "resources": {
                resource.urn_type: {
                    "properties": _schema({**resource.inputs, **resource.outputs}),
                    "inputProperties": _schema(resource.inputs),
                    "requiredInputs": [key for key, prop in resource.inputs.items() if prop.required],
                    "aliases": [{"type": alias} for alias in resource.aliases],
                }
                for resource in resources
            },
        }
    )


def _check(spec: Mapping[str, Property], news: Properties, owner: str, prefix: str) -> tuple[Properties, list[Failure]]:
    failures = [
        Failure(prefix + key, f"{owner} has no property {prefix + key}; it has {', '.join(sorted(spec))}")
        for key in news
        if key not in spec and not key.startswith("__")
    ]
    inputs: Properties = {}
    for name, prop in spec.items():
        value = news.get(name)
        if reveal(value) is None:
            value = prop.default
        if value is None:
            if prop.required:
                failures.append(Failure(prefix + name, f"{owner} needs the property {prefix + name}"))
            continue
        if prop.refused:
            failures.append(Failure(prefix + name, f"{prefix + name} is not available offline: {prop.refused}"))
            continue
        checked, wrong = _check_value(prop, value, owner, prefix + name)
        inputs[name] = Secret(checked) if prop.secret and not isinstance(checked, Secret) else checked
        failures += wrong
    return inputs, failures


def _check_value(prop: Property, value: Value, owner: str, path: str) -> tuple[Any, list[Failure]]:  # noqa: PLR0911
    """The value with nested defaults and marks filled in, and what is wrong with it."""
    if isinstance(value, Secret):
        inner, failures = _check_value(prop, value.value, owner, path)
        return Secret(inner), failures
    if value is UNKNOWN or prop.type == "any":
        return value, []
    if prop.type == "asset":
        ok = is_asset(value) or is_archive(value)
        return value, [] if ok else [Failure(path, f"{path} has to be an asset or an archive")]
    if not isinstance(value, _TYPES[prop.type]) or (isinstance(value, bool) and prop.type != "boolean"):
        return value, [Failure(path, f"{path} has to be of type {prop.type}")]
    if prop.choices and value not in prop.choices:
        return value, [Failure(path, f"{path} is {value!r}; it has to be one of {', '.join(prop.choices)}")]
    if prop.fields:
        return _check(prop.fields, cast("Properties", value), owner, path + ".")
    if prop.items is not None:
        return _check_items(prop.items, value, owner, path)
    return value, []


def _check_items(prop: Property, value: Value, owner: str, path: str) -> tuple[Any, list[Failure]]:
    failures: list[Failure] = []
    named = value.items() if isinstance(value, dict) else enumerate(value)
    checked = []
    for key, item in named:
        inner, wrong = _check_value(prop, item, owner, f"{path}[{key!r}]")
        checked.append((key, inner))
        failures += wrong
    return (dict(checked) if isinstance(value, dict) else [item for _, item in checked]), failures


def _changes(path: str, old: Value, new: Value) -> list[Change]:
    if (old is None and new is None) or same(old, new):
        return []
    if old is None:
        return [Change(path, "add", replaces=False)]
    if new is None:
        return [Change(path, "delete", replaces=False)]
    if isinstance(old, dict) and isinstance(new, dict) and not (is_asset(new) or is_archive(new)):
        return [
            change
            for key in sorted({*old, *new})
            for change in _changes(
                f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]", old.get(key), new.get(key)
            )
        ]
    return [Change(path, "update", replaces=False)]


def _schema(spec: Mapping[str, Property]) -> dict[str, dict[str, Any]]:
    return {name: _schema_of(prop) for name, prop in spec.items()}


def _schema_of(prop: Property) -> dict[str, Any]:
    special = {"any": "pulumi.json#/Any", "asset": "pulumi.json#/Asset"}
    shape: dict[str, Any] = {"$ref": special[prop.type]} if prop.type in special else {"type": prop.type}
    if prop.type == "array":
        shape["items"] = _schema_of(prop.items or Property("any"))
    if prop.type == "object":
        shape["additionalProperties"] = _schema_of(prop.items or Property("any"))
    if prop.secret:
        shape["secret"] = True
    if prop.replaces:
        shape["replaceOnChanges"] = True
    return shape
