"""What commands show: steps with their progress and time on standard error, results on standard output."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN = bool(os.environ.get("CI")) or not sys.stderr.isatty()
"""No animation: each line once, top to bottom."""

_QUIET_SECONDS = 10.0
"""On a plain display, how often a line that replaces another may show."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True, force_terminal=False if PLAIN else None)


def say(line: str = "", style: str | None = None) -> None:
    """Show one line of progress; square brackets mean themselves."""
    err.print(Text(line, style=style or ""))


@dataclass
class Progress:
    """Takes the lines of one step, from any thread."""

    display: "Display"
    name: str
    began: float = field(default_factory=time.monotonic)
    line: str = ""
    _shown: float = 0.0

    def __call__(self, line: str) -> None:
        """Something begins or has ended."""
        self.display.log(f"{self.name}: {line}")
        self.line = line
        if self.display.plain:
            say(f"    {self.name}: {line}", "dim")

    def replace(self, line: str) -> None:
        """How far it is; the next one takes its place."""
        self.line = line
        if self.display.plain and time.monotonic() - self._shown >= _QUIET_SECONDS:
            self._shown = time.monotonic()
            say(f"    {self.name}: {line}", "dim")

    @property
    def seconds(self) -> float:
        """Time since the step began."""
        return time.monotonic() - self.began


class Display:
    """The steps that are under way, and the time that each has taken.

    Args:
        log: Receives every line.
        plain: No animation.
    """

    def __init__(self, log: Path | None = None, *, plain: bool = PLAIN) -> None:
        self.plain = plain
        self.timings: dict[str, float] = {}
        self._log = log
        self._running: list[Progress] = []
        self._lock = threading.Lock()
        self._live = Live(console=err, get_renderable=self._render, refresh_per_second=8, transient=True)

    @property
    def log_path(self) -> Path | None:
        """Where every line is."""
        return self._log

    def log(self, line: str) -> None:
        """Write to the log only."""
        if self._log:
            with self._lock, self._log.open("a") as file:
                file.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    @contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        """Show a step while the block runs, and its time at the end."""
        progress = self.begin(name)
        try:
            yield progress
        except BaseException:
            self.end(progress, "✗", "red")
            raise
        self.end(progress, "✓", "green")

    def begin(self, name: str) -> Progress:
        """Show that a step begins."""
        progress = Progress(self, name)
        self.log(f"{name} begins")
        with self._lock:
            self._running.append(progress)
            if not self.plain and len(self._running) == 1:
                self._live.start()
        if self.plain:
            say(f"  … {name}")
        return progress

    def end(self, progress: Progress, mark: str, style: str) -> None:
        """Show that a step has ended."""
        self.timings[progress.name] = progress.seconds
        with self._lock:
            self._running.remove(progress)
            if not self.plain and not self._running:
                self._live.stop()
        self.log(f"{progress.name} {mark} {progress.seconds:.1f} s")
        err.print(Text.assemble((f"  {mark} ", style), f"{progress.name:<34}", (f"{progress.seconds:7.1f} s", "dim")))

    def names(self) -> list[str]:
        """The steps that are under way."""
        return [progress.name for progress in self._running]

    def _render(self) -> "RenderableType":
        width = max(20, err.width - 50)
        rows = []
        for progress in list(self._running):
            row = Table.grid(padding=(0, 1))
            line = progress.line if len(progress.line) <= width else progress.line[: width - 1] + "…"
            name, seconds = Text(f"{progress.name:<34}"), Text(f"{progress.seconds:7.0f} s", "dim")
            row.add_row(Spinner("dots"), name, seconds, Text(line, "dim"))
            rows.append(row)
        return Group(*rows)
