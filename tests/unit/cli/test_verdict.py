"""What people and programs are told of a judgement."""

import json
from datetime import date
from typing import Any

import pytest

from cli import sarif, verdict
from policies.judging.configuration import Level
from policies.judging.report import Accepted, Mistake, Open, Report, Reported
from policies.judging.rule import Pillar, Severity

STACK_FILE = "config:\n  perenne:hosts:\n    # psexi02 is the first\n    psexi02: { address: 198.18.10.80 }\n"


def violation(**changes: Any) -> Reported:  # noqa: ANN401
    facts = {
        "rule": "CLU-01",
        "title": "vSphere HA is on",
        "pillar": Pillar.CLUSTER,
        "severity": Severity.CRITICAL,
        "level": Level.MANDATORY,
        "resource": "perenne",
        "urn": "urn:pulumi:dev::perenne::x:y:Z::perenne",
        "problem": "vSphere HA is off",
        "outage": "Servers stay down.",
        "change": "Set haEnabled: true.",
    }
    return Reported.model_validate(facts | changes)


def report(*violations: Reported, **parts: Any) -> Report:  # noqa: ANN401
    refused = any(one.level is Level.MANDATORY for one in violations) or bool(parts.get("failed"))
    facts = {"violations": list(violations), "waived": [], "undecided": [], "failed": []}
    return Report.model_validate({"stack": "dev", "refused": refused, **facts, **parts})


WAIVED = violation(waiver=Accepted(reason="moves", owner="ops", expires=date(2027, 3, 1)))


def test_violations_of_one_rule_that_ask_for_one_change_stand_together() -> None:
    text = verdict.as_text(report(violation(), violation(resource="other")))
    assert [line.rstrip() for line in text.splitlines()] == [
        "CRITICAL: data is lost, or the service is down until somebody mends it by hand",
        "  CLU-01  vSphere HA is on",
        "    ✗ perenne: vSphere HA is off",
        "    ✗ other: vSphere HA is off",
        "      to do  Set haEnabled: true.",
        "      costs  Servers stay down.",
        "      docs/policies/CLU-01.md",
    ]


@pytest.mark.parametrize(
    ("judged", "line"),
    [
        (report(), "Stack dev passes: no single point of failure found."),
        (report(violation(), violation(resource="x")), "Stack dev refused: 2 violations of 1 rule."),
        (report(violation(level=Level.ADVISORY)), "Stack dev passes: 1 advice."),
        (report(waived=[WAIVED]), "Stack dev passes: 1 waived."),
        (report(failed=[Mistake(rule="CLU-01", error="KeyError")]), "Stack dev refused: 1 rule failed."),
    ],
)
def test_the_whole_in_one_line(judged: Report, line: str) -> None:
    assert verdict.summary(judged).plain == line


def test_waivers_failures_and_what_is_open_are_told() -> None:
    judged = report(
        waived=[WAIVED],
        undecided=[Open(rule="BAL-01", why="unknown"), Open(rule="BAL-01", why="unknown too")],
        failed=[Mistake(rule="STO-01", error="KeyError")],
    )
    assert [line.rstrip() for line in verdict.as_text(judged).splitlines()] == [
        "STO-01 itself failed (KeyError): the stack was not judged by it",
        "accepted CLU-01 perenne: vSphere HA is off; until 2027-03-01 by ops: moves",
        "decided at the update, when more is known: BAL-01",
    ]


def test_a_refusal_leaves_advice_out() -> None:
    judged = report(violation(), violation(rule="CLU-09", level=Level.ADVISORY))
    failure = verdict.refusal(judged, deployed=True, log=None)
    assert failure.what == "the policies refuse stack dev, as it was just deployed"
    assert "CLU-09" not in failure.why


def test_sarif_has_what_the_standard_requires() -> None:
    """Required properties by SARIF 2.1.0, sections 3.13, 3.14, 3.18, 3.19, 3.27, 3.49."""
    found = violation(resource="psexi02.vmlabs.int")
    made = sarif.document(report(found, waived=[WAIVED]), "Pulumi.dev.yaml", STACK_FILE)
    assert made["version"] == "2.1.0"
    (run,) = made["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "Perenne"
    assert run["invocations"][0]["executionSuccessful"] is True
    assert [rule["id"] for rule in driver["rules"]] == ["CLU-01"]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"]
    first, waived = run["results"]
    place = first["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("Pulumi.dev.yaml", 4)
    assert "suppressions" not in first
    assert waived["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "moves (ops, until 2027-03-01)"}
    ]


_SARIF: dict[str, tuple[set[str], dict[str, str]]] = {
    "sarifLog": ({"version", "runs"}, {"$schema": "", "version": "", "runs": "run"}),
    "run": (
        {"tool"},
        {"tool": "tool", "automationDetails": "details", "invocations": "invocation", "results": "result"},
    ),
    "tool": ({"driver"}, {"driver": "toolComponent"}),
    "toolComponent": ({"name"}, {"name": "", "informationUri": "", "rules": "reportingDescriptor"}),
    "reportingDescriptor": (
        {"id"},
        {"id": "", "shortDescription": "text", "fullDescription": "text", "help": "text", "properties": "bag"},
    ),
    "text": ({"text"}, {"text": ""}),
    "details": (set(), {"id": ""}),
    "invocation": ({"executionSuccessful"}, {"executionSuccessful": "", "toolExecutionNotifications": "notification"}),
    "notification": ({"message"}, {"level": "", "message": "text", "associatedRule": "details"}),
    "result": (
        {"message"},
        {
            "ruleId": "",
            "ruleIndex": "",
            "level": "",
            "message": "text",
            "locations": "location",
            "partialFingerprints": "bag",
            "suppressions": "suppression",
        },
    ),
    "location": (set(), {"physicalLocation": "physicalLocation", "logicalLocations": "logicalLocation"}),
    "physicalLocation": ({"artifactLocation"}, {"artifactLocation": "artifactLocation", "region": "region"}),
    "artifactLocation": (set(), {"uri": "", "uriBaseId": ""}),
    "region": ({"startLine"}, {"startLine": ""}),
    "logicalLocation": (set(), {"name": "", "fullyQualifiedName": "", "kind": ""}),
    "suppression": ({"kind"}, {"kind": "", "status": "", "justification": ""}),
}
"""What the schema of SARIF 2.1.0 requires of the objects that are used here, and which properties it knows of them."""


def faults(kind: str, found: dict[str, Any]) -> list[str]:
    """Where a part of a document is not as the schema wants it."""
    if kind == "bag":
        return [key for key, one in found.items() if not isinstance(one, str | list)]
    required, allowed = _SARIF[kind]
    wrong = [f"{kind}.{key}" for key in (required - found.keys()) | (found.keys() - allowed.keys())]
    for key, inner in allowed.items():
        values = found[key] if isinstance(found.get(key), list) else [found[key]] if key in found else []
        for one in values:
            wrong += faults(inner, one) if inner else [] if isinstance(one, str | int) else [f"{kind}.{key}"]
    return wrong


def test_sarif_has_nothing_that_its_schema_does_not_know() -> None:
    judged = report(violation(urn=None), waived=[WAIVED], failed=[Mistake(rule="STO-01", error="KeyError")])
    made = sarif.document(judged, "Pulumi.dev.yaml", STACK_FILE)
    assert faults("sarifLog", json.loads(json.dumps(made))) == []
    assert faults("sarifLog", {"version": "2.1.0", "runs": [{"results": [{"ruleid": "x"}]}]}) != []


def test_a_failed_rule_is_a_failed_run_in_sarif() -> None:
    made = sarif.document(report(failed=[Mistake(rule="STO-01", error="KeyError")]), "Pulumi.dev.yaml", "")
    (invocation,) = made["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["associatedRule"] == {"id": "STO-01"}
