"""The rules as policies of a Pulumi policy pack.

The SDK hands every policy its own copy of the whole stack, and a policy has one level: so there are two of them. The
first judges, and reports what is mandatory; the second reports the rest.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)

from policies.judging import configuration
from policies.judging.configuration import Configuration, Level
from policies.judging.judgement import Judgement, Violation, judge
from policies.judging.report import VARIABLE, Report
from policies.judging.resource import Resource
from policies.judging.rule import Rule
from policies.judging.shown import Shown
from policies.judging.stack import Stack

NAME = "no-single-point-of-failure"


class Pack:
    """Judges the stack that the engine shows.

    Args:
        rules: Which rules there are.
        settings: Their levels, thresholds and waivers.
        report: Where to write the judgement for programs to read.
        say: Takes what is to be told beside violations, a line at a time.
    """

    def __init__(
        self,
        rules: Sequence[Rule[Any]],
        settings: Configuration,
        report: Path | None,
        say: Callable[[str], None],
    ) -> None:
        self._rules = rules
        self._settings = settings
        self._report = report
        self._say = say
        self._shown = Shown()
        self._advice: list[Violation] = []

    @property
    def policies(self) -> list[Policy]:
        """The policies, in the order in which the SDK must ask them."""
        return [
            self._shown.policy,
            self._policy(Level.MANDATORY, self._refuse, "must be mended or waived before this stack is deployed"),
            self._policy(Level.ADVISORY, self._advise, "should be mended"),
        ]

    def _policy(
        self, level: Level, validate: Callable[[StackValidationArgs, ReportViolation], None], means: str
    ) -> StackValidationPolicy:
        return StackValidationPolicy(
            name=level.value,
            description=f"A single point of failure that {means}; every rule has a page in docs/policies.",
            validate=validate,
            enforcement_level=EnforcementLevel(level.value),
        )

    def _refuse(self, args: StackValidationArgs, report: ReportViolation) -> None:
        found = Stack(map(self._shown.resource, args.resources))
        environment = stack_name(found.resources)
        judgement = judge(found, self._rules, self._settings, environment, datetime.now(tz=UTC).date())
        if self._report:
            self._report.write_text(Report.of(judgement, environment).model_dump_json(indent=2) + "\n")
        for line in _remarks(judgement):
            self._say(line)
        for failed in judgement.failed:
            report(str(failed), None)
        for violation in judgement.violations:
            if violation.level is Level.MANDATORY:
                report(str(violation), violation.urn)
        self._advice = [one for one in judgement.violations if one.level is Level.ADVISORY]

    def _advise(self, _args: StackValidationArgs, report: ReportViolation) -> None:
        for violation in self._advice:
            report(str(violation), violation.urn)


def pack(rules: Sequence[Rule[Any]]) -> Pack:
    """The pack as the environment variables of this process configure it.

    Raises:
        ConfigurationError: The configuration can't be used.
    """
    settings = configuration.load_chosen(frozenset(rule.id for rule in rules))
    report = os.environ.get(VARIABLE)
    return Pack(rules, settings, Path(report) if report else None, _say)


def stack_name(resources: Iterable[Resource]) -> str:
    """The stack that resources belong to; every URN begins with it."""
    return next((one.urn.split(":")[2] for one in resources), "")


def _remarks(judgement: Judgement) -> list[str]:
    """What somebody should know who sees no violation."""
    lines = [
        f"policies: {one.rule.id} {one.resource}: {one.finding.problem}."
        f" Accepted until {one.waiver.expires} by {one.waiver.owner}: {one.waiver.reason}"
        for one in judgement.waived
        if one.waiver
    ]
    if judgement.undecided:
        rules = sorted({one.rule.id for one in judgement.undecided})
        lines.append(f"policies: decided at the update, when more is known: {', '.join(rules)}")
    return lines


def _say(line: str) -> None:
    """The engine shows what a pack writes to its standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
