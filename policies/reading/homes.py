"""What a VM's disks are on, and what of that fails as one."""

from policies.judging.resource import Resource, UndecidedError
from policies.judging.rule import Context
from policies.judging.stack import Stack
from policies.reading import backups, guests, tiers, topology
from policies.reading.tiers import Kind

_LOCAL = ("mpx.", "t10.ATA", "t10.NVMe")
"""How ids begin that a host makes up for disks of its own. Arrays have `eui.…`, too."""


def datastores_of(stack: Stack, machine: Resource) -> list[Resource]:
    """The datastores of the program that a VM is put on."""
    return [one for one in stack.referred(machine, "datastoreId") if one.type.rpartition(":")[2] in topology.DATASTORES]


def own_disk(stack: Stack, machine: Resource) -> str:
    """Which disk of a single host a VM is on, in words; "" where it is on none, as far as the stack shows.

    No resource shows what a datastore is on that was there before. A component may declare it, as Perenne's servers
    do: `localDiskOf` among its outputs, the host's name.
    """
    component = stack.by_urn.get(machine.parent or "")
    if component and isinstance(host := component.properties.get("localDiskOf"), str):
        return f"{host}'s own disk"
    return next((found for store in datastores_of(stack, machine) if (found := host_alone(store))), "")


def host_alone(store: Resource) -> str:
    """Why one host alone reaches a datastore, in words; "" where others do."""
    if store.type.endswith(":NasDatastore"):
        return f"datastore {store.label}, which one host mounts" if len(store.get("hostSystemIds", [])) == 1 else ""
    local = any(isinstance(disk, str) and disk.startswith(_LOCAL) for disk in store.items("disks"))
    return f"datastore {store.label}, a host's own disk" if local else ""


def is_spare_vote(context: Context, machine: Resource) -> bool:
    """Whether a VM is a vote and nothing else, of a quorum that has a majority where vSphere HA can restart it.

    Raises:
        UndecidedError: It isn't known yet what is put on the VM.
    """
    stack = context.stack
    files = guests.files_of(stack, machine)
    if not files.complete:
        raise UndecidedError(machine.label, "what is put on it")
    if tiers.kinds_of(stack, machine) != {Kind.QUORUM} or backups.scheduled(files):
        return False
    votes = next((tier.machines for tier in tiers.of_kind(context, Kind.QUORUM) if machine in tier.machines), ())
    shared = [vote for vote in votes if not own_disk(stack, vote)]
    return 2 * len(shared) > len(votes)
