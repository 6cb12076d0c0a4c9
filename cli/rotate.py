"""`./perenne rotate`: new passwords, keys and certificates for a running site, in the steps of `blueprint.rotation`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from blueprint import rotation
from blueprint.rotation import Step
from blueprint.secrets import Kind, Secret, Stage, Way, secrets_of
from blueprint.terms import Certificate
from cli import artifacts, given
from cli.attach import running_lab, working_engine
from cli.console import Display, out, say
from cli.deploy import check_restarts, deploy
from cli.engine import Engine
from cli.initialise import Ask, asking
from machine.failure import Failure
from stack import hostkeys, keys
from stack.checks import check_site
from stack.labs import lab_of, lab_secrets
from stack.vault import Vault
from stack.workspace import Stack, log_file, only_command

Confirm = Callable[[str], bool]

_WHOLE_SECONDS = 180.0
"""Longer than a server takes that an interrupted step has just restarted, or a standby until it is synchronous."""
_PAUSE_SECONDS = 1.0
_VCENTER = "vcenter-password"


def rotate(
    stack: Stack, only: Sequence[str], *, yes: bool, prompt: Callable[[str], str] | None, confirm: Confirm
) -> int:
    """Give a running site new secrets, or go on with a rotation that was interrupted; returns the exit code.

    Args:
        stack: Whose.
        only: Names of secrets; none means all that can be rotated at no cost to users.
        yes: Don't ask before a real site is changed.
        prompt: Asks for secrets of equipment; None where nobody can be asked.
        confirm: Asks whether to go on.

    Raises:
        Failure: A name is unknown, the lab is not up, or a step can't be done.
        Interrupted: By the user.
    """
    wanted = _chosen(stack, only)
    display = Display(log_file("rotate"))
    with only_command():
        site = _Site(stack, display, prompt)
        begun = rotation.rotated(site.vault.values)
        if begun:
            say(f"An interrupted rotation goes on first: {', '.join(begun)}", "bold")
            site.go_on(confirm, yes=yes)
        left = [secret for secret in wanted if secret.name not in begun]
        if not left:
            return 0
        if not _agreed(site.stack, left, confirm, yes=yes):
            return 1
        site.begin(left)
        site.go_on(confirm, yes=yes)
    return 0


def show(stack: Stack) -> int:
    """List every secret, how old it is and when it ends as far as that is known, and what rotating it does."""
    values = Vault.open(stack).values
    table = Table("secret", "what for", "made", "ends", "what rotating it does")
    for secret in secrets_of(stack.settings):
        made, ends = _dates(secret, values.get(secret.name, ""))
        named = "only if named: " if secret.given or secret.way is Way.COSTLY else ""
        table.add_row(secret.name, Text(secret.purpose), made, ends, Text(named + secret.touches))
    out.print(table)
    if begun := rotation.rotated(values):
        out.print(Text(f"A rotation was interrupted, {stack.command('rotate')} goes on: {', '.join(begun)}", "yellow"))
    return 0


def _dates(secret: Secret, value: str) -> tuple[str, Text]:
    if not value or secret.kind not in (Kind.CERTIFICATE, Kind.CERTIFICATE_AUTHORITY):
        return "", Text("")
    begins, ends = keys.validity(value)
    days = (ends - datetime.now(UTC)).days
    return f"{begins:%Y-%m-%d}", Text(f"{ends:%Y-%m-%d}, in {days} days", "red" if days < keys.RENEWAL.days else "")


def _chosen(stack: Stack, only: Sequence[str]) -> list[Secret]:
    try:
        wanted = rotation.chosen(secrets_of(stack.settings), only)
    except KeyError as error:
        name = error.args[0]
        why = f"{stack.file.name} describes nothing that needs one of that name"
        raise Failure(f"there is no secret {name}", why, f"{stack.command('rotate')} --list shows all.") from None
    if stack.is_lab and (given := [secret.name for secret in wanted if secret.given and secret.kind is not Kind.CHAP]):
        why = f"{', '.join(given)}: the lab is built with them"
        raise Failure("the lab can't rotate that", why, "./perenne down and up build it with new ones.")
    return wanted


def _agreed(stack: Stack, wanted: Sequence[Secret], confirm: Confirm, *, yes: bool) -> bool:
    costly = [secret for secret in wanted if secret.way is Way.COSTLY]
    for secret in costly:
        say(f"{secret.name}: {secret.touches}", "yellow")
    if yes or (stack.is_lab and not costly):
        return True
    if not confirm(f"Rotate {len(wanted)} secrets of the running stack {stack.name}?"):
        say("Nothing was changed; --yes doesn't ask.")
        return False
    return True


class _Site:
    """A running site whose secrets are rotated.

    Raises:
        Failure: It is not there.
    """

    def __init__(self, stack: Stack, display: Display, prompt: Callable[[str], str] | None) -> None:
        self._display = display
        self._ask: Ask = asking(prompt)
        self._engine, self._equip = _ready(stack, display)
        self.vault = Vault.open(self._engine.stack)

    @property
    def stack(self) -> Stack:
        """The stack as its file says now."""
        return self.vault.stack

    def begin(self, wanted: Sequence[Secret]) -> None:
        """Make the new values, or ask for them; nothing uses them yet."""
        change = rotation.begin(wanted, self.vault.values, self._make)
        new = {name.removeprefix(Stage.NEXT): value for name, value in change.values.items()}
        given.check_site(self.stack.settings, self.vault.values, new)
        if _VCENTER in new and not self.stack.is_lab:
            # A mistyped one would be what every later run goes on with.
            from stack.vcenter import reached  # noqa: PLC0415 (VMware's library takes its time)

            with reached(self.stack, replace(self.vault, values=self.vault.values | new), "the new password is asked"):
                say(f"vCenter takes the new password of {self.stack.settings.vcenter.user}.")
        self.vault.keep(change)

    def _make(self, secret: Secret, authority: str) -> str:
        asked = secret.given and not self.stack.is_lab  # the lab's arrays take what they are given
        return self._ask(secret) if asked else keys.make(secret, authority)

    def go_on(self, confirm: Confirm, *, yes: bool) -> None:
        """Do what is left of a rotation, step by step.

        Raises:
            Failure: A step can't be done; the next run goes on from there.
        """
        needed = list(secrets_of(self.stack.settings))
        while step := rotation.step_of(self.vault.values):
            self._await_whole()
            if rotation.must_be_deployed(needed, self.vault.values):
                say(f"{self.stack.name}: {step}", "bold")
                self._equip(self.vault)
                self._engine.stack = self.stack
                deploy(self._engine, self._display)
            if step is Step.ACCEPT:
                self._change_host_keys()
                self._await_users(confirm, yes=yes)
            if step is rotation.step_of(self.vault.values):  # unless those host keys were all that it was about
                self.vault.keep(rotation.advance(self.stack.settings, needed, self.vault.values))
        self._await_whole()
        say("Done: nothing accepts the old values any more. Keep the stack file: it has the new ones.", "green")

    def _await_whole(self) -> None:
        """Wait until nothing is missing: a step restarts one of two, so the other one must be there."""
        deadline = time.monotonic() + _WHOLE_SECONDS
        with self._display.step("the site is whole") as progress:
            while lacking := [check for check in check_site(self.stack) if not check.held]:
                why = "\n".join(f"{check.what}: {check.found}" for check in lacking)
                if time.monotonic() > deadline:
                    remedy = f"Mend that ({self.stack.command('up')} deploys what the stack file says), then go on."
                    raise Failure("the site is not whole, and a rotation restarts its servers in turn", why, remedy)
                progress.replace(why)
                time.sleep(_PAUSE_SECONDS)

    def _change_host_keys(self) -> None:
        if any(name.startswith("ssh-host-key-") for name in rotation.names_in(self.vault.values, Stage.NEXT)):
            with self._display.step("SSH host keys") as progress:
                hostkeys.change(self.vault, progress)

    def _await_users(self, confirm: Confirm, *, yes: bool) -> None:
        """Users' machines, which nobody deploys to, have to trust a new authority before the site is signed by it."""
        unseen = self.stack.is_lab or self.stack.settings.site.certificate is Certificate.GIVEN
        if unseen or yes or f"{Stage.NEXT}tls-authority" not in self.vault.values:
            return
        say(f"Servers trust the new authority beside the old one; {self.stack.authority_file} has both.", "bold")
        if not confirm("Have you put them on every machine whose users open the site?"):
            raise Failure(
                "the rotation waits",
                "browsers that don't know the new authority would refuse the site",
                f"Put them there, then run {self.stack.command('rotate')} again: it goes on from here.",
            )


def _ready(stack: Stack, display: Display) -> tuple[Engine, Callable[[Vault], None]]:
    """What deploys, and what gives a lab's arrays the secrets that on a real site somebody gives them by hand."""

    def equip(opened: Vault) -> None:
        if opened.stack.is_lab:
            with display.step("arrays") as progress:
                lab_of(opened.stack).tell(lab_secrets(opened.stack, opened.values), progress)

    attach = running_lab if stack.is_lab else working_engine
    engine = attach(stack, display)
    check_restarts(engine)
    with display.step("services") as progress:
        artifacts.build(stack.settings, progress)
    return engine, equip
