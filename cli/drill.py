"""`./perenne drill`: breaks things on purpose, and measures what a user saw."""

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.table import Table

from cli import toolchain
from cli.console import Display, out, say
from cli.engine import Engine
from cli.failure import Failure
from cli.labs import lab_of
from cli.leftover import take_back
from cli.up import ready_engine
from cli.vault import Vault
from cli.workspace import Stack, log_file, only_command
from drills import report
from drills.faults import CATALOGUE, Fault
from drills.hands import hands_for
from drills.model import Result
from drills.runner import Drills
from drills.undo import FOLDER, at_work
from drills.vcenter import VCenter
from drills.workload.plan import Load, Plan
from drills.workload.site import plan_for

REPORT = FOLDER / "report"
KEPT_RUNS = 20
"""Folders of earlier drills that are kept; each has some MB of recordings."""

BROKEN = 1


@dataclass(frozen=True)
class Order:
    """What the user wants."""

    names: tuple[str, ...] = ()
    everything: bool = False
    random_count: int = 0
    seed: int | None = None
    runs: int = 1
    sessions: int = 1000
    real: str = ""
    """The name of a real stack that is to be drilled."""


def show_list(stack: Stack) -> int:
    """Show every drill, and why it can't be run on a stack."""
    shown = Table("drill", "what happens", "target", box=box.SIMPLE_HEAD)
    for fault in CATALOGUE.values():
        why = fault.unavailable(stack)
        bound = fault.target_on(stack.settings)
        target = f"{bound.seconds:g} s {bound.measure}" if bound else ""
        shown.add_row(fault.name, f"{fault.title}" + (f"\nnot here: {why}" if why else ""), target)
    out.print(shown)
    return 0


def drill(stack: Stack, order: Order, confirm: Callable[[str], str]) -> int:
    """Run drills, and report what was measured, also when they are interrupted; returns 1 if an invariant did not hold.

    Args:
        stack: The lab's stack, or with `order.real` the real one.
        order: What to run.
        confirm: Asks the user a question and returns the answer.

    Raises:
        Failure: Nothing was broken, or what was broken could not be taken back.
    """
    chosen = choose(stack, order)
    if not stack.is_lab:
        _check_meant(stack, order, confirm)
    with only_command(), at_work() as free:
        if not free:
            raise _busy()
        take_back()
        folder = _new_folder()
        runs = report.Runs()
        try:
            done = asyncio.run(_run_all(stack, chosen, order, folder, runs))
        finally:
            if len(runs):
                files = report.write(runs, REPORT, stack=stack.name, lab=stack.is_lab)
                out.print(report.table(runs))
                say(f"Report: {files.page} (data: {files.data}; recordings: {folder})")
    return 0 if done and all(each.held for run in runs for each in run.result.invariants) else BROKEN


def choose(stack: Stack, order: Order) -> list[Fault]:
    """The faults to run, in order.

    Raises:
        Failure: A name is unknown, or one that was named can't be run on the stack.
    """
    available = [fault for fault in CATALOGUE.values() if not fault.unavailable(stack) and not fault.must_break]
    if order.random_count:
        seed = order.seed if order.seed is not None else random.SystemRandom().randrange(2**32)
        say(f"Seed {seed}: --random {order.random_count} --seed {seed} runs the same drills again.")
        return random.Random(seed).choices(available, k=order.random_count)  # noqa: S311 (repeatable, not secret)
    if order.everything:
        for fault in CATALOGUE.values():
            if why := fault.unavailable(stack):
                say(f"Left out: {fault.name}, as {why}.", "yellow")
        return available
    if not order.names:
        raise Failure(
            "no drill was named", "nothing is broken unless it is asked for", "Choose: ./perenne drill --list"
        )
    for name in order.names:
        if name not in CATALOGUE:
            raise Failure(f"there is no drill {name}", "no fault has that name", "See ./perenne drill --list")
        if why := CATALOGUE[name].unavailable(stack):
            raise Failure(f"drill {name} can't be run on stack {stack.name}", why, "See ./perenne drill --list")
    return [CATALOGUE[name] for name in order.names]


async def _run_all(stack: Stack, chosen: Sequence[Fault], order: Order, folder: Path, runs: report.Runs) -> bool:
    """Run drills one after the other; False if one could not be run, which ends them.

    An invariant that does not hold ends nothing as long as the stack comes back whole: the next drill looks first.
    """
    vault = Vault.open(stack)
    load = Load(sessions=order.sessions)

    def plan(where: Path) -> Plan:
        return plan_for(stack, vault, where, load)

    drills = Drills(stack, hands_for(stack, vault), VCenter(stack, vault), plan, _changes(stack), say)
    times = Counter[str]()
    for run in range(1, order.runs + 1):
        for number, fault in enumerate(chosen, start=1):
            where = folder / f"{len(runs) + 1:03}-{fault.name}"
            say(f"Drill {fault.name}, run {run} of {order.runs} ({number} of {len(chosen)}): {fault.title}", "bold")
            times[fault.name] += 1
            try:
                result = await drills.run(fault, times[fault.name], where)
            except Failure as failure:
                if not len(runs):
                    raise
                say(f"Stopped: {failure.what}: {failure.why}", "red")
                return False
            runs.add(result)
            _say_result(result)
            if any(not each.held for each in result.invariants):
                say(f"  the evidence is in {where}", "red")
    return True


def _say_result(result: Result) -> None:
    from drills.workload.figures import figures  # noqa: PLC0415 (numpy takes its time)

    seen = figures(result.recording)
    recovery = "never" if result.recovery is None else f"{result.recovery:.1f} s"
    say(
        f"  outage {seen.outage:.2f} s, writes paused {seen.paused_writes:.2f} s, {seen.failed} of {seen.requests} "
        f"requests failed ({seen.failed_idempotent} idempotent), whole after {recovery}"
    )
    for each in result.invariants:
        say(f"  {'✓' if each.held else '✗'} {each.name}: {each.detail}", "green" if each.held else "red")


def _changes(stack: Stack) -> Callable[[], str]:
    """Asks Pulumi whether the stack is as the program describes it."""
    display = Display(log_file("drill"))
    if stack.is_lab:
        pulumi = Engine(stack, toolchain.ensure(display.log), lab_of(stack).prepare().environment)
    else:
        pulumi = ready_engine(stack, display)

    def ask() -> str:
        return pulumi.changes()

    return ask


def _check_meant(stack: Stack, order: Order, confirm: Callable[[str], str]) -> None:
    """A real site is broken only by somebody who says which one."""
    question = f"Users of {stack.settings.site.name} will notice. Type the stack's name to go on"
    if order.real != stack.name or confirm(question).strip() != stack.name:
        raise Failure(
            "nothing was broken", f"stack {stack.name} is a real site", f"Run: ./perenne drill --real {stack.name}"
        )


def _busy() -> Failure:
    return Failure("another drill is at work", "two faults at once would explain nothing", "Wait for it.")


def _new_folder() -> Path:
    """A folder for this drill's recordings; the oldest ones go."""
    runs = FOLDER / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    for old in sorted(runs.iterdir())[: 1 - KEPT_RUNS]:
        shutil.rmtree(old)
    folder = runs / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir()
    return folder
