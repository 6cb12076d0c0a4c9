"""`./perenne preview`: what `up` would change, in Pulumi's own words."""

from cli import artifacts, toolchain
from cli.console import Display
from cli.engine import Engine
from cli.failure import Failure
from cli.initialise import check_secrets
from cli.labs import lab_of
from cli.up import ready_engine
from cli.workspace import Stack, log_file
from lab.site import Condition


def preview(stack: Stack, options: tuple[str, ...]) -> int:
    """Show a preview; returns Pulumi's exit code.

    Raises:
        Failure: The stack is a lab's, and the lab is not up.
        StackFileError: The stack file can't be used, or secrets are missing.
    """
    stack.settings  # noqa: B018 (a wrong stack file is found before anything else)
    return previewing_engine(stack, Display(log_file("preview"))).preview(*options)


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
