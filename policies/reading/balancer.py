"""What a balancer is, whichever program does it."""

from dataclasses import dataclass

LOOPBACK = ("127.", "localhost", "[::1]", "::1", "unix:", "unix@", "abns@")
"""How listeners and nodes begin that no other machine can reach."""


@dataclass(frozen=True)
class Member:
    """One node of a balancer."""

    host: str
    """Its name or address; "" if that can't be told."""
    route: str
    """The word by which a session finds its node again; "" if it has none."""
    checked: bool
    """Whether the balancer notices by itself, and soon, that the node is gone."""
    tls: bool = True
    """Whether what goes to the node is encrypted, or none of the balancer's business (TCP)."""


@dataclass(frozen=True)
class Balancer:
    """A group of nodes among which requests are spread."""

    path: str
    """The file that describes it."""
    name: str
    members: tuple[Member, ...]
    """Those that get requests: nodes that are switched off don't count."""
    sticky: bool
    """Whether users stay on their node."""
    by_route: bool = False
    """Whether the node itself must put its route into the session's cookie."""
    single: bool = False
    """Not a group: all goes to one node, and there is no place for another."""

    @property
    def is_remote(self) -> bool:
        """Whether it leads to other machines."""
        return any(not member.host.startswith(LOOPBACK) for member in self.members)


@dataclass(frozen=True)
class Listener:
    """Where a balancer takes requests."""

    path: str
    addresses: tuple[str, ...]
    tls: bool
    only_redirects: bool
    """It serves nothing, but sends browsers to HTTPS."""

    @property
    def outside(self) -> tuple[str, ...]:
        """The addresses that other machines can reach."""
        return tuple(one for one in self.addresses if not one.startswith(LOOPBACK))
