"""`./perenne preview`: what `up` would change, in Pulumi's own words."""

from cli.attach import previewing_engine
from cli.console import Display
from stack.workspace import Stack, log_file


def preview(stack: Stack, options: tuple[str, ...]) -> int:
    """Show a preview; returns Pulumi's exit code.

    Raises:
        Failure: The stack is a lab's, and the lab is not up.
        StackFileError: The stack file can't be used, or secrets are missing.
    """
    stack.check_file()
    return previewing_engine(stack, Display(log_file("preview"))).preview(*options)
