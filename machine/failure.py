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

    @property
    def told(self) -> str:
        """The whole message, on lines of its own."""
        why = "\n".join(f"  {line}" for line in self.why.splitlines())
        details = f"\n  details: {self.log}" if self.log else ""
        return f"{self.what}\n{why}\n  to do: {self.remedy}{details}"
