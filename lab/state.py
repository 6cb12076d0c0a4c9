"""What a lab remembers between two commands, in `.perenne/lab/lab.json`. Everything else is asked from Docker."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from machine.files import write


class Record(BaseModel):
    """The lab's memory.

    `exists` is set before the first container is made and cleared after the last one is gone; `generation` is set when
    the lab is whole. `port` is the one on 127.0.0.1 that leads to the site.
    """

    model_config = ConfigDict(frozen=True)

    exists: bool = False
    generation: str | None = None
    port: int | None = None

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the record; a missing or damaged one counts as none, and the lab is then built anew."""
        try:
            return cls.model_validate_json((directory / "lab.json").read_text())
        except (FileNotFoundError, ValidationError):
            return cls()

    def write(self, directory: Path) -> None:
        """Replace the record, whole or not at all."""
        write(directory / "lab.json", self.model_dump_json(indent=2) + "\n")
