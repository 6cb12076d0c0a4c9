"""More than the site can answer, for a minute: `.venv/bin/python -m tests.benchmarks.overload [RATE…]` prints Markdown.

Needs the lab up, whole and with nothing else to do. For each rate a crowd of visitors comes for a minute, beside the
users whose answers are looked at: before, meanwhile, and after, until they are answered as before again. Generator and
site share the machine, so the processors are the limit; what the crowd got tells how much that is.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from drills.model import Recording, Request
from drills.workload.figures import VISITS, quantile
from drills.workload.plan import Load, Plan
from drills.workload.site import plan_for
from drills.workload.workload import Workload
from stack.vault import Vault
from stack.workspace import PRIVATE, Stack, have_private

RATES = (30.0, 60.0, 120.0)
BEFORE_SECONDS, CROWD_SECONDS, AFTER_SECONDS = 10.0, 60.0, 60.0
SLOW_SECONDS = 1.0
"""A user who waits for longer is not served as before."""

_FOLDER = PRIVATE / "overload"
_USERS = Load(sessions=100)


@dataclass(frozen=True)
class Window:
    """What users got whose requests were sent in one part of the recording."""

    sent: int
    failed: int
    median: float
    """Seconds; of good answers."""
    p95: float

    @classmethod
    def of(cls, visits: Sequence[Request], begin: float, end: float) -> "Window":
        """Look at one part."""
        sent = [visit for visit in visits if begin <= visit.sent < end]
        good = [visit.seconds for visit in sent if visit.good] or [float("inf")]
        return cls(len(sent), len(sent) - sum(visit.good for visit in sent), quantile(good, 0.5), quantile(good, 0.95))

    def __str__(self) -> str:
        return f"{self.failed} of {self.sent} failed, {self.median * 1000:.0f} ms, {self.p95 * 1000:.0f} ms"


async def measure(plan: Plan, rate: float) -> str:
    """One crowd; returns a row of the table."""
    crowd_load = Load(sessions=2, requests_per_second=rate, writes_per_second=0.1)
    crowd_plan = plan.model_copy(
        update={"load": crowd_load, "probe": None, "observer": None, "folder": str(_FOLDER / "crowd")}
    )
    async with Workload(plan) as users:
        await users.record()
        await asyncio.sleep(BEFORE_SECONDS)
        before_crowd = users.now()
        # Its visitors come until the end of the block, also while its recording is read.
        async with Workload(crowd_plan) as crowd:
            await crowd.record()
            began = users.now()
            await asyncio.sleep(CROWD_SECONDS)
            ended = users.now()
            crowded = await crowd.stop()
        gone = users.now()
        await asyncio.sleep(AFTER_SECONDS)
        seen = await users.stop()
    visits = [request for request in seen.requests if request.kind in VISITS]
    before, meanwhile = Window.of(visits, 0, before_crowd), Window.of(visits, began, ended)
    after = Window.of(visits, gone, seen.seconds)
    back = max((visit.done for visit in visits if _harmed(visit)), default=0.0) - gone
    answered = sum(request.good for request in crowded.requests) / crowded.seconds
    return (
        f"| {rate:g} | {answered:.0f} | {before} | {meanwhile} | {after} | {max(back, 0.0):.0f} s | {_moves(seen)} "
        f"| {seen.generator.busy:.0%} |"
    )


def _harmed(visit: Request) -> bool:
    return not visit.good or visit.seconds > SLOW_SECONDS


def _moves(seen: Recording) -> int:
    """How often the virtual address went to another balancer."""
    holders = [observed.site_address for observed in seen.observations if observed.site_address]
    return sum(one != other for one, other in pairwise(holders))


def main() -> None:
    """Measure and print."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("rates", nargs="*", type=float, default=RATES, metavar="RATE", help="visitors a second")
    rates = given.parse_args().rates
    have_private()
    stack = Stack("dev")
    plan = plan_for(stack, Vault.open(stack), _FOLDER, _USERS)
    print(
        "Users: failed, median, 95th percentile. Served as before: from the crowd's end to the last request that failed"
        f" or took more than {SLOW_SECONDS:g} s.\n\n| crowd, requests/s | answered/s | before | meanwhile | after"
        " | served as before | moves of the address | busy |\n|---|---|---|---|---|---|---|---|"
    )
    for rate in rates:
        print(asyncio.run(measure(plan, rate)), flush=True)
        print(f"  {rate:g} a second: done", file=sys.stderr)


if __name__ == "__main__":
    main()
