"""The balancers on VMs, whichever program they run: Apache httpd, HAProxy, nginx."""

from policies.judging.resource import Resource
from policies.judging.stack import Stack
from policies.reading import guests, haproxy, httpd, nginx
from policies.reading.balancer import Balancer, Listener

PROGRAMS = {"httpd": httpd, "HAProxy": haproxy, "nginx": nginx}


def balancers(stack: Stack, machine: Resource) -> list[Balancer]:
    """The groups that a VM's balancers know, and the single nodes to which they send requests; other machines only."""
    return stack.once(_balancers)[machine.urn]


def listeners(stack: Stack, machine: Resource) -> list[tuple[str, Listener]]:
    """Where a VM takes requests, and by which program."""
    files = guests.files_of(stack, machine)
    return [(name, found) for name, program in PROGRAMS.items() for found in program.listeners(files)]


def served_by(stack: Stack, machine: Resource) -> frozenset[tuple[str, str]]:
    """The groups (URN of the balancing VM, name) in which a VM is a member."""
    return stack.once(_served).get(machine.urn, frozenset())


def _balancers(stack: Stack) -> dict[str, list[Balancer]]:
    return {machine.urn: _found(guests.files_of(stack, machine)) for machine in stack.of_type("VirtualMachine")}


def _found(files: guests.GuestFiles) -> list[Balancer]:
    return [found for program in PROGRAMS.values() for found in program.balancers(files) if found.is_remote]


def _served(stack: Stack) -> dict[str, frozenset[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for urn, groups in stack.once(_balancers).items():
        files = guests.files_of(stack, stack.by_urn[urn])
        for group in groups:
            for member in guests.machines_at(stack, guests.resolved(files, (one.host for one in group.members))):
                if member.urn != urn:
                    found.setdefault(member.urn, set()).add((urn, group.name))
    return {urn: frozenset(names) for urn, names in found.items()}
