"""An event loop on which nobody waits: its clock jumps to the next timer as soon as nothing else is left to be done.

For tests whose clients and servers all live in one process. Work takes no time on this clock, and waiting takes no
real time.
"""

import asyncio
import selectors

_GRACE_SECONDS = 0.001
"""How long the loopback interface may take to deliver, in real time."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Such a loop; it begins at time 0."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self.now


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing but what other threads and the kernel have in hand."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(_GRACE_SECONDS)
        if not ready:
            self._loop.now += timeout
        return ready
