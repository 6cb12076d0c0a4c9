"""The recording's time, and the pace of a load that waits for nobody."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime


class Clock:
    """Seconds since the recording began, on the monotonic clock, which is one for all processes of a machine."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self.began = datetime.now(UTC)
        self.began_monotonic = time.monotonic()

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began_monotonic


class Stop:
    """That the load is over; whoever paces looks at it, and what is under way is finished."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End the load."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether it is over."""
        return self._event.is_set()

    async def wait(self, seconds: float) -> bool:
        """Wait until it is over, but not longer than that; returns whether it is over."""
        if seconds > 0 and not self.is_set:
            try:
                async with asyncio.timeout(seconds):
                    await self._event.wait()
            except TimeoutError:
                return False
        elif not self.is_set:
            await asyncio.sleep(0)  # others get their turn, also while this one catches up
        return self.is_set


async def pace(clock: Clock, stop: Stop, per_second: float) -> AsyncIterator[float]:
    """Yield the times at which something is due, evenly, until the load is over.

    Times are absolute: after a delay of the generator's own, what became due meanwhile follows at once, and the
    recording shows by how much it was late.
    """
    first, count = clock.now(), 0
    while True:
        due = first + count / per_second
        if await stop.wait(due - clock.now()):
            return
        yield due
        count += 1


async def beat(stop: Stop, seconds: float) -> AsyncIterator[None]:
    """Tick regularly until the load is over, leaving out what was missed: for who looks, not for load.

    It has the machine's time, not the recording's, so that observers may begin before the recording does.
    """
    due = time.monotonic()
    while not await stop.wait(due - time.monotonic()):
        yield
        due += max(1, math.ceil((time.monotonic() - due) / seconds)) * seconds
