"""What the official vSphere SDK can say and the offline plugin can't do: kept in offline/vsphere/not-exercised.json.

The plugin wraps an older release of the provider than the SDK was made for. Programs keep using the official SDK, so
everything that only the newer release knows is listed, and the plugin warns when a program uses an input of the list.

`python -m offline.vsphere_gap PLUGIN` asks the built plugin what it knows and writes both offline/vsphere/schema.json
and the list; without an argument it prints the list made from schema.json.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import typing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import pulumi
import pulumi_vsphere
from pulumi._types import input_type_types, is_input_type
from pulumi.type_token import get_type_token

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parent / "vsphere"
SCHEMA = FOLDER / "schema.json"
NOT_EXERCISED = FOLDER / "not-exercised.json"

Properties: typing.TypeAlias = "Mapping[str, Properties | None]"
"""Property names; those of a nested block, or None for a value without properties of its own."""


@dataclass(frozen=True)
class Interface:
    """What an SDK or a plugin offers, by Pulumi token."""

    config: Properties
    resources: Mapping[str, Properties]
    functions: Mapping[str, Properties]


@dataclass(frozen=True)
class Gap:
    """What the SDK offers and the plugin does not, sorted."""

    sdk: str
    resources: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    inputs: dict[str, list[str]] = field(default_factory=dict)
    """Paths (`networkInterfaces.physicalFunction`) by the token of a resource type or function that both have."""

    def json(self) -> str:
        """The text of not-exercised.json."""
        return json.dumps(asdict(self), indent=2) + "\n"


def gap(sdk: Interface, plugin: Interface) -> Gap:
    """Compare the two."""
    found = Gap(sdk=f"pulumi_vsphere {version('pulumi_vsphere')}")
    if missing := sorted(_missing(sdk.config, plugin.config)):
        found.inputs["pulumi:providers:vsphere"] = missing
    for offered, known, absent in (
        (sdk.resources, plugin.resources, found.resources),
        (sdk.functions, plugin.functions, found.functions),
    ):
        for token, properties in sorted(offered.items()):
            if token not in known:
                absent.append(token)
            elif missing := sorted(_missing(properties, known[token])):
                found.inputs[token] = missing
    return found


def _missing(offered: Properties, known: Properties) -> Iterator[str]:
    for name, nested in offered.items():
        if name not in known:
            yield name
        elif nested is not None and (known_nested := known[name]) is not None:
            yield from (f"{name}.{inner}" for inner in _missing(nested, known_nested))


def plugin_interface(text: str) -> Interface:
    """What the plugin knows, from what it prints when run with -schema."""
    return Interface(**json.loads(text))


def sdk_interface() -> Interface:
    """What the installed SDK offers, read from its classes and functions."""
    resources, functions = {}, {}
    for name, member in vars(pulumi_vsphere).items():
        if inspect.isclass(member) and issubclass(member, pulumi.CustomResource):
            resources[str(get_type_token(member))] = _properties(vars(pulumi_vsphere)[f"{name}Args"])
        elif inspect.isfunction(member) and name.startswith("get_") and not name.endswith("_output"):
            token, arguments = _invoked(member)
            functions[token] = arguments
    return Interface(config=resources.pop("pulumi:providers:vsphere"), resources=resources, functions=functions)


def _properties(args: type) -> Properties:
    return {name: _nested(hint) for name, hint in input_type_types(args).items()}


def _nested(hint: object) -> Properties | None:
    """The properties of the input class somewhere inside Optional, Sequence, Union and the like."""
    if isinstance(hint, type) and is_input_type(hint):
        return _properties(hint)
    return next((found for part in typing.get_args(hint) if (found := _nested(part)) is not None), None)


def _invoked(function: typing.Callable[..., object]) -> tuple[str, Properties]:
    """A function's token and arguments, which the SDK keeps in its generated source only."""
    source = inspect.getsource(function)
    (token,) = re.findall(r"pulumi\.runtime\.invoke\('([^']+)'", source)
    hints = typing.get_type_hints(function)
    return token, {
        argument: _nested(hints[parameter])
        for argument, parameter in re.findall(r"__args__\['(\w+)'\] = (\w+)", source)
    }


def main() -> None:
    """Write the plugin's schema and the list, or print the list."""
    if len(sys.argv) > 1:
        printed = subprocess.run([sys.argv[1], "-schema"], check=True, capture_output=True, text=True).stdout
        SCHEMA.write_text(printed)
        NOT_EXERCISED.write_text(gap(sdk_interface(), plugin_interface(printed)).json())
    else:
        sys.stdout.write(gap(sdk_interface(), plugin_interface(SCHEMA.read_text())).json())


if __name__ == "__main__":
    main()
