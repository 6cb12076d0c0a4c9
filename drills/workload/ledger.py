"""The ledger: writes whose acknowledgements are kept outside the stack, and the comparison at the end."""

import asyncio
import json
import os
import uuid
from collections import Counter
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from drills.model import Acknowledgement, Kind, LedgerCheck
from drills.workload.client import Client
from drills.workload.clock import Clock, Stop, pace
from drills.workload.plan import Load, Site

PAGE_ROWS = 10_000
"""How many rows are asked for at once: the most that the application gives."""

RETRY_SECONDS = 1.0
"""How long the check waits before it asks again a service that does not answer."""

_KEPT = {200, 201}
"""201: written. 200: it was there already, as the application itself had to try twice."""


class Ledger:
    """Writes ids that it makes itself and remembers which of them the service said to have kept."""

    def __init__(self, client: Client, site: Site, clock: Clock, folder: Path) -> None:
        self.name = f"drill-{uuid.uuid4()}"
        """Under which the rows are found again."""
        self.acknowledgements: list[Acknowledgement] = []
        self._sent: list[str] = []
        self._client = client
        self._path = site.ledger
        self._clock = clock
        self._file = (folder / "acknowledged.jsonl").open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    async def write(self, load: Load, stop: Stop) -> None:
        """Write at a fixed rate until the load is over; then have the acknowledgements on disk."""
        try:
            async with asyncio.TaskGroup() as under_way:
                async for due in pace(self._clock, stop, load.writes_per_second):
                    under_way.create_task(self._write(due))
        finally:
            self._file.flush()
            os.fsync(self._file.fileno())

    async def _write(self, due: float) -> None:
        row = str(uuid.uuid4())
        self._sent.append(row)
        body = {"id": row, "client": self.name}
        answer = await self._client.exchange(Kind.LEDGER, "POST", self._path, due=due, body=body)
        if answer.request.status in _KEPT:
            self.acknowledgements.append(Acknowledgement(row, answer.request.done))
            self._file.write(json.dumps({"id": row, "time": answer.request.done}) + "\n")

    async def check(self, seconds: float) -> LedgerCheck:
        """Read the whole ledger of this run, for at most so many seconds until it answers, and compare."""
        found: Counter[str] = Counter()
        unchecked = ""
        try:
            async with asyncio.timeout(seconds):
                await self._read(found)
        except TimeoutError:
            unchecked = f"the ledger did not answer within {seconds:g} s"
        return compare(self._sent, [kept.id for kept in self.acknowledgements], found, unchecked)

    async def _read(self, found: Counter[str]) -> None:
        after = 0
        while True:
            query = urlencode({"client": self.name, "limit": PAGE_ROWS, "after": after})
            answer = await self._client.exchange(Kind.LEDGER, "GET", f"{self._path}?{query}")
            page = answer.json()
            if not answer.request.good or not isinstance(page, dict):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            found.update(row["id"] for row in page["rows"])
            if page["next"] is None:
                return
            after = page["next"]


def compare(sent: list[str], acknowledged: list[str], found: Counter[str], unchecked: str = "") -> LedgerCheck:
    """What became of the ids: every acknowledged one must have been found, and none twice."""
    kept = set(acknowledged)
    return LedgerCheck(
        written=len(sent),
        acknowledged=len(kept),
        lost=() if unchecked else tuple(row for row in acknowledged if row not in found),
        doubled=tuple(row for row, count in found.items() if count > 1),
        unacknowledged_found=len(found.keys() - kept),
        unchecked=unchecked,
    )
