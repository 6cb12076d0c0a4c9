"""A resource as the engine shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


class Unknown:
    """A value that the engine will know only after the update."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()


class UndecidedError(Exception):
    """A rule met a value that isn't known yet: it decides at the update.

    Attributes:
        resource: The resource's name.
        path: The property.
    """

    def __init__(self, resource: str, path: str) -> None:
        super().__init__(f"{path} of {resource} is known only after the update")
        self.resource = resource
        self.path = path


@dataclass(frozen=True)
class Resource:
    """One resource of a stack. Secrets in `properties` are in clear: values of unknown meaning stay out of messages."""

    urn: str
    type: str
    """Pulumi's type token: `vsphere:index/virtualMachine:VirtualMachine`."""
    name: str
    """Its logical name in the program."""
    properties: Mapping[str, Any]
    """By Pulumi's names (`haEnabled`); an unknown value is `UNKNOWN`."""
    id: str | None = None
    """The provider's id, where it is known (a deployed stack)."""
    protect: bool = False
    ignore_changes: tuple[str, ...] = ()
    """Properties whose changes the program leaves alone: what they say holds for a new resource only."""
    parent: str | None = None
    """URN."""
    provider: str | None = None
    """The provider's URN."""
    dependencies: tuple[str, ...] = ()
    """URNs of every resource that it depends on."""
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URNs by property."""

    @property
    def label(self) -> str:
        """The name that people know it by: its name in vSphere, if that is known, else the one in the program."""
        for key in ("name", "hostname"):
            if isinstance(named := self.properties.get(key), str) and named:
                return named
        return self.name

    def get(self, path: str, default: Any = None) -> Any:  # noqa: ANN401 (a property may be anything)
        """Return the value at `path` ("connection.host", "disks.0.size"); `default` where there is none, or null.

        Raises:
            UndecidedError: It, or what it is in, is unknown.
        """
        value: Any = self.properties
        for step in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list | tuple) and step.isdecimal():
                value = value[int(step)] if int(step) < len(value) else None
            else:
                return default
            if value is UNKNOWN:
                raise UndecidedError(self.label, path)
        return default if value is None else value

    def items(self, path: str) -> list[Any]:
        """Return the list at `path`; empty where there is none.

        Raises:
            UndecidedError: It is unknown, or one of its items is.
        """
        found = list(self.get(path, ()))
        if any(item is UNKNOWN for item in found):
            raise UndecidedError(self.label, path)
        return found
