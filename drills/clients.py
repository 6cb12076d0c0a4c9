"""The clients of a series of drills: the same sessions from drill to drill, as long as their process lives."""

from pathlib import Path
from typing import Self

from drills.model import Recording
from drills.workload.plan import Plan
from drills.workload.workload import Workload, WorkloadFailure


class Clients:
    """A workload that stays, and is begun anew where it could not go on."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._workload: Workload | None = None
        self._ended = ""
        """Why the former one could not go on."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    @property
    def live(self) -> bool:
        """Whether there are sessions that have lived through a drill, as far as is known."""
        return self._workload is not None

    async def record(self, folder: Path) -> tuple[str, ...]:
        """Begin a drill's recording; returns what its reader must know.

        Raises:
            WorkloadFailure: The service is not steady enough.
        """
        if self._workload:
            try:
                await self._workload.record(folder)
            except WorkloadFailure as failure:
                await self._leave(failure)
            else:
                return ()
        self._workload = await Workload(self._plan).__aenter__()
        await self._workload.record(folder)
        if not self._ended:
            return ()
        why, self._ended = self._ended, ""
        return (
            f"Before this drill {self._plan.load.sessions:,} sessions were begun anew, as the former ones ended: {why}",
        )

    async def end(self) -> None:
        """See all sessions off: what comes next may end some of them, and is not measured by them."""
        if self._workload:
            await self._workload.__aexit__()
            self._workload = None

    def now(self) -> float:
        """Seconds since the recording began."""
        return self._recorded().now()

    async def stop(self) -> Recording:
        """End the recording and return it; the sessions live on.

        Raises:
            WorkloadFailure: The process failed; the next `record` begins another one.
        """
        try:
            return await self._recorded().stop()
        except WorkloadFailure as failure:
            await self._leave(failure)
            raise

    def _recorded(self) -> Workload:
        if self._workload is None:
            raise RuntimeError("no recording has begun")
        return self._workload

    async def _leave(self, failure: WorkloadFailure) -> None:
        """See a workload off that can't go on."""
        self._ended = failure.why
        if self._workload:
            await self._workload.__aexit__()
            self._workload = None
