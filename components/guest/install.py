"""Puts a role's files on a server; runs there, with Python's standard library only.

    install.py ROLE install    reads {path: {content, mode, owner}} as JSON on standard input, writes what differs,
                               removes what an earlier run wrote and this one doesn't list, and prints every path
                               changed since the last commit
    install.py ROLE commit     notes that the services run with these files
    install.py ROLE check      reads the same JSON, changes nothing, and prints {path: what is wrong with it} as JSON

A run that is interrupted before its commit leaves its changes noted: the next one repeats the restarts they need.
"""

import grp
import json
import os
import pwd
import stat
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

NOTES = Path("/var/lib/perenne")


class Entry(TypedDict):
    """A file that shall be on the server."""

    content: str
    mode: int
    owner: str


class Notes(TypedDict):
    """What is known about the role: the files it has, and those changed since its services last took them up."""

    files: list[str]
    changed: list[str]


def install(notes_file: Path, wanted: dict[str, Entry]) -> list[str]:
    """Make the server's files those that are `wanted`; return the paths changed since the last commit."""
    notes = load(notes_file)
    differing = [path for path, entry in wanted.items() if not matches(Path(path), entry)]
    obsolete = [path for path in notes["files"] if path not in wanted]
    changed = sorted({*notes["changed"], *differing, *obsolete})
    save(notes_file, {"files": sorted({*notes["files"], *wanted}), "changed": changed})
    for path in differing:
        write(Path(path), wanted[path]["content"].encode(), wanted[path]["mode"], wanted[path]["owner"])
    for path in obsolete:
        Path(path).unlink(missing_ok=True)
    save(notes_file, {"files": sorted(wanted), "changed": changed})
    return changed


def commit(notes_file: Path) -> None:
    """Note that every change has been taken up."""
    save(notes_file, {"files": load(notes_file)["files"], "changed": []})


def check(notes_file: Path, wanted: dict[str, Entry]) -> dict[str, str]:
    """Say what differs from `wanted`, by path; changes nothing."""
    notes = load(notes_file)
    found = dict.fromkeys(notes["changed"], "is not in use yet: a run was interrupted")
    found |= {path: "is there, and should not be" for path in notes["files"] if path not in wanted}
    return found | {path: why for path, entry in wanted.items() if (why := difference(Path(path), entry))}


def matches(path: Path, entry: Entry) -> bool:
    """Whether the file is there as wanted."""
    return not difference(path, entry)


def difference(path: Path, entry: Entry) -> str:
    """In what the file is not as wanted; empty if in nothing. What it says is not told: it may be a secret."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    if not stat.S_ISREG(found.st_mode):
        return "is not a file"
    if path.read_bytes() != entry["content"].encode():
        return "has another content"
    if stat.S_IMODE(found.st_mode) != entry["mode"]:
        return f"has mode {stat.S_IMODE(found.st_mode):04o}, not {entry['mode']:04o}"
    if (found.st_uid, found.st_gid) != ids(entry["owner"]):
        return f"belongs to {found.st_uid}:{found.st_gid}, not to {entry['owner']}"
    return ""


def write(path: Path, content: bytes, mode: int, owner: str) -> None:
    """Put a file in place at once and for good; nobody but its owner ever sees its content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchown(handle, *ids(owner))
            os.fchmod(handle, mode)
            stream.write(content)
            stream.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def ids(owner: str) -> tuple[int, int]:
    """Translate user:group."""
    user, group = owner.split(":")
    return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid


def load(notes_file: Path) -> Notes:
    """Read the notes of earlier runs."""
    if not notes_file.exists():
        return {"files": [], "changed": []}
    notes: Notes = json.loads(notes_file.read_text())
    return notes


def save(notes_file: Path, notes: Notes) -> None:
    """Keep the notes for later runs."""
    write(notes_file, json.dumps(notes, indent=1).encode(), 0o600, "root:root")


def main(role: str, step: str) -> None:
    """Do one step for one role."""
    notes_file = NOTES / f"{role}.json"
    if step == "install":
        print("\n".join(install(notes_file, json.load(sys.stdin))))  # the shell reads it
    elif step == "commit":
        commit(notes_file)
    elif step == "check":
        print(json.dumps(check(notes_file, json.load(sys.stdin))))
    else:
        sys.exit(f"install.py: no such step: {step}")


if __name__ == "__main__":
    main(*sys.argv[1:])
