"""What an agent hears with, and acts with, as it sees them; `tools` are those of a real server."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from .etcd import Leader, Lock, Off, View


class PowerError(Exception):
    """A device does not answer, or refuses, or did not do what it was told."""


@dataclass(frozen=True)
class Placement:
    """Where a server runs, and whether it is off: as vCenter knows it from a host that it is connected to."""

    host: str
    host_uuid: str
    is_off: bool


class Silence(Protocol):
    """Counts from the last answer of one machine."""

    @property
    def seconds(self) -> float:
        """Since it answered, or since somebody began to listen."""
        ...


class Ears(Protocol):
    """Listens to other machines."""

    def patroni(self, server: str) -> Silence:
        """Listen to Patroni's REST interface on one server from now on, and to no other's."""
        ...

    def host(self, host: str | None) -> Silence | None:
        """Listen to one host's management address from now on, and to no other's."""
        ...

    async def host_answers(self, host: str) -> bool:
        """Whether a host answers now."""
        ...

    async def here(self, path: str) -> bool:
        """Whether this server's own Patroni answers `path` with 200."""
        ...

    async def streams(self) -> bool:
        """Whether this server's own PostgreSQL receives the primary's WAL."""
        ...


class Quorum(Protocol):
    """Etcd (`etcd.Etcd`); every method may raise `EtcdError`."""

    async def view(self) -> View:
        """Look at the cluster."""
        ...

    def lock(self, holder: str) -> AbstractAsyncContextManager[Lock | None]:
        """Take the lock among agents."""
        ...

    async def note(self, lock: Lock, off: Off) -> None:
        """Write down that something is about to be powered off."""
        ...

    async def release(self, lock: Lock, leader: Leader) -> bool:
        """Give the leader key away, if it is still the same."""
        ...

    async def noted(self) -> list[Off]:
        """What was powered off."""
        ...

    async def strike(self, off: Off) -> None:
        """Forget a note."""
        ...


class Power(Protocol):
    """vCenter and BMCs; every method may raise `PowerError`."""

    async def placement(self, server: str, *, ready: bool) -> Placement:
        """Where a server runs; `ready`: what powers off asks, too, so that it need not log in when it is needed."""
        ...

    async def server_off(self, server: str, seconds: float) -> None:
        """Power a server off; returns once it is certain that it is."""
        ...

    async def server_on(self, server: str, seconds: float) -> None:
        """Power a server on."""
        ...

    async def host_state(self, host: str) -> tuple[bool, str]:
        """Whether a host is off, and its UUID."""
        ...

    async def host_off(self, host: str, seconds: float) -> None:
        """Power a host off; returns once it is certain that it is."""
        ...

    async def host_on(self, host: str, seconds: float) -> None:
        """Power a host on."""
        ...

    def same_machine(self, first: str, second: str) -> bool:
        """Whether two UUIDs are one machine's."""
        ...


class Road(Protocol):
    """The way from here to other servers."""

    async def close(self, server: str) -> None:
        """Have packets to a server refused here, at once."""
        ...

    async def open(self) -> None:
        """Open all ways again."""
        ...


@dataclass(frozen=True)
class Tools:
    """What an agent hears with, and acts with."""

    ears: Ears
    quorum: Quorum
    power: Power
    road: Road
