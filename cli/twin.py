"""`./perenne twin STACK`: a real stack rehearsed in a lab of its own, and a change to it before anybody dares it.

The twin has a folder and processes of its own (cli.twin_folder). Every other command can be given it in the same way:
`./perenne twin prod status`.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from blueprint.keys import site_authorities
from blueprint.twin import Config, Difference
from cli.console import Display, Progress, out, say
from cli.deploy import await_page, deploy
from cli.down import lab_down
from cli.initialise import initialise
from cli.lab_start import Started, start_lab
from cli.twin_folder import Plan, become, prepare, write_stack_file
from stack.checks import Check, check_preview, check_site
from stack.labs import known_secrets, lab_of
from stack.workspace import PROGRAM, TWIN, Stack, log_file, only_command


@dataclass(frozen=True)
class Order:
    """What the user wants of a twin."""

    change: Path | None = None
    """A stack file to which the stack is to be changed, while users are counted."""
    keep: bool = False
    """Leave the twin up."""


def twin(stack: Stack, order: Order) -> int:
    """Rehearse a stack; returns 1 if something of what must hold does not.

    Raises:
        Failure: It is the lab's own stack, or something on this machine is in the way.
        StackFileError: A stack file can't be used, or not in a lab.
    """
    if not TWIN:
        prepare(stack, order.change)
        become(stack, _arguments(stack, order))
    plan = Plan.read()
    display = Display(log_file("twin"))
    _announce(stack, plan)
    with only_command():
        try:
            held = _rehearse(stack, plan, display)
        except BaseException:
            if not order.keep:
                lab_down(stack, display)
            raise
        _show_differences(plan.differences)
        if order.keep:
            _tell_kept(stack)
        else:
            lab_down(stack, display)
            shutil.rmtree(PROGRAM)
    return 0 if held else 1


def _arguments(stack: Stack, order: Order) -> list[str]:
    """The same command once more; the change is in the plan by then."""
    return ["twin", stack.name, *(["--keep"] if order.keep else [])]


def _announce(stack: Stack, plan: Plan) -> None:
    settings = stack.settings
    what = "present state, then its change" if plan.changed else "as its file describes it"
    say(f"Perenne: the twin of stack {stack.name}, {what}", "bold")
    equipment_ = (
        f"{len(settings.hosts)} ESXi hosts, {len(settings.storage)} storage arrays, {len(settings.servers)} servers"
    )
    say(f"  {equipment_} as containers in the lab {lab_of(stack).name}; no address of the site's is used")


def _rehearse(stack: Stack, plan: Plan, display: Display) -> bool:
    """Deploy, check, and change; returns whether all held."""
    started = start_lab(stack, display)
    stack = _describe(started, plan.present)
    _deploy(started, display)
    held = _check(started, display, f"stack {stack.name}")
    if plan.changed is None or not held:
        return held

    from cli import rehearsal  # noqa: PLC0415 (its libraries take their time)

    def change() -> None:
        _describe(started, plan.changed or {})
        _deploy(started, display)

    noticed = rehearsal.observe(stack, change, display)
    rehearsal.show(noticed)
    return _check(started, display, f"the change of stack {stack.name}") and noticed.unharmed


def _describe(started: Started, config: Config) -> Stack:
    """Have the twin's stack file say what it is to be next."""
    stack = started.pulumi.stack
    write_stack_file(stack.file, config)
    stack = stack.reread()
    prepared = lab_of(stack).prepare()
    done = initialise(stack, None, prepared.host_keys, known=known_secrets(prepared))
    started.secrets.clear()
    started.secrets.update(done.vault.values)
    started.pulumi.stack = stack.reread()
    return started.pulumi.stack


def _deploy(started: Started, display: Display) -> None:
    deployment = deploy(started.pulumi, display)
    say(f"    {deployment.summary}", "dim")
    with display.step("page through the virtual address") as progress:
        await_page(started.pulumi.stack, site_authorities(started.secrets), progress)


def _check(started: Started, display: Display, what: str) -> bool:
    with display.step("checks") as progress:
        checks = _settled(started, progress)
        progress("what a second preview would change")
        checks.append(check_preview(started.pulumi.changes))
    shown = Table("", "what must hold", "found", title=f"Checks of {what}", box=box.SIMPLE_HEAD, title_justify="left")
    for check in checks:
        mark = Text("yes", "green") if check.held else Text("no", "red")
        shown.add_row(mark, check.what, Text(check.found, "dim"))
    out.print(shown)
    return all(check.held for check in checks)


SETTLE_SECONDS = 60.0
"""How long after a deployment the site may take to be whole: a standby becomes synchronous after it has caught up."""


def _settled(started: Started, progress: Progress) -> list[Check]:
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        checks = check_site(started.pulumi.stack)
        missing = [check.what for check in checks if not check.held]
        if not missing or time.monotonic() > deadline:
            return checks
        progress.replace(f"not yet: {missing[0]}")


def _show_differences(differences: Sequence[Difference]) -> None:
    shown = Table("", "the site", "the twin", title="What differs", box=box.SIMPLE_HEAD, title_justify="left")
    for one in differences:
        shown.add_row(one.what, one.site, one.twin)
    out.print(shown)


def _tell_kept(stack: Stack) -> None:
    say(f"The twin stays up: https://{stack.reread().settings.site.address}", "bold")
    say(f"  look around  ./perenne twin {stack.name} status    ./perenne twin {stack.name} ssh db01")
    say(f"  end          ./perenne twin {stack.name} down")
