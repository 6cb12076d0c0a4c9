"""When a machine answered last."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

ATTEMPT_SECONDS = 2.0
"""An answer may come so late, and counts: attempts begun later don't wait for earlier ones."""
PERIOD_SECONDS = 0.2
"""Between the beginnings of two attempts."""

Attempt = Callable[[], Awaitable[object]]
"""Raises OSError, TimeoutError or IncompleteReadError where there is no answer."""


class Silence:
    """Counts from the last answer of one machine, by the event loop's clock."""

    def __init__(self) -> None:
        self._heard = asyncio.get_running_loop().time()

    def heard(self) -> None:
        """It has just answered."""
        self._heard = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        """Seconds since it answered, or since somebody began to listen."""
        return asyncio.get_running_loop().time() - self._heard


async def listen(attempts: Sequence[Attempt], silence: Silence) -> None:
    """Ask again and again, for ever; an answer to any of the attempts will do."""
    async with asyncio.TaskGroup() as tasks:
        while True:
            for attempt in attempts:
                tasks.create_task(_ask(attempt, silence))
            await asyncio.sleep(PERIOD_SECONDS)


async def _ask(attempt: Attempt, silence: Silence) -> None:
    if await answers(attempt):
        silence.heard()


async def answers(attempt: Attempt) -> bool:
    """Whether there is an answer to one attempt."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(ATTEMPT_SECONDS):
            await attempt()
        return True
    return False


def patroni(address: str, trust: ssl.SSLContext) -> Attempt:
    """Ask Patroni's REST interface; whatever it says, it lives."""

    async def attempt() -> None:
        await status(address, "/liveness", trust)

    return attempt


async def status(address: str, path: str, trust: ssl.SSLContext) -> int:
    """The status with which Patroni's REST interface answers."""
    async with _asked(address, path, trust) as answer:
        line = await answer.readuntil(b"\r\n")
    _, _, rest = line.partition(b" ")
    return int(rest[:3]) if rest[:3].isdigit() else 0


async def body(address: str, path: str, trust: ssl.SSLContext) -> bytes:
    """What Patroni's REST interface answers, whatever its status."""
    async with _asked(address, path, trust) as answer:
        await answer.readuntil(b"\r\n\r\n")
        return await answer.read()


@asynccontextmanager
async def _asked(address: str, path: str, trust: ssl.SSLContext) -> AsyncIterator[asyncio.StreamReader]:
    """The answer to one question, as it comes."""
    reader, writer = await asyncio.open_connection(address, 8008, ssl=trust)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        yield reader
    finally:
        writer.transport.abort()


def port(address: str, number: int) -> Attempt:
    """Open a connection; one that is refused shows as well that the machine lives."""

    async def attempt() -> None:
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection(address, number)
            writer.transport.abort()

    return attempt
