"""`./perenne drift`: is the site still what the program says? Nothing is changed."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text

from cli import drifted_files
from cli.attach import previewing_engine
from cli.console import Display, out
from cli.drifted_files import Asked
from cli.drifted_resources import Cause, Drift, drifted
from cli.engine import Engine
from machine.failure import Failure
from stack.vault import Vault
from stack.workspace import Stack, log_file

DRIFT = 3
"""The exit status where something differs: 1 is for what went wrong, 2 for what was typed wrong."""

_SIZES = frozenset({"memory", "numCpus"})
"""Properties of a VM that it takes from vSphere only while it is off."""


@dataclass(frozen=True)
class Comparison:
    """The site beside the program."""

    drift: list[Drift]
    silent: dict[str, str]
    """Servers whose files could not be looked at, and why."""

    @property
    def status(self) -> int:
        """The command's exit status."""
        return DRIFT if self.drift else 0


def drift(stack: Stack, *, as_json: bool) -> int:
    """Compare a stack's site with the program; returns 0 if they agree, 3 if not.

    Raises:
        Failure: The stack is not deployed, or vCenter or a server does not answer.
        StackFileError: The stack file can't be used, or secrets are missing.
    """
    stack.check_file()
    display = Display(log_file("drift"))
    found = compare(previewing_engine(stack, display), display)
    if as_json:
        print(json.dumps({"stack": stack.name, **asdict(found)}, indent=2))
    else:
        _show(stack, found)
    if found.silent:
        why = "\n".join(f"{server}: {reason}" for server, reason in found.silent.items())
        raise Failure("files on some servers were not looked at", why, f"{stack.command('status')} shows more.")
    return found.status


def compare(pulumi: Engine, display: Display) -> Comparison:
    """Look at everything that the stack's state knows of.

    Raises:
        Failure: The stack is not deployed, or vCenter does not answer.
    """
    stack = pulumi.stack
    deployment = pulumi.state_in_clear().get("deployment") or {}
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    if not resources:
        why = "Pulumi's state of it has no resources"
        raise Failure(f"stack {stack.name} is not deployed", why, f"{stack.command('up')} deploys it.")
    with display.step("files on servers") as progress:
        asked = drifted_files.questions(resources, list(stack.settings.servers))
        files = drifted_files.ask(stack, Vault.open(stack), asked) if asked else Asked([], {})
        progress(f"{len(asked)} servers asked")
    with display.step("resources, as they are now"):
        found = list(drifted(pulumi.steps(), {resource["urn"]: resource for resource in resources}))
    return Comparison([*found, *files.drift], files.silent)


def options_to_mend(found: Comparison) -> list[str]:
    """What `pulumi up` has to be told so that it mends all of it.

    Raises:
        Failure: It would restart several servers at once, to give each its size back.
    """
    resized = sorted({one.where for one in found.drift if one.what in _SIZES})
    if len(resized) > 1:
        why = f"{' and '.join(resized)} have another size, and would be restarted at the same time to get theirs back"
        raise Failure("nothing was deployed", why, "Set it back in vCenter, one after the other.")
    renewed = sorted({one.renew for one in found.drift if one.renew})
    return ["--refresh", *(part for urn in renewed for part in ("--replace", urn))]


def _show(stack: Stack, found: Comparison) -> None:
    for one in found.drift:
        what = f" {one.what}" if one.what else ""
        style = "yellow" if one.cause is Cause.SITE else "dim"
        out.print(Text.assemble((one.where, "bold"), f"{what} ", one.problem, (f" ({one.cause})", style)))
    if found.silent:
        return
    if not found.drift:
        out.print(Text(f"Stack {stack.name}: the site is what the program says.", "green"))
        return
    differ = f"{len(found.drift)} difference{'s' if len(found.drift) > 1 else ''}"
    out.print(f"Stack {stack.name}: {differ}. To make the site what the program says: {stack.command('up')} --repair")
