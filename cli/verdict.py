"""What the policies said of a stack, told to people."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from cli.console import out, say
from machine.failure import Failure
from policies.judging.configuration import Level
from policies.judging.report import Report, Reported
from policies.judging.rule import Severity
from stack import workspace
from stack.workspace import Stack, have_private

PAGES = "docs/policies"

_STYLE = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}
_REMEDY = (
    f"Change what “to do” says, or accept it for a time by a waiver with reason, owner and expiry ({PAGES}/README.md); "
    "./perenne check shows this again."
)


def file_of(stack: Stack) -> Path:
    """Where the pack is to write its judgement of a run; there is none yet."""
    have_private()
    file = workspace.PRIVATE / f"{stack.name}.policies.json"
    file.unlink(missing_ok=True)
    return file


def read(file: Path) -> Report | None:
    """The judgement of a run; None if the run ended before the pack was asked."""
    try:
        return Report.model_validate_json(file.read_text())
    except FileNotFoundError:
        return None


def refusal(report: Report, *, deployed: bool, log: Path | None) -> Failure:
    """Why a stack is refused, as a command's failure.

    Args:
        report: The judgement.
        deployed: The stack was changed: what made the difference was known only then.
        log: Where the details are.
    """
    when = "as it was just deployed" if deployed else "and nothing was changed"
    mandatory = report.model_copy(
        update={"violations": [one for one in report.violations if one.level is Level.MANDATORY]}
    )
    return Failure(f"the policies refuse stack {report.stack}, {when}", as_text(mandatory), _REMEDY, log=log)


def show_remarks(report: Report) -> None:
    """Say what somebody should know though the stack is not refused."""
    for one in report.violations:
        say(f"    advice {one.rule} {one.resource}: {one.problem}", "yellow")
    for one in report.waived:
        say(f"    {_accepted(one)}", "yellow")


def show(report: Report) -> None:
    """Print the whole judgement, and it in one line, as a command's result."""
    if out.is_terminal:
        out.print(rendered(report), soft_wrap=False)
    else:
        out.print(as_text(report), markup=False)
    out.print(summary(report))


def as_text(report: Report, width: int = 120) -> str:
    """The whole judgement as plain text."""
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(rendered(report))
    return captured.get().rstrip()


def rendered(report: Report) -> Group:
    """The whole judgement, worst first."""
    parts: list[RenderableType] = [
        Text(f"{one.rule} itself failed ({one.error}): the stack was not judged by it", "bold red")
        for one in report.failed
    ]
    for severity, found in groupby(report.violations, lambda one: one.severity):
        parts.append(Text.assemble((severity.upper(), _STYLE[severity]), f": {severity.meaning}"))
        for _, same in groupby(found, lambda one: one.rule):
            parts += _rule(list(same))
    parts += [Text(_accepted(one), "yellow") for one in report.waived]
    if report.undecided:
        rules = ", ".join(sorted({one.rule for one in report.undecided}))
        parts.append(Text(f"decided at the update, when more is known: {rules}", "dim"))
    return Group(*parts)


def summary(report: Report) -> Text:
    """The judgement in one line."""
    refused = [one for one in report.violations if one.level is Level.MANDATORY]
    advised = len(report.violations) - len(refused)
    remarks = [
        f"{_number(len(refused), 'violation')} of {_number(len({one.rule for one in refused}), 'rule')}"
        if refused
        else "",
        f"{_number(len(report.failed), 'rule')} failed" if report.failed else "",
        f"{_number(advised, 'advice', 'pieces of advice')}" if advised else "",
        f"{len(report.waived)} waived" if report.waived else "",
    ]
    found = ", ".join(filter(None, remarks)) or "no single point of failure found"
    word, style = ("refused", "bold red") if report.refused else ("passes", "bold green")
    return Text.assemble(f"Stack {report.stack} ", (word, style), f": {found}.")


def _rule(violations: list[Reported]) -> Iterator[RenderableType]:
    first = violations[0]
    level = "" if first.level is Level.MANDATORY else " (advice)"
    yield Padding(Text.assemble((first.rule, _STYLE[first.severity]), f"  {first.title}{level}"), (0, 0, 0, 2))
    for change, found in groupby(violations, lambda one: one.change):
        for one in found:
            yield Padding(Text.assemble("✗ ", (one.resource, "bold"), f": {one.problem}"), (0, 0, 0, 4))
        yield Padding(Text.assemble(("to do  ", "bold"), change), (0, 0, 0, 6))
    yield Padding(Text.assemble(("costs  ", "dim"), first.outage), (0, 0, 0, 6))
    yield Padding(Text(f"{PAGES}/{first.rule}.md", "dim"), (0, 0, 0, 6))


def _accepted(one: Reported) -> str:
    if one.waiver is None:
        raise ValueError(f"{one.rule} is not waived")
    by = f"until {one.waiver.expires} by {one.waiver.owner}: {one.waiver.reason}"
    return f"accepted {one.rule} {one.resource}: {one.problem}; {by}"


def _number(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
