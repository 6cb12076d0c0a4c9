"""Recordings as files: JSON of the dataclasses in drills.model, a tenth as large as gzip leaves it."""

import gzip
from pathlib import Path

from pydantic import TypeAdapter

from drills.model import Recording
from machine import files

FILE = "recording.json.gz"

_ADAPTER = TypeAdapter(Recording)
_LEVEL = 1
"""Of compression: hundreds of recordings of a series are kept, and the site is to have the processor."""


def write(recording: Recording, folder: Path) -> Path:
    """Keep a recording in a folder; one that is there is replaced as a whole. Returns the file."""
    file = folder / FILE
    files.write(file, gzip.compress(_ADAPTER.dump_json(recording), _LEVEL))
    return file


def read(file: Path) -> Recording:
    """Read a recording.

    Raises:
        OSError: There is none.
        pydantic.ValidationError: It is none.
    """
    return _ADAPTER.validate_json(gzip.decompress(file.read_bytes()))
