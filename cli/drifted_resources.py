"""Where a site's resources differ from what the program says: the engine's preview after it looked at the site."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cli.events import name_of

_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105  # the key that marks one, not a secret
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Marks of Pulumi's protocol (sdk/go/common/resource: `SigKey`; rpc: `UnknownStringValue`)."""

_MASKED = "[secret]"
_LONGEST_VALUE = 80


class Cause(StrEnum):
    """Why a site and the program differ."""

    SITE = "changed on the site"
    PROGRAM = "not deployed yet"


@dataclass(frozen=True)
class Drift:
    """One thing that is not as the program says."""

    where: str
    """The resource or server: `ComputeCluster esxi-cluster`."""
    what: str
    """The property or file; empty for the whole resource."""
    problem: str
    cause: Cause
    renew: str = ""
    """The URN of the resource that has to be made afresh for it to be mended; empty where a refresh is enough."""

    def __str__(self) -> str:
        """In words."""
        return " ".join(filter(None, (self.where, self.what, self.problem, f"({self.cause})")))


def drifted(steps: Sequence[Mapping[str, Any]], recorded: Mapping[str, Mapping[str, Any]]) -> Iterator[Drift]:
    """What the steps of a preview after a refresh would mend.

    Args:
        steps: The steps (`Engine.steps`).
        recorded: What the state had of each resource before, by URN.
    """
    names = dict(_names(recorded))
    for step in steps:
        urn, where = step["urn"], name_of(step["urn"])
        known = recorded.get(urn)
        match step["op"]:
            case "create" if known:
                yield Drift(where, "", "is gone", Cause.SITE)
            case "create":
                yield Drift(where, "", "is not made yet", Cause.PROGRAM)
            case "delete":
                yield Drift(where, "", "is no longer wanted", Cause.PROGRAM)
            case "update" | "replace":
                yield from _properties(step, (known or {}).get("inputs", {}), names)


def _properties(step: Mapping[str, Any], known: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Drift]:
    """Each property that differs, with both values."""
    where, kind = name_of(step["urn"]), step["urn"].split("::")[2].rsplit("$", 1)[-1]
    found, wanted = (step[state].get("inputs", {}) for state in ("oldState", "newState"))
    for key in sorted(_reasons(step)):
        same_as_before = found.get(key) == known.get(key) or _is_secret(found.get(key))
        cause = Cause.PROGRAM if same_as_before else Cause.SITE
        if kind.startswith("command:"):  # a script and what it reads: long, and partly secret
            yield Drift(where, key, "differs from what the server was last given", Cause.PROGRAM)
        elif kind.endswith(":VirtualMachine") and key == "hostSystemId":
            here, there = (_shown(each.get(key), names) for each in (found, wanted))
            yield Drift(where, key, f"runs on {here}, the program says {there}", cause)
        else:
            here, there = (_shown(each.get(key), names) for each in (found, wanted))
            yield Drift(where, key, f"is {here}, the program says {there}", cause)


def _reasons(step: Mapping[str, Any]) -> set[str]:
    """The properties for whose sake the step is done, without the way down to the part of them that differs."""
    paths = step.get("diffReasons") or step.get("detailedDiff") or ["__all"]
    return {path.split(".")[0].split("[")[0] for path in paths}


def _names(recorded: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What people call the things that vCenter has ids for."""
    for urn, resource in recorded.items():
        inputs = resource.get("inputs", {})
        if resource.get("id"):
            called = inputs.get("hostname") or inputs.get("name")
            yield resource["id"], called if isinstance(called, str) else urn.rsplit("::", 1)[-1]


def _is_secret(value: object) -> bool:
    """Whether it is one, or has one in it; no provider reads secrets back, so that only the program changes them."""
    text = json.dumps(value)
    return _SECRET in text or _MASKED in text


def _shown(value: object, names: Mapping[str, str]) -> str:
    if value is None:
        return "not set"
    if _is_secret(value):
        return "another secret"
    text = json.dumps(value)
    if _UNKNOWN in text:
        return "something that is known later"
    if isinstance(value, str) and value in names:
        return names[value]
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
