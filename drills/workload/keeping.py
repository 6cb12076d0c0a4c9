"""Recordings as files: JSON of the dataclasses in drills.model."""

from pathlib import Path

from pydantic import TypeAdapter

from drills.model import Recording

_ADAPTER = TypeAdapter(Recording)


def write(recording: Recording, file: Path) -> None:
    """Keep a recording; one that is there is replaced as a whole."""
    new = file.with_suffix(".new")
    new.write_bytes(_ADAPTER.dump_json(recording))
    new.replace(file)


def read(file: Path) -> Recording:
    """Read a recording.

    Raises:
        OSError: There is none.
        pydantic.ValidationError: It is none.
    """
    return _ADAPTER.validate_json(file.read_bytes())
