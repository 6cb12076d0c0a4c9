"""What a command can't go on from, told in a way that a user can act on."""

from pathlib import Path


class Failure(Exception):  # noqa: N818  # it is shown to users as what it is called
    """One clear message: what failed, why, and what to do; `log` has the details."""

    def __init__(self, what: str, why: str, remedy: str, *, log: Path | None = None) -> None:
        self.what = what
        self.why = why
        self.remedy = remedy
        self.log = log
        super().__init__(f"{what}: {why}")


class Interrupted(Exception):  # noqa: N818
    """The user interrupted a command; the text says what it was doing."""
