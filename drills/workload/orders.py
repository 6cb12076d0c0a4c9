"""What the workload's process is told, and what it says: a line each, on standard input and output."""

import asyncio
import json
import signal
import sys

RECORD = "record"
"""`record FOLDER`: begin a recording, which is kept in that folder."""
STOP = "stop"
"""End the recording, and check what it says."""


class Orders:
    """Lines of an input; its end, and signals, say that the process is to end."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines
        self._signalled = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self._signalled.set)

    async def next(self, seconds: float) -> str:
        """The next line; empty if the process is to end.

        Raises:
            TimeoutError: Nothing was said for so many seconds.
        """
        told = asyncio.create_task(self._lines.readline())
        signalled = asyncio.create_task(self._signalled.wait())
        done, left = await asyncio.wait({told, signalled}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        if not done:
            raise TimeoutError
        return told.result().decode().strip() if signalled in left else ""


async def standard_input() -> asyncio.StreamReader:
    """This process's."""
    reader = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(**what: object) -> None:
    """Say one thing, as a line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
