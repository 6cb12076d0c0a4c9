"""An engine for a stack, attached to where it lives: its lab, or a real site.

On a real site, who only looks is refused while a killed run has left something unfinished; who changes something has
that settled first.
"""

from cli import artifacts, pending, toolchain
from cli.console import Display
from cli.engine import Engine
from cli.initialise import check_secrets
from lab.site import Condition
from machine.failure import Failure
from stack import hostkeys
from stack.labs import lab_of
from stack.vault import Vault
from stack.workspace import Stack


def previewing_engine(stack: Stack, display: Display) -> Engine:
    """An engine for a stack of which everything that a preview needs is there.

    Raises:
        Failure: The stack is a lab's, and the lab is not up.
        StackFileError: Secrets are missing.
    """
    if not stack.is_lab:
        pulumi = ready_engine(stack, display)
        artifacts.build(stack.settings, display.log)
        return pulumi
    lab = lab_of(stack)
    state = lab.state()
    if state.condition is not Condition.HEALTHY:
        why = "; ".join(state.faults) or "there is none"
        remedy = f"Run {stack.command('up')}; without a lab, {stack.command('check')} --simulated judges it."
        raise Failure("a preview needs the lab, and it is not up", why, remedy)
    check_secrets(stack)
    pulumi = Engine(stack, toolchain.ensure(display.log), lab.prepare().environment)
    pulumi.ensure_stack()
    return pulumi


def ready_engine(stack: Stack, display: Display) -> Engine:
    """An engine for a real stack, which has all its secrets and nothing unfinished, and is only looked at.

    Raises:
        Failure: Something is unfinished; the message says which command finds out what became of it.
        StackFileError: Secrets are missing.
    """
    pulumi = _free_engine(stack, display)
    left = pending.operations(pulumi.state())
    if left:
        raise Failure(
            f"an earlier run on stack {stack.name} was killed while {pending.describe(left)}",
            "whether that happened is not known",
            f"{stack.command('up')} finds out and goes on from there; so does {stack.command('down')}.",
        )
    return pulumi


def working_engine(stack: Stack, display: Display, *, destroy: bool = False) -> Engine:
    """An engine for a real stack that is about to be changed: what an earlier run left unfinished is settled.

    Raises:
        Failure: What became of it can't be found out.
        StackFileError: Secrets are missing.
    """
    pulumi = _free_engine(stack, display)
    settle_killed_run(pulumi, display, Vault.open(stack), destroy=destroy)
    return pulumi


def running_lab(stack: Stack, display: Display) -> Engine:
    """An engine for a stack whose lab is up: nothing is built, and nothing of the lab is changed.

    Raises:
        Failure: The lab is not up.
    """
    lab = lab_of(stack)
    if lab.state().condition is not Condition.HEALTHY:
        raise Failure(f"the lab of stack {stack.name} is not up", "it is absent or broken", stack.command("up"))
    with display.step("Pulumi") as progress:
        pulumi = Engine(stack, toolchain.ensure(progress), lab.prepare().environment)
    with display.step("take up earlier state") as progress:
        pulumi.release(progress)
        hostkeys.settle(Vault.open(stack))
    pulumi.stack = stack.reread()
    settle_killed_run(pulumi, display, Vault.open(pulumi.stack))
    return pulumi


def settle_killed_run(pulumi: Engine, display: Display, secrets: Vault, *, destroy: bool = False) -> None:
    """Settle what a killed engine left, if it left anything."""
    if not pending.operations(pulumi.state()):
        return
    from cli.settlement import settle  # noqa: PLC0415 (see above)
    from stack.inventory import inventory  # noqa: PLC0415 (VMware's library takes its time, and this is seldom)

    with display.step("what a killed run has left") as progress:
        settle(pulumi, lambda: inventory(pulumi.stack, secrets), progress, destroy=destroy)


def _free_engine(stack: Stack, display: Display) -> Engine:
    """An engine for a real stack, which has all its secrets, and on which nothing else works."""
    check_secrets(stack)
    hostkeys.settle(Vault.open(stack))
    stack = stack.reread()
    with display.step("Pulumi") as progress:
        chosen = toolchain.ensure(progress)
        progress(str(chosen))
    pulumi = Engine(stack, chosen)
    with display.step("state") as progress:
        pulumi.release(progress)
        pulumi.ensure_stack()
    return pulumi
