"""The folder of a stack's twin, `.perenne/twin/STACK`, and the process that works in it.

It has links to the program, a stack file of its own (blueprint.twin), secrets that are thrown away, Pulumi's state and
the lab. A process that works on the twin is told so by PERENNE_TWIN, as every path below stack.workspace.PRIVATE
depends on it; so a command prepares the folder and then becomes such a process.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import BaseModel, ConfigDict

from blueprint import loading
from blueprint.loading import NAMESPACE
from blueprint.secrets import is_secret_name
from blueprint.twin import Config, Difference, Renumbering, equipment, twin_of
from machine.failure import Failure
from machine.files import PRIVATE as OWNER_ONLY
from machine.files import write
from stack import stackfile
from stack.workspace import PROGRAM, REPOSITORY, Stack, have_private, link_program, only_command

_PLAN = "rehearsal.json"
_SIMULATED = (
    Difference("ESXi hosts", "machines", "containers with sshd and an esxcli that answers what is used here"),
    Difference("storage arrays", "appliances", "tgt in containers; servers' disks are not on the LUNs"),
    Difference("vSphere HA", "decides and restarts", "simulated, with the documented delays"),
    Difference("servers", "virtual machines", "containers with systemd, on one kernel and one clock"),
    Difference("passwords, keys, certificates", "the stack's own", "made for the twin, and thrown away"),
)


class Plan(BaseModel):
    """What a rehearsal goes through: stack files of the twin, by their configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    equipment: Config
    """What the lab needs for all of them."""
    present: Config
    changed: Config | None
    differences: tuple[Difference, ...]
    """From the site."""

    def write(self, folder: Path) -> None:
        """Keep it in the twin's folder."""
        write(folder / _PLAN, self.model_dump_json(indent=2).encode(), OWNER_ONLY)

    @classmethod
    def read(cls) -> "Plan":
        """Read it back, in the process that works on the twin."""
        return cls.model_validate_json((PROGRAM / _PLAN).read_bytes())


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


def prepare(stack: Stack, change: Path | None) -> None:
    """Check the stack files, the one of a `change` among them, and make or renew the twin's folder.

    Raises:
        Failure: It is the lab's own stack, or a command is at work in the twin.
        StackFileError: A stack file can't be used, or not in a lab.
    """
    if stack.is_lab:
        raise Failure(
            f"stack {stack.name} needs no twin", "it lives in the lab itself", f"Run ./perenne up {stack.name}."
        )
    files = [stack.file, *([change] if change else [])]
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
    differences = tuple(dict.fromkeys(one for made in twins for one in made.differences)) + _SIMULATED
    plan = Plan(equipment=both, present=present, changed=last if change else None, differences=differences)
    have_private()
    for private in (folder, folder / ".perenne"):
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_command(folder / ".perenne"):  # a rehearsal that is under way has the folder to itself
        link_program(folder)
        plan.write(folder)
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
