"""`./perenne twin STACK`: a real stack rehearsed in a lab of its own, and a change to it before anybody dares it.

The twin lives in `.perenne/twin/STACK`: links to the program, a stack file of its own (blueprint.twin), secrets that
are thrown away, Pulumi's state and the lab. A process that works on it is told so by PERENNE_TWIN, as every path below
stack.workspace.PRIVATE depends on it; so the command prepares the folder and then becomes such a process. Every other
command can be given a twin in the same way: `./perenne twin prod status`.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from rich import box
from rich.table import Table
from rich.text import Text

from blueprint import loading
from blueprint.keys import site_authorities
from blueprint.loading import NAMESPACE
from blueprint.secrets import is_secret_name
from blueprint.twin import Config, Difference, Renumbering, equipment, twin_of
from cli.console import Display, Progress, out, say
from cli.deploy import await_page, deploy
from cli.down import lab_down
from cli.initialise import initialise
from cli.lab_start import Started, start_lab
from machine.failure import Failure
from machine.files import PRIVATE as OWNER_ONLY
from machine.files import write
from stack import stackfile
from stack.checks import Check, check_preview, check_site
from stack.labs import known_secrets, lab_of
from stack.workspace import PROGRAM, REPOSITORY, TWIN, Stack, have_private, link_program, log_file, only_command

_PLAN = "rehearsal.json"
_SIMULATED = (
    Difference("ESXi hosts", "machines", "containers with sshd and an esxcli that answers what is used here"),
    Difference("storage arrays", "appliances", "tgt in containers; servers' disks are not on the LUNs"),
    Difference("vSphere HA", "decides and restarts", "simulated, with the documented delays"),
    Difference("servers", "virtual machines", "containers with systemd, on one kernel and one clock"),
    Difference("passwords, keys, certificates", "the stack's own", "made for the twin, and thrown away"),
)


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
        _prepare(stack, order)
        become(stack, _arguments(stack, order))
    plan = _Plan.read()
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
    if not order.keep:
        shutil.rmtree(PROGRAM)
    return 0 if held else 1


def become(stack: Stack, arguments: Sequence[str]) -> NoReturn:
    """Go on as a process that works on the twin of a stack.

    Raises:
        Failure: It has none.
    """
    if not folder_of(stack).is_dir():
        remedy = f"Make it with: ./perenne twin {stack.name} --keep"
        raise Failure(f"stack {stack.name} has no twin", f"there is no {folder_of(stack)}", remedy)
    environment = os.environ | {"PERENNE_TWIN": stack.name}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "cli", *arguments], environment)  # noqa: S606 (this very program)


def folder_of(stack: Stack) -> Path:
    """Where the twin of a stack lives."""
    return REPOSITORY / ".perenne" / "twin" / stack.name


def _arguments(stack: Stack, order: Order) -> list[str]:
    """The same command once more; the change is in the plan by then."""
    return ["twin", stack.name, *(["--keep"] if order.keep else [])]


@dataclass(frozen=True)
class _Plan:
    """What a rehearsal goes through: stack files of the twin, by their configuration."""

    equipment: Config
    present: Config
    changed: Config | None
    differences: tuple[Difference, ...]

    def write(self, folder: Path) -> None:
        """Keep it in the twin's folder."""
        document = {
            "equipment": self.equipment,
            "present": self.present,
            "changed": self.changed,
            "differences": [[one.what, one.site, one.twin] for one in self.differences],
        }
        write(folder / _PLAN, json.dumps(document, indent=2, default=str).encode(), OWNER_ONLY)

    @classmethod
    def read(cls) -> "_Plan":
        """Read it back, in the process that works on the twin."""
        document = json.loads((PROGRAM / _PLAN).read_text())
        differences = tuple(Difference(*one) for one in document.pop("differences"))
        return cls(**document, differences=differences)


def _prepare(stack: Stack, order: Order) -> None:
    """Check the stack files, and make or renew the twin's folder."""
    if stack.is_lab:
        raise Failure(
            f"stack {stack.name} needs no twin", "it lives in the lab itself", f"Run ./perenne up {stack.name}."
        )
    files = [stack.file, *([order.change] if order.change else [])]
    configs = []
    for file in files:
        loading.settings_from_file(file)
        configs.append(loading.config_of(file))
    numbers = Renumbering.of(configs, files[-1].name)
    twins = []
    for config, file in zip(configs, files, strict=True):
        made = twin_of(config, numbers, file.name)
        loading.settings_from_config(made.config, f"the twin of {file.name}")
        twins.append(made)
    present, last = twins[0].config, twins[-1].config
    both = equipment(present, last)
    loading.settings_from_config(both, f"the twins of {files[0].name} and {files[-1].name} together")
    folder = folder_of(stack)
    have_private()
    link_program(folder)
    differences = tuple(dict.fromkeys(one for made in twins for one in made.differences)) + _SIMULATED
    _Plan(both, present, last if order.change else None, differences).write(folder)
    write_stack_file(folder / stack.file.name, both)


def write_stack_file(file: Path, config: Config) -> None:
    """Replace what a twin's stack file describes; the secrets, and the keys of hosts that it still has, stay."""
    old = file.read_text() if file.exists() else ""
    earlier: Config = loading.config_of(file) if old else {}
    kept = {key: value for key, value in earlier.items() if is_secret_name(key.removeprefix(NAMESPACE))}
    hosts = f"{NAMESPACE}host_keys"
    keys = {name: key for name, key in earlier.get(hosts, {}).items() if name in config[f"{NAMESPACE}hosts"]}
    document: dict[str, Any] = {"config": config | ({hosts: keys} if keys else {}) | kept}
    if salt := stackfile.salt_of(old):
        document["encryptionsalt"] = salt
    # By way of JSON: two keys that share a value would be written as one with a reference to it.
    stackfile.write(file, yaml.safe_dump(json.loads(json.dumps(document, default=str)), sort_keys=False))


def _announce(stack: Stack, plan: _Plan) -> None:
    settings = stack.settings
    what = "present state, then its change" if plan.changed else "as its file describes it"
    say(f"Perenne: the twin of stack {stack.name}, {what}", "bold")
    equipment_ = (
        f"{len(settings.hosts)} ESXi hosts, {len(settings.storage)} storage arrays, {len(settings.servers)} servers"
    )
    say(f"  {equipment_} as containers in the lab {lab_of(stack).name}; no address of the site's is used")


def _rehearse(stack: Stack, plan: _Plan, display: Display) -> bool:
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
