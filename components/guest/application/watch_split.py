#!/usr/bin/python3
"""Has this application server stand still while it must not go on without the others: a split has one side that serves.

    watch-split SITE PATH OWN NAME=ADDRESS…    all application servers, by name

Servers that can't reach each other each go on with the sessions as they have them, and when they meet again Infinispan
takes the copies of one side and drops the other's. So at most one side may change sessions. Two servers have no
majority; users decide: whom the balancer at the site's address sends them to.

- A server that can't reach an earlier one, which users are served by, stands still: the earlier one goes on.
- One that reaches neither another one nor the site's address stands still too: its users are elsewhere, if anywhere.
- One that can't reach another one, which users are not served by, goes on: the other is lost, or stands still itself.

To stand still is what a frozen machine does: the gate closes and WildFly is stopped (SIGSTOP), before JGroups gives the
others up. When it goes on, it has missed something and knows it: the others' view of the cluster is newer, and their
copies of the sessions are taken (Infinispan, PreferAvailabilityStrategy). Should the side that went on end meanwhile,
this one goes on with the sessions that it had.
"""

import asyncio
import socket
import ssl
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

GATE = "/usr/local/lib/perenne/gate"
REASONS = Path("/run/perenne/closed")
MARK = Path("/var/lib/perenne/drained")
AUTHORITY = "/etc/perenne/tls/site-ca.pem"

JGROUPS_PORT = 7600
EVERY_SECONDS = 0.1
PATIENCE_SECONDS = 0.3
UNANSWERED = 10
"""So many connections that a server did not answer, one after the other, make it silent: 1.3 s after its last answer,
and 1.2 s before JGroups gives it up at the earliest (FD_ALL3, VERIFY_SUSPECT2). Where every packet is lost with a
probability of 10 %, one connection in five fails; ten in a row do once in twenty million."""
ASK_SECONDS = 0.5
"""How long the site's address may take to answer: a balancer that serves does within milliseconds."""
AGAIN_SECONDS = 0.5
"""Between two questions while a server is silent."""
EMPTY_MS = 200
"""What requests in progress get to end before WildFly stands still: most take some 10 ms."""


@dataclass
class Peer:
    """Another application server."""

    name: str
    address: str
    earlier: bool
    """Whether the stack file names it before this one."""
    unanswered: int = 0

    @property
    def silent(self) -> bool:
        """Whether it can't be reached; WildFly need not run for it to answer."""
        return self.unanswered >= UNANSWERED

    def heard(self, *, answered: bool) -> None:
        """Count what became of a connection."""
        self.unanswered = 0 if answered else self.unanswered + 1


@dataclass(frozen=True)
class Word:
    """What the site's address says."""

    answers: bool
    """Whether it can be reached."""
    serves: frozenset[str] = frozenset()
    """The silent servers that it sends users to."""
    unsure: bool = False
    """It did not say of every silent server: what was decided before stands."""


def why_stand_still(silent: Iterable[Peer], word: Word, *, serving: bool) -> str:
    """The reason to stand still, for people to read; empty if there is none.

    Args:
        silent: The servers that can't be reached.
        word: What the site's address says of them.
        serving: Whether users are served by this server, unless it stands still.
    """
    names = sorted(peer.name for peer in silent)
    if not names:
        return ""
    if not word.answers:
        return f"stands still: it reaches neither {' nor '.join(names)} nor the site's address"
    # A server that nobody is served by need not be kept, wherever it is named.
    stronger = [peer.name for peer in silent if peer.name in word.serves and (peer.earlier or not serving)]
    return f"stands still: {stronger[0]}, which it can't reach, serves" if stronger else ""


async def reach(address: str, port: int = JGROUPS_PORT) -> bool:
    """Whether a machine answers at a port, be it by a refusal."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    # Closed by a reset: ten a second would be 600 that wait for their end.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return True


class Site:
    """The site's address, as users see it."""

    def __init__(self, name: str, path: str, authority: str = AUTHORITY, port: int = 443) -> None:
        self._name = name
        self._path = path
        self._authority = authority
        self._port = port

    async def ask(self, silent: Iterable[Peer]) -> Word:
        """Ask whether there is a balancer, and which of the silent servers it sends users to.

        A user of one of them asks for its health: if another one answers, the balancer doesn't reach it.
        """
        names = [peer.name for peer in silent]
        there = asyncio.create_task(reach(self._name, self._port))
        found = await asyncio.gather(*(self._node_for(name) for name in names))
        served = {name for name, answer in zip(names, found, strict=True) if answer == (200, name)}
        return Word(await there, frozenset(served), unsure=None in found)

    async def _node_for(self, route: str) -> tuple[int, str] | None:
        """Return status and node of the answer that users of a node get; None if they get none in time."""
        request = (
            f"GET {self._path} HTTP/1.1\r\nHost: {self._name}\r\nConnection: close\r\n"
            f"Cookie: JSESSIONID=perenne.{route}\r\n\r\n"
        )
        try:
            # Read every time: a rotation changes it while this program runs.
            trusted = ssl.create_default_context(cafile=self._authority)
            async with asyncio.timeout(ASK_SECONDS):
                reader, writer = await asyncio.open_connection(self._name, self._port, ssl=trusted)
                try:
                    writer.write(request.encode())
                    head = await reader.readuntil(b"\r\n\r\n")
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        return int(status.split()[1]), headers.get("x-perenne-route", "")


async def run(*command: str) -> int:
    """Run a program; what it complains of goes to the journal."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait()


class Watch:
    """Watches the others, and decides."""

    def __init__(self, peers: list[Peer], ask: Callable[[Iterable[Peer]], Awaitable[Word]]) -> None:
        self._peers = peers
        self._ask = ask
        self._still = ""

    async def go_on_looking(self) -> None:
        """Decide for ever."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            pause = await self.look()

    async def look(self) -> float:
        """Decide once; returns after how many seconds to decide again."""
        silent = [peer for peer in self._peers if peer.silent]
        if not silent:
            await self._decide("")
            return EVERY_SECONDS
        began = time.monotonic()
        word = await self._ask(silent)
        silent = [peer for peer in silent if peer.silent]  # some may have been heard meanwhile
        why = why_stand_still(silent, word, serving=not other_reasons())
        if why or not (word.answers and word.unsure and silent):
            await self._decide(why)
        return max(EVERY_SECONDS, began + AGAIN_SECONDS - time.monotonic())

    async def _decide(self, why: str) -> None:
        if why == self._still:
            return
        if why and not self._still:
            await stand_still(why)
        elif why:
            await run(GATE, "close", "split", why)
        else:
            await go_on()
        self._still = why
        print(why or "goes on", flush=True)


def other_reasons() -> bool:
    """Whether the gate is closed for anything but a split."""
    return MARK.exists() or (REASONS.is_dir() and any(reason.name != "split" for reason in REASONS.iterdir()))


async def stand_still(why: str) -> None:
    """Take no more requests, and stop WildFly as a frozen machine would."""
    await run(GATE, "close", "split", why)
    await run(GATE, "empty", str(EMPTY_MS))
    await run("systemctl", "kill", "--signal=STOP", "wildfly")
    # What is still waited for won't be answered: balancers learn it, and repeat what is safe elsewhere.
    await run("ss", "--kill", "--no-header", "--tcp", "state", "established", "( sport = :8443 )")


async def go_on() -> None:
    """Undo it; also what an earlier run of this program has left."""
    await run("systemctl", "kill", "--signal=CONT", "wildfly")
    await run(GATE, "release", "split")


async def probe(peer: Peer) -> None:
    """Ask a server for an answer again and again, whether or not the last one has come."""

    async def once() -> None:
        peer.heard(answered=await reach(peer.address))

    async with asyncio.TaskGroup() as under_way:
        while True:
            under_way.create_task(once())
            await asyncio.sleep(EVERY_SECONDS)


async def main(site: str, path: str, own: str, *servers: str) -> None:
    """Watch for ever."""
    names = [server.partition("=")[0] for server in servers]
    peers = [
        Peer(name, server.partition("=")[2], names.index(name) < names.index(own))
        for name, server in zip(names, servers, strict=True)
        if name != own
    ]
    watch = Watch(peers, Site(site, path).ask)
    await go_on()
    async with asyncio.TaskGroup() as under_way:
        for peer in peers:
            under_way.create_task(probe(peer))
        under_way.create_task(watch.go_on_looking())


if __name__ == "__main__":
    if sys.argv[1:] == ["stop"]:  # whoever ends this program leaves nothing standing still
        asyncio.run(go_on())
    else:
        asyncio.run(main(*sys.argv[1:]))
