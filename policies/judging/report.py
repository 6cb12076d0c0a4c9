"""A judgement for programs to read. Its JSON schema is docs/policies/report.schema.json."""

import json
from datetime import date
from typing import Literal

from policies.judging.configuration import Level, Model
from policies.judging.judgement import Judgement, Undecided, Violation
from policies.judging.rule import Pillar, Severity

VARIABLE = "PERENNE_POLICY_REPORT"
"""The environment variable that names the file to which the pack writes its judgement."""


class Accepted(Model):
    """A waiver."""

    reason: str
    owner: str
    expires: date
    """The last day on which it holds."""


class Reported(Model):
    """A violation. No text in it holds a property's value that may be secret."""

    rule: str
    title: str
    """What holds in a sound stack."""
    pillar: Pillar
    severity: Severity
    level: Level
    resource: str
    """The resource's name; "the stack" where something is missing altogether."""
    urn: str | None
    """Where to change it."""
    problem: str
    """What is wrong."""
    outage: str
    """What it costs, and when."""
    change: str
    """What to change."""
    waiver: Accepted | None = None

    @classmethod
    def of(cls, violation: Violation) -> "Reported":
        """Tell of one violation."""
        rule, waiver = violation.rule, violation.waiver
        return cls(
            rule=rule.id,
            title=rule.title,
            pillar=rule.pillar,
            severity=rule.severity,
            level=violation.level,
            resource=violation.resource,
            urn=violation.urn,
            problem=violation.finding.problem,
            outage=rule.outage,
            change=violation.change,
            waiver=Accepted(reason=waiver.reason, owner=waiver.owner, expires=waiver.expires or date.min)
            if waiver
            else None,
        )


class Open(Model):
    """A rule that can't tell yet about one subject."""

    rule: str
    why: str

    @classmethod
    def of(cls, undecided: Undecided) -> "Open":
        """Tell of one subject."""
        return cls(rule=undecided.rule.id, why=undecided.why)


class Mistake(Model):
    """A rule that failed: a mistake of the rule, not of the stack."""

    rule: str
    error: str
    """The exception's type."""


class Report(Model):
    """What the rules said of a stack."""

    version: Literal[1] = 1
    stack: str
    refused: bool
    """Whether the stack must not be deployed as it is."""
    violations: list[Reported]
    """Worst first."""
    waived: list[Reported]
    undecided: list[Open]
    failed: list[Mistake]

    @classmethod
    def of(cls, judgement: Judgement, stack: str) -> "Report":
        """Tell of one judgement."""
        return cls(
            stack=stack,
            refused=judgement.refused,
            violations=list(map(Reported.of, judgement.violations)),
            waived=list(map(Reported.of, judgement.waived)),
            undecided=list(map(Open.of, judgement.undecided)),
            failed=[Mistake(rule=one.rule.id, error=type(one.error).__name__) for one in judgement.failed],
        )


def schema() -> str:
    """The JSON schema of a report."""
    return json.dumps(Report.model_json_schema(), indent=2) + "\n"
