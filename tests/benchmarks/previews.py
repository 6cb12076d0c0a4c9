"""How a preview grows with the site: `.venv/bin/python -m tests.benchmarks.previews` prints Markdown.

A preview of a stack that does not exist yet, on a simulated vCenter, through the real engine and the real provider of
vSphere, with the policy pack (`--no-pack`: without). Timed by the clock on the wall, so the machine should have nothing
else to do. Memory is what the engine, the program and every plugin had resident at the same time (the sum of their
proportional set sizes, asked for twice a second).
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

from cli import artifacts, toolchain
from cli.engine import POLICIES, Engine
from cli.simulation import simulated
from stack.workspace import Stack

SIZES = ((3, 7), (8, 50), (32, 500), (64, 2_000))
"""Hosts and servers."""

_PROGRAM = Path(__file__).parent / "many" / "__main__.py"
_LOOK_SECONDS = 0.5
_GIB = 2**30


def main() -> None:
    """Measure and print."""
    options = () if "--no-pack" in sys.argv else POLICIES
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; one run each\n")
    print("| hosts | servers | resources | preview | greatest memory |\n|---|---|---|---|---|")
    with simulated(Stack("dev"), toolchain.ensure(_quiet), artifacts.vcenter(_quiet), _quiet) as engine:
        link = engine.folder / "__main__.py"
        link.unlink()
        link.symlink_to(_PROGRAM)
        for hosts, servers in SIZES:
            seconds, resources, memory = _preview(engine, hosts, servers, options)
            print(f"| {hosts} | {servers:,} | {resources:,} | {seconds:.1f} s | {memory / _GIB:.2f} GiB |", flush=True)


def _preview(engine: Engine, hosts: int, servers: int, options: tuple[str, ...]) -> tuple[float, int, int]:
    """Seconds, resources and bytes of one preview."""
    environment = engine.environment | {"BENCHMARK_HOSTS": str(hosts), "BENCHMARK_SERVERS": str(servers)}
    command = [str(engine.pulumi.executable), "preview", "--stack", "dev", "--non-interactive", *options]
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=engine.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watch = _Watch(process.pid)
        watch.start()
        said = process.stdout.read() if process.stdout else ""
        status = process.wait()
    seconds = time.monotonic() - began
    watch.over.set()
    watch.join()
    created = [line.split() for line in said.splitlines() if line.strip().startswith("+ ") and "to create" in line]
    if status or not created:
        raise RuntimeError(f"the preview of {servers} servers failed:\n{said[-2000:]}")
    return seconds, int(created[-1][1]), watch.most


class _Watch(Thread):
    """Adds up the memory of a session's processes, again and again."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.over = Event()
        self.most = 0
        self._session = session

    def run(self) -> None:
        while not self.over.wait(_LOOK_SECONDS):
            self.most = max(self.most, sum(_sizes(self._session)))


def _sizes(session: int) -> Iterator[int]:
    """The proportional set size of every process of a session, in bytes (proc(5), `smaps_rollup`)."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) != session:
                continue
            lines = (folder / "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        yield sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _quiet(_line: str) -> None:
    """Progress is not asked for."""


if __name__ == "__main__":
    main()
