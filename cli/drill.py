"""`./perenne drill`: breaks things on purpose, and measures what a user saw."""

import asyncio
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich import box
from rich.table import Table

from cli import toolchain
from cli.attach import ready_engine
from cli.console import Display, out, say
from cli.drift import compare
from cli.engine import Engine
from cli.leftover import take_back
from drills import report
from drills.clients import Clients
from drills.faults import CATALOGUE, Fault
from drills.faults.chance import chosen
from drills.model import UNKNOWN
from drills.report import document
from drills.report.parts import drift_told
from drills.runner import Drills
from drills.running import run_series
from drills.series import Ordered, Series, unfinished
from drills.undo import FOLDER, at_work
from drills.workload.figures import Figures
from drills.workload.plan import Load
from drills.workload.site import plan_for
from machine.failure import Failure
from moves.hands import hands_for
from moves.vcenter import VCenter
from stack.labs import lab_of
from stack.vault import Vault
from stack.workspace import Stack, log_file, only_command

REPORT = FOLDER / "report"
RUNS = FOLDER / "runs"
KEPT_RUNS = 20
"""Folders of earlier drills that are kept; each has some MB of recordings."""

BROKEN = 1


@dataclass(frozen=True)
class Order:
    """What the user wants."""

    names: tuple[str, ...] = ()
    everything: bool = False
    rules: bool = False
    """Every drill for which a rule is broken first."""
    random_count: int = 0
    seed: int | None = None
    first: int = 1
    """Number of the drill with which a random series begins, whose former drills ran elsewhere."""
    runs: int = 1
    sessions: int = 1000
    resume: bool = False
    """Go on with the newest series that has drills left."""
    minutes: float | None = None
    """After so many no further drill begins."""
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
    """Run drills, and report what was measured, also when they are interrupted.

    Returns 1 if an invariant did not hold, the stack did not come back whole, or drills left it changed.

    Args:
        stack: The lab's stack, or with `order.real` the real one.
        order: What to run.
        confirm: Asks the user a question and returns the answer.

    Raises:
        Failure: Nothing was broken, or what was broken could not be taken back.
    """
    _check_clear(order)
    ordered = None if order.resume else ordered_by(stack, order)
    if ordered:
        _check_continues(ordered)
    if not stack.is_lab:
        _check_meant(stack, order, confirm)
    with only_command(), at_work() as free:
        if not free:
            raise _busy()
        take_back()
        series = Series.begin(_new_folder(), ordered) if ordered else _left(stack)
        try:
            done = asyncio.run(_run(stack, series, order.minutes))
        finally:
            _report(stack, series)
    held = all(each.held or run.result.without for run in series.runs for each in run.result.invariants)
    went = series.circumstances
    drifted = any(part.drift for part in went.parts)
    return 0 if done and held and not drifted and not went.unmeasured else BROKEN


def _check_clear(order: Order) -> None:
    """Check that only one way says what to run.

    Raises:
        Failure: Several do.
    """
    ways = {
        "names of drills": bool(order.names),
        "--all": order.everything,
        "--rules": order.rules,
        "--random": bool(order.random_count),
        "--resume": order.resume,
    }
    given = [way for way, is_given in ways.items() if is_given]
    if len(given) > 1:
        why = f"{' and '.join(given)} each say what to run"
        raise Failure("it is not clear what to run", why, "Give one of them.")


def ordered_by(stack: Stack, order: Order) -> Ordered:
    """The sequence of drills that an order means; further runs of named ones come in turns: a b c a b c.

    Raises:
        Failure: A drill is unknown, or one that was named can't be run on the stack.
    """
    seed = order.seed
    if order.random_count and seed is None:
        seed = random.SystemRandom().randrange(2**32)
        say(f"Seed {seed}: --random {order.random_count} --seed {seed} runs the same drills again.")
    names = [fault.name for fault in choose(stack, replace(order, seed=seed))]
    sequence = tuple(names * order.runs)
    if not 1 <= order.first <= len(sequence) or (order.first > 1 and order.seed is None):
        why = f"--from {order.first} is no drill of a sequence of {len(sequence)} that a seed repeats"
        raise Failure("the series can't begin there", why, "Give --random N --seed S as before, and --from 1 to N.")
    return Ordered(
        stack=stack.name,
        sessions=order.sessions,
        sequence=sequence,
        first=order.first,
        seed=seed if order.random_count else None,
    )


def _check_continues(ordered: Ordered) -> None:
    """Look whether what begins in the middle of a sequence goes on with the published one, where there is one.

    Raises:
        Failure: The same seed chooses other drills now: the two halves would be put together as if they were one whole.
    """
    chance = ordered.chance
    if ordered.first == 1 or chance is None or not document.RESULTS.exists():
        return
    published = document.parsed(document.RESULTS.read_bytes())
    alike = [
        series.chance
        for series in published.random
        if (series.chance.seed, series.chance.ordered) == (chance.seed, chance.ordered)
    ]
    if published.stack == ordered.stack and alike and chance not in alike:
        why = (
            f"--random {chance.ordered} --seed {chance.seed} chooses other drills than those of which the first are "
            f"published ({document.RESULTS.name}): since then the catalogue of drills has changed, or how often chance "
            "takes each"
        )
        raise Failure("the series can't begin there", why, "Begin the new sequence, without --from.")


def choose(stack: Stack, order: Order) -> list[Fault]:
    """The faults to run, in order.

    Raises:
        Failure: A name is unknown, or one that was named can't be run on the stack.
    """
    possible = [fault for fault in CATALOGUE.values() if not fault.unavailable(stack)]
    if order.rules:
        return [fault for fault in possible if fault.without]
    available = [fault for fault in possible if not fault.must_break and not fault.without]
    if order.random_count:
        return chosen(available, order.random_count, order.seed)
    if order.everything:
        for fault in CATALOGUE.values():
            if why := fault.unavailable(stack):
                say(f"Left out: {fault.name}, as {why}.", "yellow")
        return available
    if not order.names:
        raise Failure(
            "no drill was named", "nothing is broken unless it is asked for", "Choose: ./perenne drill --list"
        )
    return [_available(stack, name) for name in order.names]


def _available(stack: Stack, name: str) -> Fault:
    if name not in CATALOGUE:
        raise Failure(f"there is no drill {name}", "no fault has that name", "See ./perenne drill --list")
    if why := CATALOGUE[name].unavailable(stack):
        raise Failure(f"drill {name} can't be run on stack {stack.name}", why, "See ./perenne drill --list")
    return CATALOGUE[name]


def _left(stack: Stack) -> Series:
    """The series that goes on.

    Raises:
        Failure: There is none, it is another stack's, or one of its drills is none any more.
    """
    series = unfinished(RUNS)
    if series is None:
        raise Failure(
            "no series is left to go on", f"none in {RUNS} has drills left", "Begin one: ./perenne drill --help"
        )
    if series.ordered.stack != stack.name:
        why = f"it is one of stack {series.ordered.stack}"
        raise Failure("the series can't go on", why, f"Run: ./perenne drill --resume --real {series.ordered.stack}")
    for _, name in series.left_over:
        _available(stack, name)
    left, all_ = len(series.left_over), len(series.ordered.sequence)
    say(f"The series of {series.folder.name} goes on: {left} of {all_} drills are left.")
    return series


async def _run(stack: Stack, series: Series, minutes: float | None) -> bool:
    """Run what is left of a series; False if it ended before its time."""
    vault = Vault.open(stack)
    plan = plan_for(stack, vault, series.folder, Load(sessions=series.ordered.sessions))
    display = Display(log_file("drill"))
    pulumi = _engine(stack, display)
    async with Clients(plan) as clients:
        drills = Drills(
            stack,
            hands_for(stack, vault),
            VCenter(stack, vault),
            clients,
            changes=pulumi.changes,
            drift=partial(drift_of, pulumi, display),
            say=say,
        )
        return await run_series(drills, series, minutes, partial(_say_result, stack))


def _can_go_on(folder: Path) -> bool:
    try:
        return Series.left(folder).can_go_on
    except Failure:
        return False  # nobody could go on with what can't be understood


def _report(stack: Stack, series: Series) -> None:
    """Show and write what is known by now."""
    if len(series.runs):
        _report_runs(stack, series)
    for part in series.circumstances.parts:
        if told := drift_told(part):
            say(told, "bold red")
            mends = f"; {stack.command('up')} --repair mends it" if part.drift_is_known else ""
            say(f"{stack.command('drift')} looks again{mends}.", "red")


def _report_runs(stack: Stack, series: Series) -> None:
    files = report.write(series.runs, REPORT, stack=stack.name, lab=stack.is_lab, went=series.circumstances)
    out.print(report.table(series.runs))
    say(f"Report: {files.page} (data: {files.data}; recordings: {series.folder})")
    if series.can_go_on:
        say(f"{len(series.left_over)} drills are left: ./perenne drill --resume", "yellow")


def _say_result(stack: Stack, run: report.Run) -> None:
    result, seen = run.result, run.figures
    whole = "" if result.without else f", whole after {_seconds(result.recovery)}"
    say(
        f"  outage {seen.outage:.2f} s{_again(seen)}, writes paused {seen.paused_writes:.2f} s, "
        f"{seen.failed} of {seen.requests} requests failed ({seen.failed_idempotent} idempotent){whole}"
    )
    for each in result.invariants:
        say(f"  {'✓' if each.held else '✗'} {each.name}: {each.detail}", "green" if each.held else "red")
    if run.file and any(not each.held for each in result.invariants):
        say(f"  the evidence is in {run.file.parent}", "red")
    if result.whole is None:
        look = stack.command("status")
        say(f"  the stack did not come back whole: look at {look}, mend it, then go on", "bold red")


def _again(seen: Figures) -> str:
    """What users waited besides the longest time."""
    more = (seen.unserved or 0.0) - seen.outage
    return f" and {more:.2f} s at other times" if more > 0 else ""


def _seconds(recovery: float | None) -> str:
    return "never" if recovery is None else f"{recovery:.1f} s"


def _engine(stack: Stack, display: Display) -> Engine:
    """Pulumi's, which says whether the stack is as the program describes it."""
    if stack.is_lab:
        return Engine(stack, toolchain.ensure(display.log), lab_of(stack).prepare().environment)
    return ready_engine(stack, display)


def drift_of(pulumi: Engine, display: Display) -> str:
    """What `./perenne drift` finds, in a line; empty if nothing."""
    try:
        found = compare(pulumi, display)
    except Failure as failure:
        return f"{UNKNOWN}{failure.what}: {failure.why}"
    silent = (f"{UNKNOWN}files on {server}: {why}" for server, why in found.silent.items())
    return "; ".join((*map(str, found.drift), *silent))


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
    """A folder for this drill's recordings; the oldest ones go, but for series that can go on."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for old in sorted(RUNS.iterdir())[: 1 - KEPT_RUNS]:
        if not _can_go_on(old):
            shutil.rmtree(old)
    folder = RUNS / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir()
    return folder
