"""What goes wrong while images are built, told in a way that a user can act on."""

TAIL_LINES = 20


class ImageError(Exception):
    """A step failed; the message says what was tried, what came of it and what to do."""

    def __init__(self, tried: str, output: str, remedy: str) -> None:
        self.tried = tried
        self.output_tail = "\n".join(output.strip().splitlines()[-TAIL_LINES:])
        self.remedy = remedy
        super().__init__(f"{tried} failed.\n{self.output_tail}\nTo do: {remedy}")
