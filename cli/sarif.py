"""A judgement in the form that code hosts show beside the code: SARIF 2.1.0 (OASIS standard, 27 March 2020)."""

import hashlib
from typing import Any

from cli.verdict import PAGES
from policies.judging.configuration import Level
from policies.judging.report import Report, Reported
from policies.judging.rule import Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_SECURITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}
"""GitHub sorts by this number (CVSS's scale)."""


def document(report: Report, file: str, text: str) -> dict[str, Any]:
    """The report as one SARIF run.

    Args:
        report: The judgement.
        file: The stack file, relative to the repository.
        text: Its content; a violation points to the line that names its resource.
    """
    found = [*report.violations, *report.waived]
    rules = {one.rule: one for one in found}
    failed = [
        {
            "level": "error",
            "message": {"text": f"{one.rule} itself failed ({one.error}); the stack was not judged by it"},
            "associatedRule": {"id": one.rule},
        }
        for one in report.failed
    ]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Perenne",
                        "informationUri": "https://www.pulumi.com/docs/iac/crossguard/",
                        "rules": [_rule(one) for one in rules.values()],
                    }
                },
                "automationDetails": {"id": f"perenne/{report.stack}/"},
                "invocations": [{"executionSuccessful": not failed, "toolExecutionNotifications": failed}],
                "results": [_result(one, list(rules), file, text) for one in found],
            }
        ],
    }


def _rule(one: Reported) -> dict[str, Any]:
    return {
        "id": one.rule,
        "shortDescription": {"text": one.title},
        "fullDescription": {"text": f"{one.title}. {one.outage}"},
        "help": {"text": f"{one.outage} See {PAGES}/{one.rule}.md."},
        "properties": {"security-severity": _SECURITY[one.severity], "tags": ["availability", one.pillar.name.lower()]},
    }


def _result(one: Reported, rules: list[str], file: str, text: str) -> dict[str, Any]:
    identity = f"{one.rule} {one.urn or one.resource} {one.problem}"
    result: dict[str, Any] = {
        "ruleId": one.rule,
        "ruleIndex": rules.index(one.rule),
        "level": "error" if one.level is Level.MANDATORY else "warning",
        "message": {"text": f"{one.resource}: {one.problem}. {one.outage} To do: {one.change}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": file, "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": _line(one.resource, text)},
                },
                "logicalLocations": [
                    {"name": one.resource, "fullyQualifiedName": one.urn or one.resource, "kind": "resource"}
                ],
            }
        ],
        "partialFingerprints": {"perenne/v1": hashlib.sha256(identity.encode()).hexdigest()},
    }
    if one.waiver:
        justification = f"{one.waiver.reason} ({one.waiver.owner}, until {one.waiver.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    return result


def _line(resource: str, text: str) -> int:
    """The first line that has the resource's name, with or without its domain, as a key or value; else the first."""
    names = {resource, resource.partition(".")[0]}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace(":", " ").replace(",", " ").replace('"', " ").split()
        if names & set(words) and not line.lstrip().startswith("#"):
            return number
    return 1
