"""The engine's events (`--json`), one JSON object per line, as progress that a person can follow.

Debug diagnostics carry secrets in clear: they are dropped as they are read, and nothing of the raw stream is kept.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

_SUMMARY = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "same": "unchanged"}


@dataclass
class Deployment:
    """What is known of a preview and the update that follows it."""

    total: int = 0
    """Resources that the preview found."""
    done: int = 0
    previewed: bool = False
    updated: bool = False
    """Whether anything was changed, or may have been."""
    running: dict[str, str] = field(default_factory=dict)
    """Names of resources that are being changed, by URN."""
    changes: dict[str, int] = field(default_factory=dict)
    """Numbers of resources by operation, of the last phase that has ended."""
    errors: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    """Warnings and information, for the log."""

    def read(self, line: str) -> str | None:
        """Take one line of the stream; returns a line for the log if it is worth one."""
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            return None
        handlers = {
            "resourcePreEvent": self._begins,
            "resOutputsEvent": self._ended,
            "resOpFailedEvent": self._failed,
            "diagnosticEvent": self._diagnostic,
            "policyEvent": self._policy,
            "summaryEvent": self._summarised,
        }
        found = next((name for name in handlers if name in event), None)
        return handlers[found](event[found]) if found else None

    @property
    def progress(self) -> str:
        """How far it is, in one line."""
        if not self.previewed:
            return f"preview: {self.total} resources"
        names = ", ".join(list(self.running.values())[:3])
        more = f" and {len(self.running) - 3} more" if len(self.running) > 3 else ""  # noqa: PLR2004
        return f"{self.done}/{self.total} {names}{more}"

    @property
    def changed(self) -> int:
        """How many resources were changed."""
        return sum(number for operation, number in self.changes.items() if operation != "same")

    @property
    def summary(self) -> str:
        """Numbers by operation in words."""
        return ", ".join(f"{number} {_SUMMARY.get(name, name)}" for name, number in self.changes.items()) or "nothing"

    def _begins(self, event: dict[str, Any]) -> str | None:
        metadata = event["metadata"]
        if event.get("planning"):
            self.total += 1
            return None
        self.updated = True
        if metadata["op"] == "same" or metadata["type"] == "pulumi:pulumi:Stack":
            return None
        self.running[metadata["urn"]] = name_of(metadata["urn"])
        return f"{metadata['op']} {name_of(metadata['urn'])}"

    def _ended(self, event: dict[str, Any]) -> str | None:
        metadata = event["metadata"]
        if event.get("planning"):
            return None
        self.done += 1
        self.total = max(self.total, self.done)
        name = self.running.pop(metadata["urn"], None)
        return f"{metadata['op']} {name}: done" if name else None

    def _failed(self, event: dict[str, Any]) -> str:
        urn = event["metadata"]["urn"]
        self.running.pop(urn, None)
        return f"failed: {name_of(urn)}"

    def _summarised(self, event: dict[str, Any]) -> str:
        self.changes = dict(event.get("resourceChanges") or {})
        is_preview = bool(event.get("isPreview"))
        self.previewed = self.previewed or is_preview
        return f"{'preview' if is_preview else 'update'}: {self.summary}"

    def _diagnostic(self, diagnostic: dict[str, Any]) -> str | None:
        severity = diagnostic.get("severity")
        if severity == "debug" or diagnostic.get("ephemeral"):
            return None
        message = diagnostic.get("message", "").strip()
        where = f"{name_of(diagnostic['urn'])}: " if diagnostic.get("urn") else ""
        if severity == "error" and message and where + message not in self.errors:
            self.errors.append(where + message)
        elif severity != "error":
            self.messages.append(where + message)
        return f"{severity}: {where}{message}" if message else None

    def _policy(self, policy: dict[str, Any]) -> str:
        text = f"policy {policy.get('policyName')}: {policy.get('message', '').strip()}"
        (self.errors if policy.get("enforcementLevel") == "mandatory" else self.messages).append(text)
        return text


class Stream:
    """What an engine writes: a file in memory, which takes all of it whether or not ./perenne lives to read it.

    Go ends a program whose standard output is a pipe that nobody reads, as `kill -9` would (os/signal, SIGPIPE), and an
    engine says a word when it is interrupted: it could not end in good order after ./perenne was killed.
    """

    def __init__(self) -> None:
        self._file = os.fdopen(os.memfd_create("events"), "rb")
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fileno(self) -> int:
        """Of the file: what a program is given as its standard output."""
        return self._file.fileno()

    def lines(self) -> Iterator[str]:
        """Whole lines that have come; one that an interrupt kept from being dealt with comes again."""
        # The file's position is the writer's: the engine inherits it.
        come = os.pread(self.fileno(), os.fstat(self.fileno()).st_size - self._read, self._read)
        for line in come.split(b"\n")[:-1]:
            yield line.decode(errors="replace")
            self._read += len(line) + 1


def name_of(urn: str) -> str:
    """A resource's kind and name: `VirtualMachine db01`."""
    *_, kind, name = urn.split("::")
    return f"{kind.rsplit(':', 1)[-1]} {name}"
