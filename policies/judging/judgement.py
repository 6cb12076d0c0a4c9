"""Rules applied to a stack."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from policies.judging.configuration import Configuration, Level, Waiver
from policies.judging.resource import Resource, UndecidedError
from policies.judging.rule import Context, Finding, Rule, Severity
from policies.judging.stack import Stack


@dataclass(frozen=True)
class Violation:
    """A finding, with all that somebody needs who has to act on it."""

    rule: Rule[Any]
    level: Level
    finding: Finding
    waiver: Waiver | None = None
    """The valid waiver under which it is accepted."""

    @property
    def resource(self) -> str:
        """The resource's name; of something that is missing, the stack."""
        return self.finding.resource.label if self.finding.resource else "the stack"

    @property
    def urn(self) -> str | None:
        """Where to change it."""
        return self.finding.resource.urn if self.finding.resource else None

    @property
    def change(self) -> str:
        """What to change."""
        return self.finding.change or self.rule.remedy

    def __str__(self) -> str:
        return f"{self.rule.id} {self.resource}: {self.finding.problem}. {self.rule.outage} To do: {self.change}"


@dataclass(frozen=True)
class Undecided:
    """A rule that can't tell yet about one subject."""

    rule: Rule[Any]
    why: str

    def __str__(self) -> str:
        return f"{self.rule.id} is decided at the update: {self.why}"


@dataclass(frozen=True)
class Failed:
    """A rule that raised something: a mistake of the rule, which makes the run fail."""

    rule: Rule[Any]
    error: Exception

    def __str__(self) -> str:
        return f"{self.rule.id} itself failed ({type(self.error).__name__}); the stack was not judged by it"


@dataclass
class Judgement:
    """What the rules said of a stack; violations worst first, those that are waived apart."""

    violations: list[Violation] = field(default_factory=list)
    waived: list[Violation] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Whether the run must stop."""
        return bool(self.failed) or any(one.level is Level.MANDATORY for one in self.violations)


def judge(
    stack: Stack,
    rules: Iterable[Rule[Any]],
    configuration: Configuration,
    environment: str,
    today: date,
) -> Judgement:
    """Apply `rules` to `stack`; `environment` is the stack's name."""
    waivers = [one for one in configuration.waivers if fnmatchcase(environment, one.environment)]
    context = Context(
        stack, configuration.thresholds_of(environment), configuration.tiers, configuration.hosts, waivers, today
    )
    judgement = Judgement()
    for rule in rules:
        level = configuration.level(rule.id, environment, mandatory=rule.mandatory)
        if level is not Level.DISABLED:
            _apply(rule, level, context, judgement)
    _waive(judgement, waivers, today)
    order = list(Severity)
    judgement.violations.sort(key=lambda one: (order.index(one.rule.severity), one.rule.id, one.resource))
    return judgement


def _apply(rule: Rule[Any], level: Level, context: Context, judgement: Judgement) -> None:
    try:
        for subject in rule.subjects(context):
            try:
                for finding in rule.findings(subject, context):  # what was found before something unknown stands
                    judgement.violations.append(Violation(rule, level, finding))
            except UndecidedError as unknown:
                judgement.undecided.append(Undecided(rule, str(unknown)))
    except UndecidedError as unknown:
        judgement.undecided.append(Undecided(rule, str(unknown)))
    except Exception as error:  # noqa: BLE001 (whatever a rule raises is reported as that rule's, and fails the run)
        judgement.failed.append(Failed(rule, error))


def _waive(judgement: Judgement, waivers: list[Waiver], today: date) -> None:
    valid = [waiver for waiver in waivers if not waiver.flaw(today)]
    standing = []
    for violation in judgement.violations:
        waiver = next((one for one in valid if _covers(one, violation)), None)
        if waiver is None:
            standing.append(violation)
        else:
            judgement.waived.append(Violation(violation.rule, violation.level, violation.finding, waiver))
    judgement.violations = standing


def _covers(waiver: Waiver, violation: Violation) -> bool:
    resource: Resource | None = violation.finding.resource
    names = {violation.resource} | ({resource.name} if resource else set())
    return waiver.rule == violation.rule.id and any(fnmatchcase(name, waiver.resource) for name in names)
