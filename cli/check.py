"""`./perenne check`: what the policies say of a stack, before it is deployed or as it is."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cli import artifacts, sarif, toolchain, verdict
from cli.attach import previewing_engine
from cli.console import Display
from cli.engine import Engine
from cli.events import Deployment
from cli.simulation import simulated
from machine.failure import Failure
from policies.judging import configuration
from policies.judging.configuration import ConfigurationError
from policies.judging.deployed import stack_of
from policies.judging.judgement import judge
from policies.judging.report import Report
from policies.rules import RULES
from stack.workspace import Stack, log_file

_ERRORS_SHOWN = 10


def check(stack: Stack, *, simulate: bool, state: bool, as_json: bool, sarif_file: Path | None) -> int:
    """Judge a stack; returns 1 if it is refused.

    Args:
        stack: Which one.
        simulate: Preview on a simulated vCenter, with secrets made for the purpose.
        state: Judge what is deployed, not what would be.
        as_json: Print the report for programs.
        sarif_file: Write the report for code hosts.

    Raises:
        Failure: The preview failed before the policies were asked, or the policies can't be configured.
        StackFileError: The stack file can't be used, or secrets are missing.
    """
    stack.check_file()
    display = Display(log_file("check"))
    report = _deployed(stack, display) if state else _previewed(stack, display, simulate=simulate)
    if sarif_file:
        found = sarif.document(report, stack.file.name, stack.file.read_text())
        sarif_file.write_text(json.dumps(found, indent=2) + "\n")
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        verdict.show(report)
    return 1 if report.refused else 0


def _previewed(stack: Stack, display: Display, *, simulate: bool) -> Report:
    deployment = Deployment()
    with (
        tempfile.TemporaryDirectory(prefix="perenne-check-") as folder,
        _engine(stack, display, simulate=simulate) as pulumi,
        display.step(f"preview of {stack.name}") as progress,
    ):
        file = Path(folder) / "report.json"
        pulumi.preview_judged(deployment, progress, file)
        report = verdict.read(file)
    if report is None:
        why = "\n".join(deployment.errors[:_ERRORS_SHOWN]) or "the log says why"
        what = f"stack {stack.name} can't be judged: its preview failed"
        raise Failure(what, why, "Mend that, then run this again.", log=display.log_path)
    return report


@contextmanager
def _engine(stack: Stack, display: Display, *, simulate: bool) -> Iterator[Engine]:
    if not simulate:
        yield previewing_engine(stack, display)
        return
    with display.step("what the simulated vCenter needs") as progress:
        pulumi, vcenter = toolchain.ensure(progress), artifacts.vcenter(progress)
        artifacts.build(stack.settings, progress)
    with simulated(stack, pulumi, vcenter, display.log) as engine:
        yield engine


def _deployed(stack: Stack, display: Display) -> Report:
    """Judge what Pulumi's state has: nothing in it is unknown."""
    engine = Engine(stack, toolchain.ensure(display.log))
    found = stack_of(engine.state_in_clear())
    if not found.resources:
        why = "Pulumi's state of it has no resources"
        raise Failure(f"stack {stack.name} is not deployed", why, f"{stack.command('check')} judges what would be.")
    try:
        settings = configuration.load_chosen(frozenset(rule.id for rule in RULES))
    except ConfigurationError as error:
        raise Failure(
            "the policies can't be configured", str(error), "Correct the file, then run this again."
        ) from None
    return Report.of(judge(found, RULES, settings, stack.name, datetime.now(tz=UTC).date()), stack.name)
