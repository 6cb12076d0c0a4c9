"""What a killed engine left unfinished, as Pulumi's state tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.events import name_of

State = Mapping[str, Any]
"""A stack's deployment as `pulumi stack export` has it."""


@dataclass(frozen=True)
class Operation:
    """Something that the engine was doing."""

    verb: str
    """`creating`, `updating`, `deleting`, `reading` or `importing` (sdk/go/common/apitype: `OperationType`)."""
    resource: Mapping[str, Any]
    """As it would have been in the state; one that is being created has no id yet."""

    @property
    def urn(self) -> str:
        """The resource's URN."""
        return str(self.resource["urn"])

    @property
    def kind(self) -> str:
        """The resource's type token."""
        return str(self.resource["type"])

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The resource's inputs; secrets are encrypted."""
        return self.resource.get("inputs") or {}

    def __str__(self) -> str:
        """`creating VirtualMachine db01-vm`."""
        return f"{self.verb} {name_of(self.urn)}"


def operations(state: State) -> list[Operation]:
    """What the state has as unfinished."""
    left = (state.get("deployment") or {}).get("pending_operations") or []
    return [Operation(one["type"], one["resource"]) for one in left]


def describe(left: Sequence[Operation]) -> str:
    """Unfinished operations in one line."""
    return ", ".join(str(one) for one in left)


def records(state: State) -> list[Mapping[str, Any]]:
    """The resources in the state."""
    return list((state.get("deployment") or {}).get("resources") or [])
