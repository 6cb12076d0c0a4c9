"""The workload as a drill uses it: record, break something, stop, and look at what was recorded; and so on."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Self

from drills.model import Recording
from drills.workload import keeping
from drills.workload.orders import RECORD, STOP
from drills.workload.plan import Plan
from machine.failure import Failure
from stack.workspace import REPOSITORY

BEGIN_SECONDS = 180.0
"""How long sessions may take to begin: twice what 1,000 of them take, each with a write and a read."""

END_SECONDS = 30.0
"""How long the process may take to end once nobody waits for its checks."""


class WorkloadFailure(Failure):
    """The workload can't go on: what it would have recorded is not known, and another one has to be begun."""


class Workload:
    """Clients that use the service, in a process of their own, whose sessions live on from recording to recording.

    The process ends by itself: when it is left, when nobody asks anything of it for `Load.longest_seconds`, and when
    this process ends in any way.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: Process | None = None
        self._began: float | None = None
        self._log = Path(plan.folder) / "workload.log"

    async def __aenter__(self) -> Self:
        """Start it, and wait until every session is live.

        Raises:
            WorkloadFailure: The service is not steady enough to begin.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as log:
            # Ctrl-C reaches the drill alone (a session of its own): what is recorded by then is not lost.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "drills.workload",
                cwd=REPOSITORY, stdin=PIPE, stdout=PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            await self._write(self._plan.model_dump_json())
            await self._read("live", BEGIN_SECONDS)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    def now(self) -> float:
        """Seconds since the recording began: the time that everything in the recording is told in."""
        if self._began is None:
            raise RuntimeError("no recording has begun")
        return time.monotonic() - self._began

    async def record(self, folder: Path | None = None) -> None:
        """Begin a recording, and wait until the load runs; sessions that were lost before are begun anew first.

        Args:
            folder: Where it is kept; the plan's own folder, if there is to be one recording alone.

        Raises:
            WorkloadFailure: The service is not steady enough, or the process has ended.
        """
        await self._write(f"{RECORD} {folder or self._plan.folder}")
        load = self._plan.load
        self._began = await self._read("began", BEGIN_SECONDS + load.warm_seconds + load.answer_seconds)

    async def stop(self) -> Recording:
        """End the recording, have the ledger and the sessions checked, and return it.

        Raises:
            WorkloadFailure: The process failed.
        """
        await self._write(STOP)
        bound = 2 * self._plan.load.check_seconds + self._plan.load.answer_seconds + END_SECONDS
        recording = Path(await self._read("recording", bound))
        return await asyncio.to_thread(keeping.read, recording)

    async def _write(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the workload has not been started")
        try:
            self._process.stdin.write(f"{line}\n".encode())
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return  # it has ended; what it said before can be read

    async def _read(self, what: str, seconds: float) -> Any:  # noqa: ANN401 (a number or a text, by what it is)
        """The next thing that the process says, which is to be of that kind."""
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("the workload has not been started")
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise self._failure(f"it did nothing for {seconds:g} s") from None
        if not line:
            raise self._failure("its process has ended")
        said = json.loads(line)
        if "failed" in said:
            raise self._failure(said["failed"])
        return said[what]

    def _failure(self, why: str) -> WorkloadFailure:
        remedy = f"Look at {self._plan.status}; once the stack is whole, run the drill again."
        return WorkloadFailure("the workload could not go on", why, remedy, log=self._log)

    async def _end(self) -> None:
        """See the process off; one that does not end is killed."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
