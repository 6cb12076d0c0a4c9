"""The observer: who holds the virtual addresses, who is primary, how many votes there are; the servers say it."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
import asyncssh

from drills.model import Observation
from drills.workload.clock import Clock, Stop, beat
from drills.workload.plan import Login, Observer

STALE = 3
"""After so many unanswered questions a server's word says nothing any more: it may be dead, frozen or cut off."""

ANSWER_SECONDS = 1.0
PATRONI_PORT = 8008
ETCD_PORT = 2379

# One login per server; every line asks once, and the end of the connection ends it.
_ADDRESSES = "while read -r _; do ip -4 -oneline address show scope global; echo; done"


@dataclass(frozen=True, slots=True)
class Word:
    """What a server said, and when, on `time.monotonic()`: it may be asked before the recording begins."""

    time: float
    addresses: frozenset[str] = frozenset()
    primary: bool = False
    sync_standby: tuple[str, ...] = ()
    vote: bool = False


class Watch:
    """Asks all servers, independently of one another, and notes the whole at regular times."""

    def __init__(self, observer: Observer, authority: str, client_certificate_file: str, clock: Clock) -> None:
        self.observations: list[Observation] = []
        self._observer = observer
        self._clock = clock
        self._trust = ssl.create_default_context(cadata=authority)
        self._trust.load_cert_chain(client_certificate_file)
        self._key = asyncssh.import_private_key(observer.ssh_key)
        self._addresses: dict[str, Word] = {}
        self._patroni: dict[str, Word] = {}
        self._etcd: dict[str, Word] = {}

    def restart(self) -> None:
        """Forget what was noted before the recording began; who said what lately is still known."""
        self.observations.clear()

    async def watch(self, stop: Stop) -> None:
        """Observe until the load is over."""
        seen = self._observer
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as http:
            await asyncio.gather(
                *(self._watch_addresses(name, login, stop) for name, login in seen.balancers.items()),
                *(self._watch_addresses(name, login, stop) for name, login in seen.databases.items()),
                *(
                    self._watch_member(
                        http, f"https://{login.address}:{PATRONI_PORT}/patroni", _patroni, (self._patroni, name), stop
                    )
                    for name, login in seen.databases.items()
                ),
                *(
                    self._watch_member(http, f"https://{address}:{ETCD_PORT}/health", _etcd, (self._etcd, name), stop)
                    for name, address in seen.quorum.items()
                ),
                self._note(stop),
            )

    async def _note(self, stop: Stop) -> None:
        async for _ in beat(stop, self._observer.addresses_interval_seconds):
            self.observations.append(self._now())

    def _now(self) -> Observation:
        seen, now = self._observer, time.monotonic()

        def fresh(words: Mapping[str, Word], interval: float) -> dict[str, Word]:
            return {name: word for name, word in words.items() if now - word.time < STALE * interval}

        addresses = fresh(self._addresses, seen.addresses_interval_seconds)
        members = fresh(self._patroni, seen.members_interval_seconds)
        votes = fresh(self._etcd, seen.members_interval_seconds)

        silent = tuple(sorted(seen.balancers.keys() - addresses.keys()))

        def holders(address: str) -> tuple[str, ...]:
            return tuple(sorted(name for name, word in addresses.items() if address in word.addresses))

        return Observation(
            time=self._clock.now(),
            site_address=holders(seen.site_address),
            database_address=holders(seen.database_address),
            primary=tuple(sorted(name for name, word in members.items() if word.primary)),
            sync_standby=tuple(sorted({name for word in members.values() for name in word.sync_standby})),
            votes=sum(word.vote for word in votes.values()),
            silent=silent,
        )

    async def _watch_addresses(self, name: str, login: Login, stop: Stop) -> None:
        """Log in and ask, again and again; a login that doesn't answer is given up for a new one."""
        known_hosts = asyncssh.import_known_hosts(f"{login.address} {login.host_key}\n")
        interval = self._observer.addresses_interval_seconds
        while not await stop.wait(interval):
            try:
                async with asyncio.timeout(2 * ANSWER_SECONDS):
                    connection = await asyncssh.connect(
                        login.address,
                        username="root",
                        client_keys=[self._key],
                        known_hosts=known_hosts,
                        config=None,
                        agent_path=None,
                    )
            except (OSError, TimeoutError, asyncssh.Error):
                continue
            try:
                process = await connection.create_process(_ADDRESSES)
                async for _ in beat(stop, interval):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        process.stdin.write("\n")
                        held = await _held(process.stdout)
                    self._addresses[name] = Word(time.monotonic(), addresses=held)
            except (OSError, TimeoutError, asyncssh.Error):
                self._addresses.pop(name, None)
            finally:
                connection.abort()

    async def _watch_member(
        self,
        http: aiohttp.ClientSession,
        url: str,
        read: Callable[[object, float], Word],
        place: tuple[dict[str, Word], str],
        stop: Stop,
    ) -> None:
        words, name = place
        async for _ in beat(stop, self._observer.members_interval_seconds):
            try:
                async with http.get(url) as answer:
                    said: object = json.loads(await answer.read())
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                words.pop(name, None)
                continue
            words[name] = read(said, time.monotonic())


async def _held(lines: asyncssh.SSHReader[str]) -> frozenset[str]:
    """Addresses, one a line, until an empty line.

    Raises:
        OSError: The connection has ended.
    """
    held: set[str] = set()
    while line := await lines.readline():
        if not line.strip():
            return frozenset(held)
        held.add(line.split()[3].split("/")[0])
    raise ConnectionResetError("the login has ended")


def _patroni(said: object, now: float) -> Word:
    """Patroni's own state (REST API, GET /patroni); releases before 4 say master for primary."""
    if not isinstance(said, dict):
        return Word(now)
    primary = said.get("role") in {"primary", "master"} and said.get("state") == "running"
    standbys = said.get("replication") or [] if primary else []
    synchronous = (one["application_name"] for one in standbys if one.get("sync_state") in {"sync", "quorum"})
    return Word(now, primary=primary, sync_standby=tuple(sorted(synchronous)))


def _etcd(said: object, now: float) -> Word:
    """Whether a member is healthy: it answers and has a leader (etcd, "Monitoring", health check)."""
    return Word(now, vote=isinstance(said, dict) and str(said.get("health")) == "true")
