"""What goes wrong while images are built, told in a way that a user can act on."""

from machine.failure import Failure

_TAIL_LINES = 20


class ImageError(Failure):
    """A step failed; the message says what was tried, what came of it and what to do."""

    def __init__(self, tried: str, output: str, remedy: str) -> None:
        super().__init__(f"{tried} failed", "\n".join(output.strip().splitlines()[-_TAIL_LINES:]), remedy)


class EndedError(ImageError):
    """A tool was ended by a signal, as by Ctrl-C: nothing follows from that but to stop."""
