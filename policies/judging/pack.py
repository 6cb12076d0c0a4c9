"""The rules as policies of a Pulumi policy pack.

Rules of one level share one policy: the SDK hands every policy its own copy of the whole stack, which for a policy per
rule would take longer than all of the judging.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policies.judging import configuration
from policies.judging.configuration import Configuration, Level
from policies.judging.judgement import Judgement, judge
from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Rule
from policies.judging.stack import Stack

NAME = "no-single-point-of-failure"


class RuleFailedError(Exception):
    """Rules raised something; the engine fails the run with this message."""


def policies(rules: Sequence[Rule[Any]], environment: Mapping[str, str]) -> list[Policy]:
    """The policies of a run; the engine names the stack in `environment`.

    Raises:
        ConfigurationError: The configuration can't be used.
    """
    stack = environment.get("PULUMI_STACK", "")
    file = Path(environment.get("PERENNE_POLICIES") or configuration.DEFAULT)
    settings = configuration.load(file, frozenset(rule.id for rule in rules))
    found: list[Policy] = []
    for level in (Level.MANDATORY, Level.ADVISORY):
        chosen = [rule for rule in rules if settings.level(rule.id, stack, mandatory=rule.mandatory) is level]
        if chosen:
            found.append(_policy(level, chosen, settings, stack))
    return found


def _policy(
    level: Level, rules: Sequence[Rule[Any]], settings: Configuration, environment: str
) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        today = datetime.now(tz=UTC).date()
        judgement = judge(Stack(map(_resource, args.resources)), rules, settings, environment, today)
        _report(judgement, report)

    return StackValidationPolicy(
        name=level.value,
        description=f"Rules that are {level.value} in {environment or 'this stack'}: docs/policies",
        validate=validate,
        enforcement_level=EnforcementLevel(level.value),
    )


def _report(judgement: Judgement, report: ReportViolation) -> None:
    for violation in judgement.violations:
        report(str(violation), violation.urn)
    if judgement.failed:
        raise RuleFailedError("; ".join(map(str, judgement.failed))) from judgement.failed[0].error


def _resource(shown: PolicyResource) -> Resource:
    return Resource(
        urn=shown.urn,
        type=shown.resource_type,
        name=shown.name,
        properties=plain(shown.props),
        protect=bool(shown.opts.protect),
        parent=shown.parent.urn if shown.parent else None,
        provider=shown.provider.urn if shown.provider else None,
        dependencies=tuple(one.urn for one in shown.dependencies),
        property_dependencies={
            key: tuple(one.urn for one in found) for key, found in shown.property_dependencies.items()
        },
    )


def plain(value: object) -> Any:  # noqa: ANN401 (a property may be anything)
    """Take the SDK's guards off: they raise at every unknown value, a rule wants to know which."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: object) -> Any:  # noqa: ANN401 (a property may be anything)
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN
