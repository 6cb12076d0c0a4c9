"""`./perenne describe`: a site's design as a page, from its stack file alone."""

from blueprint.description import description
from stack.workspace import Stack


def show(stack: Stack) -> int:
    """Print the page as Markdown; returns 0.

    Raises:
        StackFileError: The stack file can't be used.
    """
    print(description(stack.settings, stack.name), end="")
    return 0
