"""How large hosts are, and what is left of them after a loss."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from policies.judging.configuration import HostSize
from policies.judging.resource import Resource, UndecidedError
from policies.judging.rule import Context
from policies.reading import topology


def host_sizes(context: Context, cluster: Resource) -> list[HostSize]:
    """The sizes of a cluster's hosts, from the configuration or from a component that declares them.

    Raises:
        UndecidedError: The size of a host is nowhere.
    """
    hosts = [host.label for host in topology.hosts_of(context.stack, cluster)]
    declared = _declared(context)
    sizes = [_size(host, context, declared) for host in hosts]
    if not sizes or None in sizes:
        raise UndecidedError(cluster.label, "the size of its hosts (configure `hosts`)")
    return [size for size in sizes if size]


def left_after_losses(sizes: Sequence[HostSize], losses: int) -> HostSize:
    """What all hosts have together without the `losses` largest."""
    memory = sorted(size.memory_gib for size in sizes)[: len(sizes) - losses]
    cpus = sorted(size.cpus for size in sizes)[: len(sizes) - losses]
    return HostSize(cpus=max(sum(cpus), 1), memory_gib=max(sum(memory), 1))


def _size(host: str, context: Context, declared: dict[str, HostSize]) -> HostSize | None:
    configured = (size for name, size in context.hosts.items() if fnmatchcase(host, name))
    return next(configured, declared.get(host) or declared.get(host.partition(".")[0]))


def _declared(context: Context) -> dict[str, HostSize]:
    found = {}
    for component in context.stack.components:
        capacity = component.properties.get("capacity")
        if isinstance(capacity, dict):
            for host, size in capacity.items():
                if isinstance(size, dict) and {"cpus", "memory_gib"} <= size.keys():
                    found[host] = HostSize(cpus=int(size["cpus"]), memory_gib=float(size["memory_gib"]))
    return found
