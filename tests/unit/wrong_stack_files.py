"""Stack files with one mistake each: made of the settings' models, and by hand."""

import copy
import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from blueprint import loading
from blueprint.settings import Settings

DEV = Path(__file__).parents[2] / "Pulumi.dev.yaml"


@dataclass(frozen=True)
class Wrong:
    """A stack file, and what the one message about it must name."""

    name: str
    content: bytes
    field: str
    value: str
    """As the message shows it; empty where there is none."""
    remedy: str
    """A part of it."""


def made_of_the_models() -> Iterator[Wrong]:
    """For every key that a stack file can have: each thing that can be wrong with it."""
    sound = loading.settings_from_file(DEV).model_dump(mode="json")
    # Entries for what is empty by default, so that there is something to be wrong.
    sound["ntp"] = ["198.18.20.1"]
    sound["administrators"] = ["ssh-ed25519 AAAA"]
    sound["host_keys"] = {"psexi02": "ssh-ed25519 AAAA"}
    sound["logins"] = {"pnp-manager": "pnp-manager_b"}
    sound["wildfly"] |= {"url": "https://downloads.example/wildfly.zip", "sha256": "0" * 64}
    sound["hosts"]["psexi02"]["thumbprint"] = ":".join(["AB"] * 20)
    yield from _of_model(Settings, sound, (), sound)


def _of_model(model: type[BaseModel], node: dict[str, Any], path: tuple[str, ...], whole: Any) -> Iterator[Wrong]:  # noqa: ANN401
    """Mistakes in `node` and below it; it is found at `path` in the `whole` document."""
    for key, field in model.model_fields.items():
        place = (*path, key)
        yield _misspelt(whole, place)
        if field.is_required():
            yield _changed("missing", whole, place, remove=True, remedy="add it")
        for found, bad, remedy in _bad_values(field.annotation, field.metadata):
            yield _changed(found, whole, place, bad, remedy=remedy)
        yield from _below(field, node[key], place, whole)


def _below(field: FieldInfo, value: Any, place: tuple[str, ...], whole: Any) -> Iterator[Wrong]:  # noqa: ANN401
    """Mistakes in the value of a key: in the model, the map's first entry or the list's first entry that it is."""
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _of_model(annotation, value, place, whole)
    elif get_origin(annotation) is dict:
        first = next(iter(value))
        named = copy.deepcopy(whole)
        _at(named, list(place))["No Name"] = value[first]
        yield _wrong(f"{'.'.join(place)}: no name", named, (*place, "No Name"), "No Name", "a name such as lb01")
        entry = get_args(annotation)[1]
        if isinstance(entry, type) and issubclass(entry, BaseModel):
            yield from _of_model(entry, value[first], (*place, first), whole)
        else:
            yield from _entries(entry, (*place, first), whole)
    elif get_origin(annotation) is tuple and value:
        yield from _entries(get_args(annotation)[0], (*place, "0"), whole)


def _entries(annotation: Any, place: tuple[str, ...], whole: Any) -> Iterator[Wrong]:  # noqa: ANN401
    metadata = getattr(annotation, "__metadata__", ())
    for found, bad, remedy in _bad_values(getattr(annotation, "__origin__", annotation), list(metadata)):
        yield _changed(found, whole, place, bad, remedy=remedy)


def _bad_values(annotation: Any, metadata: list[Any]) -> Iterator[tuple[str, Any, str]]:  # noqa: ANN401
    """What is wrong, a value of which that is true, and a part of the remedy."""
    if get_origin(annotation) in (types.UnionType, Union):
        choices = [choice for choice in get_args(annotation) if choice is not types.NoneType]
        annotation = choices[-1]
        metadata = [*metadata, *getattr(annotation, "__metadata__", ())]
        annotation = getattr(annotation, "__origin__", annotation)
    if PydanticUndefined in metadata:
        return
    yield "of the wrong type", *_of_wrong_type(annotation)
    if annotation is int:
        yield "a fraction", 2.5, "without a decimal point"
        yield "a truth value", True, "without quotes"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield "a misspelt word", f"{next(iter(annotation))}s", f"did you mean {next(iter(annotation))}?"
    if annotation is IPv4Address:
        yield "no address", "198.18.20.256", "an address like"
        yield "a name instead of an address", "psexi02.vmlabs.int", "an address like"
    if annotation is IPv4Network:
        yield "a network with host bits", "198.18.20.1/24", "without host bits"
        yield "a network without a range", "198.18.20.0/33", "a network like"
    yield from _out_of_bounds(metadata)


def _of_wrong_type(annotation: Any) -> tuple[Any, str]:  # noqa: ANN401
    if annotation in (int, float):
        return "many", "without quotes"
    if annotation is bool:
        return "yes", "true or false"
    if get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, StrEnum)):
        return "firewall", "use one of"
    if get_origin(annotation) is tuple:
        return "one", "in brackets"
    if get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return ["one"], "keys and values below it"
    return ["one"], "one value, not a list"


def _out_of_bounds(metadata: list[Any]) -> Iterator[tuple[str, Any, str]]:
    for limit in metadata:
        match limit:
            case Ge(ge=least):
                yield "too small", int(str(least)) - 1, f"at least {least}"
            case Gt(gt=least):
                yield "too small", least, f"more than {least}"
            case Le(le=most):
                yield "too large", int(str(most)) + 1, f"at most {most}"
            case MinLen(min_length=1):
                pass  # of text and maps alike; by hand
            case FieldInfo():
                yield from _out_of_bounds(limit.metadata)
            case _ if getattr(limit, "pattern", None):
                yield "of the wrong form", "so/not", "write "


def _misspelt(whole: dict[str, Any], place: tuple[str, ...]) -> Wrong:
    *parents, key = place
    document = copy.deepcopy(whole)
    node = _at(document, parents)
    node[f"{key}s"] = node.pop(key)
    return _wrong(f"{'.'.join(place)}s: unknown key", document, (*parents, f"{key}s"), "", f"did you mean {key}?")


def _changed(
    found: str,
    whole: dict[str, Any],
    place: tuple[str, ...],
    value: Any = None,  # noqa: ANN401 (any data)
    *,
    remove: bool = False,
    remedy: str,
) -> Wrong:
    *parents, last = place
    document = copy.deepcopy(whole)
    node = _at(document, parents)
    if remove:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    shown = "" if remove or isinstance(value, dict) else str(value) if not isinstance(value, list) else "["
    return _wrong(f"{'.'.join(place)}: {found}", document, place, "true" if value is True else shown, remedy)


def _at(document: Any, path: list[str]) -> Any:  # noqa: ANN401 (any data)
    for part in path:
        document = document[int(part) if isinstance(document, list) else part]
    return document


def _wrong(name: str, document: Mapping[str, Any], place: tuple[str, ...], value: str, remedy: str) -> Wrong:
    # JSON is YAML, and is written and read ten times as fast.
    config = {f"perenne:{key}": each for key, each in document.items()}
    return Wrong(name, json.dumps({"config": config}).encode(), f"perenne:{'.'.join(place)}", value, remedy)
