"""Waiting until the stack is whole."""

import asyncio
import time

from cli.workspace import Stack
from drills.standing import Standing, standing

WHOLE_SECONDS = 300.0
"""How long a stack may take: vSphere HA's 18 s, two guests that boot one after the other, WildFly's start and
PostgreSQL's rewind add up to about 60 s in the lab."""

STEADY_SECONDS = 3.0
"""For how long nothing may be missing: some faults take a second to show, and some come back."""

_POLL_SECONDS = 2.0
"""Each look logs in to every server: done more often, it takes from the lab what the lab needs to become whole."""


async def until_whole(
    stack: Stack, *, seconds: float = WHOLE_SECONDS, steady: float = STEADY_SECONDS
) -> tuple[float | None, Standing]:
    """Wait until nothing is missing, and stays so; returns since when (`time.monotonic()`), and how it stands.

    The time is None where something is still missing after so many seconds.

    Args:
        stack: The stack.
        seconds: How long to wait.
        steady: For how many seconds nothing may be missing.
    """
    deadline = time.monotonic() + seconds
    since: float | None = None
    while True:
        asked = time.monotonic()
        found = await standing(stack)
        since = None if found.missing() else since or asked
        if since is not None and time.monotonic() - since >= steady:
            return since, found
        if time.monotonic() > deadline:
            return None, found
        await asyncio.sleep(_POLL_SECONDS)
