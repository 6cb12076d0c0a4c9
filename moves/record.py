"""How far a patch came, so that the next one goes on from there."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from machine import files
from machine.failure import Failure


class Progress(BaseModel):
    """What is done of a patch."""

    model_config = ConfigDict(extra="forbid")

    began: str
    """When, in ISO 8601."""
    done: list[str] = Field(default_factory=list)
    """Servers and hosts that are patched and in service."""
    current: str = ""
    """The one that may be drained now."""
    to_restart: list[str] = Field(default_factory=list)
    """Servers that may have new packages, and still run the old ones."""


class Record:
    """The progress of a stack's patch on disk; none once it is complete, and nothing has yet to be restarted."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> Progress | None:
        """The progress of a patch that did not come to its end.

        Raises:
            Failure: It can't be understood.
        """
        try:
            return Progress.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            why = f"{self._file} is not what a patch writes: {error}"
            raise Failure("it isn't known how far the last patch came", why, "Begin anew: --anew") from error

    def write(self, progress: Progress) -> None:
        """Keep it."""
        files.write(self._file, progress.model_dump_json(indent=2))

    def forget(self) -> None:
        """The patch is complete, or is to begin anew: of it only stays which servers have yet to be restarted.

        Nobody else knows that: their packages are new, so that the next patch would find nothing to do there.
        """
        try:
            former = self.read()
        except Failure:  # what can't be understood goes, too
            former = None
        if former and former.to_restart:
            self.write(Progress(began=former.began, to_restart=former.to_restart))
        else:
            self._file.unlink(missing_ok=True)
