"""The writers' probe: each database server is asked, past every balancer, whether it accepts a write."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import psycopg

from drills.model import WriterSample
from drills.workload.clock import Clock, Stop, beat
from drills.workload.plan import Probe

WAITING = 3
"""How many questions to one server may be without an answer at a time. They are not withdrawn: a server that was frozen
answers them when it goes on, and a commit that it then acknowledges is just what must be known. More would fill its
connections."""

CONNECT_SECONDS = 2
"""libpq's least `connect_timeout`."""

_PREPARE = """
CREATE SCHEMA IF NOT EXISTS drill;
CREATE TABLE IF NOT EXISTS drill.probe (server text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
TRUNCATE drill.probe;
"""
_TIMELINE = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END
"""  # the first eight digits of a WAL file's name are its timeline (PostgreSQL manual, 9.28.3)
_WRITE = "INSERT INTO drill.probe (server) VALUES (%s)"


class Writers:
    """Asks all servers, independently of one another."""

    def __init__(self, probe: Probe, authority_file: str, clock: Clock) -> None:
        self.samples: list[WriterSample] = []
        self._probe = probe
        self._authority_file = authority_file
        self._clock = clock
        self._waiting: dict[str, set[asyncio.Task[None]]] = {name: set() for name in probe.servers}
        self._idle: dict[str, psycopg.AsyncConnection | None] = dict.fromkeys(probe.servers)

    async def prepare(self) -> None:
        """Make the probe's table, or empty it.

        Raises:
            RuntimeError: No server is the primary.
        """
        if not await self._on_primary(_PREPARE):
            raise RuntimeError("no database server accepts a write")

    async def remove(self) -> None:
        """Remove the probe's table, if there is a primary to do it; the next probe would empty it."""
        await self._on_primary("DROP SCHEMA IF EXISTS drill CASCADE")

    async def watch(self, stop: Stop) -> None:
        """Ask every server until the load is over."""
        await asyncio.gather(*(self._watch(name, stop) for name in self._probe.servers))
        left = [task for tasks in self._waiting.values() for task in tasks]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for connection in self._idle.values():
            if connection:
                await connection.close()

    async def _watch(self, name: str, stop: Stop) -> None:
        waiting = self._waiting[name]
        async for _ in beat(stop, self._probe.interval_seconds):
            if len(waiting) < WAITING:
                sent = self._clock.now()
                task = asyncio.create_task(self._ask(name, sent))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            if waiting:
                done, _ = await asyncio.wait(
                    waiting, timeout=self._probe.answer_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    self._note(name, self._clock.now() - self._probe.answer_seconds, error="no answer in time")

    async def _ask(self, name: str, sent: float) -> None:
        connection, self._idle[name] = self._idle[name], None
        writable, timeline = False, None
        try:
            connection = connection or await self._connect(name)
            row = await (await connection.execute(_TIMELINE)).fetchone()
            if row and row[0]:
                writable, timeline = True, int(row[0], base=16)
                sent = self._clock.now()
                await connection.execute(_WRITE, (name,))
        except psycopg.Error as error:
            self._note(name, sent, writable=writable, timeline=timeline, error=_reason(error))
            if connection:
                await connection.close()
            return
        self._note(name, sent, writable=writable, accepted=writable, timeline=timeline)
        if self._idle[name] is None:
            self._idle[name] = connection
        else:
            await connection.close()

    def _note(
        self,
        name: str,
        sent: float,
        *,
        writable: bool = False,
        accepted: bool = False,
        timeline: int | None = None,
        error: str = "",
    ) -> None:
        self.samples.append(
            WriterSample(name, sent, self._clock.now(), datetime.now(UTC), writable, accepted, timeline, error)
        )

    async def _connect(self, name: str) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            host=self._probe.servers[name],
            port=self._probe.port,
            dbname=self._probe.database,
            user=self._probe.user,
            password=self._probe.password,
            sslmode="verify-full",
            sslrootcert=self._authority_file,
            connect_timeout=CONNECT_SECONDS,
            # A server that vanished is known after 2 s. A frozen one isn't: its kernel goes on acknowledging.
            tcp_user_timeout=2000,
            keepalives_idle=1,
            keepalives_interval=1,
            keepalives_count=2,
            application_name="perenne drill",
            autocommit=True,
        )

    async def _on_primary(self, statements: str) -> bool:
        for name in self._probe.servers:
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(5 * self._probe.answer_seconds), await self._connect(name) as connection:
                    row = await (await connection.execute(_TIMELINE)).fetchone()
                    if row and row[0]:
                        await connection.execute(statements.encode())
                        return True
        return False


def _reason(error: psycopg.Error) -> str:
    """The first line of what libpq says: further lines are hints."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
