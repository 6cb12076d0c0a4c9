"""The engine's stream of events, as a person is shown it."""

import json
from typing import Any

from cli.events import Deployment, name_of

DB01 = "urn:pulumi:dev::perenne::perenne:index:VirtualMachine$vsphere:index/virtualMachine:VirtualMachine::db01"
STACK = "urn:pulumi:dev::perenne::pulumi:pulumi:Stack::perenne-dev"


def _read(deployment: Deployment, **event: Any) -> str | None:  # noqa: ANN401 (an event's content)
    return deployment.read(json.dumps({"sequence": 1, "timestamp": 2, **event}))


def _step(urn: str, operation: str, *, planning: bool = False) -> dict[str, Any]:
    metadata = {"op": operation, "urn": urn, "type": urn.split("::")[2].rsplit("$", maxsplit=1)[-1]}
    return {"metadata": metadata, **({"planning": True} if planning else {})}


def _previewed(*operations: tuple[str, str]) -> Deployment:
    deployment = Deployment()
    for urn, operation in operations:
        _read(deployment, resourcePreEvent=_step(urn, operation, planning=True))
    _read(deployment, summaryEvent={"resourceChanges": {"create": len(operations)}, "isPreview": True})
    return deployment


def test_progress_counts_what_the_preview_found() -> None:
    deployment = _previewed((STACK, "create"), (DB01, "create"))
    _read(deployment, resourcePreEvent=_step(STACK, "create"))
    _read(deployment, resourcePreEvent=_step(DB01, "create"))
    assert deployment.progress == "0/2 VirtualMachine db01"
    _read(deployment, resOutputsEvent=_step(DB01, "create"))
    assert deployment.progress.strip() == "1/2"


def test_a_failure_is_no_longer_under_way() -> None:
    deployment = _previewed((DB01, "create"))
    _read(deployment, resourcePreEvent=_step(DB01, "create"))
    assert _read(deployment, resOpFailedEvent=_step(DB01, "create")) == "failed: VirtualMachine db01"
    assert not deployment.running


def test_the_last_summary_counts() -> None:
    deployment = _previewed((DB01, "create"))
    _read(deployment, summaryEvent={"resourceChanges": {"same": 3}, "isPreview": False})
    assert deployment.changed == 0
    assert deployment.summary == "3 unchanged"


def test_an_error_is_kept_once_with_its_resource() -> None:
    deployment = Deployment()
    for _ in range(2):
        _read(deployment, diagnosticEvent={"urn": DB01, "message": "no such datastore\n", "severity": "error"})
    assert deployment.errors == ["VirtualMachine db01: no such datastore"]


def test_debug_messages_are_dropped_as_they_have_secrets_in_clear() -> None:
    deployment = Deployment()
    secret = "string_value: hunter2"  # noqa: S105
    assert _read(deployment, diagnosticEvent={"message": secret, "severity": "debug"}) is None
    assert _read(deployment, diagnosticEvent={"message": secret, "severity": "info", "ephemeral": True}) is None
    assert "hunter2" not in repr(deployment)


def test_only_a_mandatory_policy_is_an_error() -> None:
    deployment = Deployment()
    for level in ("advisory", "mandatory"):
        _read(deployment, policyEvent={"policyName": level, "message": "one host only", "enforcementLevel": level})
    assert deployment.errors == ["policy mandatory: one host only"]


def test_what_is_no_event_is_passed_over() -> None:
    deployment = Deployment()
    assert [deployment.read(line) for line in ("", "warning: x", "{", '{"cancelEvent": {}}')] == [None] * 4


def test_a_name_is_the_kind_and_the_name() -> None:
    assert name_of(DB01) == "VirtualMachine db01"
    assert name_of(STACK) == "Stack perenne-dev"
