"""Where the servers of a host go that is emptied without DRS."""

from collections.abc import Iterator, Mapping, Sequence

from blueprint.settings import Settings
from blueprint.terms import Role
from machine.failure import Failure
from moves.standing import shared
from moves.vcenter import HostState
from stack.workspace import Stack

_APART = (Role.BALANCER, Role.APPLICATION, Role.DATABASE)
"""Tiers of which no two servers share a host that need not."""

_VCENTERS_OWN = "vCLS"
"""The agents of vSphere Cluster Services begin so; vCenter itself stops and moves them."""


def places(stack: Stack, hosts: Sequence[HostState], leaving: HostState) -> dict[str, str]:
    """A host for every server of the one that is emptied, such that no tier and no memory is lost with one host.

    Votes of the quorum are kept apart where that is possible, as their rules say "should". A server whose disk is the
    host's own goes nowhere.

    Args:
        stack: The stack.
        hosts: All hosts.
        leaving: The one that is emptied.

    Raises:
        Failure: There is no such way.
    """
    settings = stack.settings
    others = {host.name: host for host in hosts if host.name != leaving.name}
    takers = [host for host in others.values() if host.connected and not host.in_maintenance]
    moving = [name for name in leaving.runs if name in settings.servers and name not in tied_to(settings, leaving.name)]
    present = {name: host.name for host in others.values() for name in host.runs if name in settings.servers}
    free = {host.name: host.free_mib for host in takers}
    found = next(_ways(settings, moving, present, free), None)
    if found is None:
        why = f"no other host has room for {', '.join(moving)} without two servers of a tier on one host"
        remedy = f"Bring the other hosts back first: {stack.command('status')}"
        raise Failure(f"{leaving.name} can't be emptied", why, remedy)
    return found


def tied_to(settings: Settings, host: str) -> list[str]:
    """The servers whose disk is the host's own: no other host can run them."""
    own = settings.local_datastores
    return [name for name, server in settings.servers.items() if own.get(server.datastore) == host]


def check_own(settings: Settings, leaving: HostState) -> None:
    """Check that nothing runs on a host but the stack's servers: nobody would move it.

    Raises:
        Failure: Something does.
    """
    foreign = [name for name in leaving.runs if name not in settings.servers and not name.startswith(_VCENTERS_OWN)]
    if foreign:
        remedy = "Move or stop that in vCenter, then run this again."
        raise Failure(
            f"{leaving.name} can't be emptied", f"it also runs {', '.join(foreign)}, not of this stack", remedy
        )


def _ways(
    settings: Settings, moving: Sequence[str], present: Mapping[str, str], free: Mapping[str, int]
) -> Iterator[dict[str, str]]:
    """Every way to place the servers, the preferred choice for each first."""
    if not moving:
        yield {}
        return
    name, *rest = moving
    server = settings.servers[name]
    for host in sorted(free, key=lambda host: (_votes(settings, name, present, host), -free[host])):
        tier = [one for one, where in present.items() if where == host and settings.servers[one].role == server.role]
        if free[host] < server.memory_mib:
            continue
        if server.role in _APART and len(tier) >= shared(settings, server.role, len(settings.hosts) - 1):
            continue
        left = {**free, host: free[host] - server.memory_mib}
        for way in _ways(settings, rest, {**present, name: host}, left):
            yield {name: host, **way}


def _votes(settings: Settings, name: str, present: Mapping[str, str], host: str) -> int:
    """How many other votes a host has, for a server that has one."""
    if name not in settings.quorum:
        return 0
    return sum(where == host for one, where in present.items() if one in settings.quorum)
