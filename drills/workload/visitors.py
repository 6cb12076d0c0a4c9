"""Visitors: idempotent GETs at a fixed rate, by turns of a page and of the API."""

import asyncio

from drills.model import Kind
from drills.workload.client import Answer, Client
from drills.workload.clock import Clock, Stop, pace
from drills.workload.plan import Load, Site


async def visit(client: Client, site: Site, load: Load, clock: Clock, stop: Stop) -> None:
    """Send what is due until the load is over; then wait for the last answers."""
    turns = ((Kind.PAGE, site.page), (Kind.API, site.api))
    count = 0
    async with asyncio.TaskGroup() as under_way:
        async for due in pace(clock, stop, load.requests_per_second):
            kind, path = turns[count % len(turns)]
            under_way.create_task(_get(client, kind, path, due))
            count += 1


async def _get(client: Client, kind: Kind, path: str, due: float) -> Answer:
    return await client.exchange(kind, "GET", path, due=due)
