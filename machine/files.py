"""Files that are replaced whole, and never readable by others before they are meant to be."""

import os
import tempfile
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644

_TAIL_LINES = 15


def write(path: Path, content: str | bytes, mode: int = PUBLIC, *, durable: bool = False) -> None:
    """Give a file this content and mode, unless it has them already. Its directories are made, for the owner only.

    Whoever reads it finds the old content or the new one, also after an interruption.

    Args:
        path: The file.
        content: All that shall be in it.
        mode: Its permissions.
        durable: The content is on the disk before the file has it.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.stat().st_mode & 0o777 == mode and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A draft of its own for each writer: two at once must not put each other's half in place.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def tail(log: Path) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
