"""Waiting: until the stack is whole, and until what was begun has come to its end."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Protocol, TypeVar

from moves.standing import Standing, standing
from stack.workspace import Stack

WHOLE_SECONDS = 300.0
"""How long a stack may take: vSphere HA's 18 s, two guests that boot one after the other, WildFly's start and
PostgreSQL's rewind add up to about 60 s in the lab."""

STEADY_SECONDS = 3.0
"""For how long nothing may be missing: some faults take a second to show, and some come back."""

_POLL_SECONDS = 2.0
"""Each look logs in to every server: done more often, it takes from a small site what it needs to become whole."""

T = TypeVar("T")


class _Seen(Protocol):
    """The site at one moment."""

    def missing(self, away: Collection[str] = ()) -> list[str]:
        """What keeps it from full redundancy, beside what is meant to be `away`."""
        ...


Seen = TypeVar("Seen", bound=_Seen)


async def until_whole(
    stack: Stack, *, seconds: float = WHOLE_SECONDS, steady: float = STEADY_SECONDS
) -> tuple[float | None, Standing]:
    """Wait until a stack is whole, as its servers see it; see `until_steady`."""
    return await until_steady(lambda: standing(stack), seconds=seconds, steady=steady)


async def until_steady(
    look: Callable[[], Awaitable[Seen]],
    away: Collection[str] = (),
    *,
    seconds: float = WHOLE_SECONDS,
    steady: float = STEADY_SECONDS,
) -> tuple[float | None, Seen]:
    """Wait until nothing is missing, and stays so; returns since when, on the loop's clock, and how it stands.

    The time is None where something is still missing after so many seconds.

    Args:
        look: Sees how it stands.
        away: What is meant to be missing.
        seconds: How long to wait.
        steady: For how many seconds nothing may be missing.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    since: float | None = None
    while True:
        asked = clock()
        found = await look()
        since = None if found.missing(away) else asked if since is None else since
        if since is not None and clock() - since >= steady:
            return since, found
        if since is None and clock() > deadline:
            return None, found
        await asyncio.sleep(_POLL_SECONDS)


async def to_its_end(work: Coroutine[None, None, T]) -> T:
    """Finish what was begun, also when Ctrl-C comes meanwhile: half-way is the worst place to stop.

    Raises:
        asyncio.CancelledError: Ctrl-C came; it ended well.
        Failure: It did not, which is more than that it was interrupted.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.result()
        raise
