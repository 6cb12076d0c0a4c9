"""A stack as it is deployed: what `pulumi stack export --show-secrets` prints."""

import json
from collections.abc import Mapping
from typing import Any

from pulumi_policy.deserialize import deserialize_properties

from policies.judging.resource import UNKNOWN, Resource
from policies.judging.stack import Stack

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the engine's mark of a secret, which is public)


def stack_of(document: Mapping[str, Any]) -> Stack:
    """The resources of an exported stack, as the engine shows them to a policy pack: by their outputs.

    Secrets are in clear in the result if they are in the document; encrypted ones are unknown.
    """
    resources = (document.get("deployment") or {}).get("resources") or []
    return Stack(_resource(one) for one in resources if not one.get("delete"))


def _resource(state: Mapping[str, Any]) -> Resource:
    return Resource(
        urn=state["urn"],
        type=state["type"],
        name=state["urn"].rpartition("::")[2],
        properties=_value(state.get("inputs") or {}) | _value(state.get("outputs") or {}),
        id=state.get("id"),
        protect=bool(state.get("protect")),
        ignore_changes=tuple(state.get("ignoreChanges") or ()),
        parent=state.get("parent"),
        provider=(state.get("provider") or "").rpartition("::")[0] or None,
        dependencies=tuple(state.get("dependencies") or ()),
        property_dependencies={
            key: tuple(urns or ()) for key, urns in (state.get("propertyDependencies") or {}).items()
        },
    )


def _value(stored: Any) -> Any:  # noqa: ANN401 (a property may be anything)
    if isinstance(stored, list):
        return [_value(one) for one in stored]
    if not isinstance(stored, dict):
        return stored
    if stored.get(_SIGNATURE) == _SECRET:
        return _value(json.loads(stored["plaintext"])) if "plaintext" in stored else UNKNOWN
    if _SIGNATURE in stored:
        return deserialize_properties({"asset": stored})["asset"]
    return {key: _value(one) for key, one in stored.items()}
