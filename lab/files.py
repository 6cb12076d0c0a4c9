"""Files that are replaced whole, and never readable by others before they are meant to be."""

import os
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


def write(path: Path, content: str | bytes, mode: int = PUBLIC) -> None:
    """Give `path` this content and mode, unless it has them already. Its directories are made, for the owner only."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.stat().st_mode & 0o777 == mode and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
    draft.replace(path)
