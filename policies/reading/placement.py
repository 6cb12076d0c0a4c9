"""Where VMs may run: rules of DRS, and pins where there is no DRS."""

from collections.abc import Iterator

from policies.judging.resource import Resource
from policies.judging.stack import Stack
from policies.reading import topology

ANTI_AFFINITY = "ComputeClusterVmAntiAffinityRule"
HOST_RULE = "ComputeClusterVmHostRule"


def kept_apart(stack: Stack, one: Resource, other: Resource) -> bool:
    """Whether two VMs can't run on one host, as long as there are hosts enough.

    Raises:
        UndecidedError: What decides it isn't known yet.
    """
    if not has_drs(stack, one):
        return _pinned_apart(stack, one, other)
    return _by_anti_affinity(stack, one, other) or _by_host_groups(stack, one, other)


def has_drs(stack: Stack, machine: Resource) -> bool:
    """Whether a VM's cluster has DRS.

    Raises:
        UndecidedError: It isn't known yet.
    """
    cluster = topology.cluster_of(stack, machine)
    return cluster is not None and bool(cluster.get("drsEnabled", default=False))


def rules_of(stack: Stack, machine: Resource) -> list[Resource]:
    """The anti-affinity rules that name a VM, enabled or not."""
    return stack.referrers(machine, "virtualMachineIds", ANTI_AFFINITY)


def _by_anti_affinity(stack: Stack, one: Resource, other: Resource) -> bool:
    return any(rule in rules_of(stack, other) and rule.get("enabled", default=True) for rule in rules_of(stack, one))


def _by_host_groups(stack: Stack, one: Resource, other: Resource) -> bool:
    """Rules that tie each of them to hosts of its own."""
    mine, others = (list(_allowed_hosts(stack, machine)) for machine in (one, other))
    return any(here and there and not here & there for here in mine for there in others)


def _allowed_hosts(stack: Stack, machine: Resource) -> Iterator[frozenset[str]]:
    groups = stack.referrers(machine, "virtualMachineIds", "ComputeClusterVmGroup")
    for rule in stack.of_type(HOST_RULE):
        if not rule.get("enabled", default=True):
            continue
        if any(_names(stack, rule, "vmGroupName", group) for group in groups):
            for hosts in stack.of_type("ComputeClusterHostGroup"):
                if _names(stack, rule, "affinityHostGroupName", hosts):
                    yield frozenset(host.urn for host in stack.referred(hosts, "hostSystemIds"))


def _names(stack: Stack, rule: Resource, key: str, group: Resource) -> bool:
    return group in stack.referred(rule, key) or (
        isinstance(name := rule.properties.get(key), str) and name == group.properties.get("name")
    )


def _pinned_apart(stack: Stack, one: Resource, other: Resource) -> bool:
    """Without DRS nothing moves a VM but vSphere HA: it stays on the host on which it was made."""
    mine, others = (pin_of(stack, machine) for machine in (one, other))
    return mine is not None and others is not None and mine != others


def pin_of(stack: Stack, machine: Resource) -> str | None:
    """The host that a VM's settings name; its URN, or its id where that is all there is."""
    for host in stack.referred(machine, "hostSystemId"):
        if host.type.endswith(":Host"):
            return host.urn
    named = machine.properties.get("hostSystemId")
    return named if isinstance(named, str) and named else None
