"""Pulumi property values as plain Python, and back to the protocol's Struct.

A property is None, bool, int, float, str, list or dict. Two things have no Python counterpart: a value that is not
known yet (`UNKNOWN`, only during a preview) and a value that is secret (`Secret`). Assets and archives stay the dicts
that the engine sends, with their signature, so that their content hash is kept.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf import struct_pb2

# The markers of the wire format: pulumi/pulumi, sdk/go/common/resource/sig and sdk/go/common/resource/plugin/rpc.go.
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
ASSET_SIGNATURE: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_STRINGS: Final = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class _Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that is stored encrypted and shown as `[secret]`."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(…)"


Value: TypeAlias = Any
"""Any of the above."""
Properties: TypeAlias = dict[str, Value]


def decode(struct: struct_pb2.Struct) -> Properties:
    """Properties as the engine sent them, with `UNKNOWN` and `Secret` inside."""
    return {key: _decode(value) for key, value in struct.fields.items()}


def encode(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """The protocol's form of properties; those that are None are left out."""
    return struct_pb2.Struct(fields={key: _encode(value) for key, value in properties.items() if value is not None})


def reveal(value: Value) -> Value:
    """The same value without any `Secret` marks."""
    match value:
        case Secret(inner):
            return reveal(inner)
        case dict():
            return {key: reveal(item) for key, item in value.items()}
        case list():
            return [reveal(item) for item in value]
    return value


def has_secret(value: Value) -> bool:
    """Whether the value is secret or contains one."""
    return any(isinstance(node, Secret) for node in _nodes(value))


def has_unknown(value: Value) -> bool:
    """Whether the value is unknown or contains one that is."""
    return any(node is UNKNOWN for node in _nodes(value))


def is_asset(value: Value) -> bool:
    """Whether the (revealed) value is an asset."""
    return isinstance(value, dict) and value.get(SIGNATURE) == ASSET_SIGNATURE


def is_archive(value: Value) -> bool:
    """Whether the (revealed) value is an archive."""
    return isinstance(value, dict) and value.get(SIGNATURE) == ARCHIVE_SIGNATURE


def same(old: Value, new: Value) -> bool:
    """Whether two revealed values are equal; assets are equal when their content is, and unknowns never are."""
    if old is UNKNOWN or new is UNKNOWN:
        return False
    if isinstance(old, dict) and isinstance(new, dict):
        if SIGNATURE in old and old.get(SIGNATURE) == new.get(SIGNATURE) and old.get("hash") and new.get("hash"):
            return bool(old["hash"] == new["hash"])
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    return type(old) is type(new) and bool(old == new)


def _nodes(value: Value) -> Iterator[Any]:
    yield value
    match value:
        case Secret(inner):
            yield from _nodes(inner)
        case dict():
            for item in value.values():
                yield from _nodes(item)
        case list():
            for item in value:
                yield from _nodes(item)


def _decode(value: struct_pb2.Value) -> Value:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return int(value.number_value) if value.number_value.is_integer() else value.number_value
        case "string_value":
            return UNKNOWN if value.string_value in UNKNOWN_STRINGS else value.string_value
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "struct_value":
            return _decode_object(decode(value.struct_value))
    return None


def _decode_object(fields: Properties) -> Value:
    match fields.get(SIGNATURE):
        case signature if signature == SECRET_SIGNATURE:
            return Secret(fields.get("value"))
        case signature if signature == OUTPUT_SIGNATURE:
            inner = fields.get("value", UNKNOWN)
            return Secret(inner) if fields.get("secret") else inner
    return fields


def _encode(value: Value) -> struct_pb2.Value:  # noqa: PLR0911
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case _Unknown():
            return struct_pb2.Value(string_value=UNKNOWN_STRING)
        case Secret(inner):
            return struct_pb2.Value(struct_value=encode({SIGNATURE: SECRET_SIGNATURE, "value": inner}))
        case Mapping():
            return struct_pb2.Value(struct_value=struct_pb2.Struct(fields={k: _encode(v) for k, v in value.items()}))
        case Sequence():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(item) for item in value]))
    raise TypeError(f"a Pulumi property can't be a {type(value).__name__}")
