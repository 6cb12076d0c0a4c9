"""Changes of what is there and what refers to what: hosts, servers, rules, pins, datastores."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations

from mutation.changes import both, edited, gone, not_after, referring, setting, unset
from mutation.mutant import Mutant, changed, with_more
from policies.judging.configuration import Thresholds
from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Context
from policies.judging.stack import Stack
from policies.reading import placement, tiers, topology
from policies.reading.homes import datastores_of, own_disk
from policies.reading.tiers import Kind, Tier

_PAIR = 2


def of_hosts(stack: Stack) -> Iterator[Mutant]:
    """One host fewer than the least."""
    for cluster in stack.of_type("ComputeCluster"):
        hosts = topology.hosts_of(stack, cluster)
        if len(hosts) == Thresholds().minimum_hosts:
            for host in hosts:
                yield changed("CLU-02", stack, host, "gone", gone)


def of_datastores(stack: Stack) -> Iterator[Mutant]:
    """One datastore where there were two; a quorum's or a database's members on one."""
    stores = stack.of_type("VmfsDatastore")
    if len(stores) == _PAIR:
        for store in stores:
            yield changed("CLU-05", stack, store, "gone", gone)
    for tier in _tiers(stack, Kind.DATABASE, Kind.QUORUM):
        homes = {machine.urn: stores[0].urn for machine in tier.machines if (stores := datastores_of(stack, machine))}
        for machine in [machine for machine in tier.machines if machine.urn in homes]:
            others = {home for urn, home in homes.items() if urn != machine.urn}
            if len(others) == 1 and homes[machine.urn] not in others:
                what = f"on the datastore of the other members of tier {tier.name}"
                yield changed("STO-06", stack, machine, what, referring("datastoreId", others))


def of_arrays(stack: Stack) -> Iterator[Mutant]:
    """All LUNs on one array."""
    for storage in stack.of_type("perenne:index:IscsiDatastores"):
        arrays = storage.properties["arrays"]
        if len(arrays) > 1:
            together = {next(iter(arrays)): [lun for luns in arrays.values() for lun in luns]}
            yield changed("STO-06", stack, storage, "all LUNs on one array", setting("arrays", together))


def of_own_disks(stack: Stack) -> Iterator[Mutant]:
    """A server on its host's own disk that must start elsewhere; a vote back on the array of another."""
    (quorum,) = _tiers(stack, Kind.QUORUM)
    for machine in stack.of_type("VirtualMachine"):
        component = stack.by_urn[str(machine.parent)]
        if own_disk(stack, machine):
            for store in stack.of_type("VmfsDatastore"):
                moved = partial(_moved_to, stack, machine, component, store)
                yield Mutant("STO-06", f"{machine.label}: on {store.label}, as another vote", moved)
        elif machine not in quorum.machines or Kind.DATABASE in tiers.kinds_of(stack, machine):
            yield changed("STO-07", stack, component, "on its host's own disk", setting("localDiskOf", "esx"))


def _moved_to(stack: Stack, machine: Resource, component: Resource, store: Resource) -> Stack:
    moved = edited(stack, machine.urn, referring("datastoreId", [store.urn]))
    return edited(moved, component.urn, unset("localDiskOf"))


def of_servers(stack: Stack) -> Iterator[Mutant]:
    """A tier of one; a vote gone; a server that no cluster restarts."""
    for tier in _tiers(stack, Kind.BALANCER, Kind.APPLICATION, Kind.DATABASE):
        if len(tier.machines) == _PAIR:
            for machine in tier.machines:
                yield changed("PLA-01", stack, machine, f"gone from tier {tier.name}", gone)
    for tier in _tiers(stack, Kind.QUORUM):
        for machine in tier.machines:
            yield changed("PLA-05", stack, machine, "gone from the quorum", gone)
    host = stack.of_type("Host")[0]
    for machine in stack.of_type("VirtualMachine"):
        yield changed("VM-04", stack, machine, "in a host's own pool", referring("resourcePoolId", [host.urn]))


def of_anti_affinity(stack: Stack) -> Iterator[Mutant]:
    """Rules that are gone, disabled, or leave a server out.

    Votes have rules of two kinds, either of which is enough for a pair that both cover: not one point of failure.
    """
    votes = {urn for group in stack.of_type("ComputeClusterVmGroup") for urn in group.dependencies}
    for rule in stack.of_type(placement.ANTI_AFFINITY):
        if {*rule.property_dependencies["virtualMachineIds"]} <= votes:
            continue
        yield changed("PLA-02", stack, rule, "gone", gone)
        yield changed("PLA-02", stack, rule, "disabled", setting("enabled", value=False))
        members = rule.property_dependencies["virtualMachineIds"]
        for left_out in members:
            rest = [urn for urn in members if urn != left_out]
            yield changed("PLA-02", stack, rule, "leaves a server out", referring("virtualMachineIds", rest))
    for rule in stack.of_type(placement.HOST_RULE):
        yield changed("PLA-05", stack, rule, "gone", gone)
        yield changed("PLA-05", stack, rule, "disabled", setting("enabled", value=False))
    groups = stack.of_type("ComputeClusterHostGroup")
    for one, other in combinations(groups, 2):
        hosts = other.property_dependencies["hostSystemIds"]
        if _doubly_apart(stack, one, other):
            continue
        yield changed("PLA-05", stack, one, f"names the host of {other.label}", referring("hostSystemIds", hosts))
    for group in groups:
        both = [host.urn for host in stack.of_type("Host")]
        yield changed("PLA-05", stack, group, "names every host", referring("hostSystemIds", both))
    for group in stack.of_type("ComputeClusterVmGroup"):
        yield changed("PLA-05", stack, group, "names no server", referring("virtualMachineIds", []))


def _doubly_apart(stack: Stack, *groups: Resource) -> bool:
    """Whether the servers of two host groups' rules are in one anti-affinity rule, too."""
    servers: set[str] = set()
    for group in groups:
        for rule in stack.referrers(group, "affinityHostGroupName", placement.HOST_RULE):
            for machines in stack.referred(rule, "vmGroupName"):
                servers.update(machines.property_dependencies["virtualMachineIds"])
    return any(
        servers <= {*rule.property_dependencies["virtualMachineIds"]} for rule in stack.of_type(placement.ANTI_AFFINITY)
    )


def of_votes(stack: Stack) -> Iterator[Mutant]:
    """Rules and groups that take one vote for another, or let a vote start on one host only."""
    rules = stack.of_type(placement.HOST_RULE)
    for one in rules:
        yield changed("VM-01", stack, one, "mandatory", setting("mandatory", value=True))
        for other in rules:
            hosts = [stack.referred(rule, "affinityHostGroupName")[0] for rule in (one, other)]
            if other == one or _doubly_apart(stack, *hosts):
                continue
            for key in ("vmGroupName", "affinityHostGroupName"):
                edit = both(setting(key, other.properties[key]), referring(key, other.property_dependencies[key]))
                yield changed("PLA-05", stack, one, f"{key} of {other.label}", edit)
    groups = stack.of_type("ComputeClusterVmGroup")
    for group in groups:
        for other in groups:
            if other != group:
                machines = other.property_dependencies["virtualMachineIds"]
                yield changed(
                    "PLA-05", stack, group, f"the server of {other.label}", referring("virtualMachineIds", machines)
                )


def of_priorities(stack: Stack) -> Iterator[Mutant]:
    """A database's restart priority that is given to a balancer."""
    (balancer, *_) = [machine for tier in _tiers(stack, Kind.BALANCER) for machine in tier.machines]
    for override in stack.of_type("HaVmOverride"):
        machines = stack.referred(override, "virtualMachineId")
        if any(Kind.DATABASE in tiers.kinds_of(stack, machine) for machine in machines):
            edit = referring("virtualMachineId", [balancer.urn])
            yield changed("PLA-04", stack, override, f"on {balancer.label} instead", edit)


def of_drs(stack: Stack) -> Iterator[Mutant]:
    """Rules that nothing enforces."""
    for cluster in stack.of_type("ComputeCluster"):
        if cluster.properties.get("drsEnabled") and stack.of_type(placement.ANTI_AFFINITY):
            yield changed("PLA-03", stack, cluster, "no DRS", setting("drsEnabled", value=False))
            yield changed("PLA-03", stack, cluster, "manual DRS", setting("drsAutomationLevel", "manual"))
            yield changed("PLA-03", stack, cluster, "DRS of no automation level", unset("drsAutomationLevel"))
        elif not cluster.properties.get("drsEnabled"):
            machines = stack.of_type("VirtualMachine")[:2]
            rule = Resource(
                f"{cluster.urn}-apart",
                "vsphere:index/computeClusterVmAntiAffinityRule:ComputeClusterVmAntiAffinityRule",
                "apart",
                {"enabled": True, "computeClusterId": UNKNOWN, "virtualMachineIds": [UNKNOWN, UNKNOWN]},
                property_dependencies={
                    "computeClusterId": (cluster.urn,),
                    "virtualMachineIds": tuple(machine.urn for machine in machines),
                },
            )
            yield with_more("PLA-03", stack, f"{cluster.label}: a rule without DRS", rule)


def of_pins(stack: Stack) -> Iterator[Mutant]:
    """Without DRS: two of a tier made on one host, or a server without a pin."""
    if any(cluster.properties.get("drsEnabled") for cluster in stack.of_type("ComputeCluster")):
        return
    for tier in _tiers(stack, *Kind):
        rule = "PLA-05" if tier.kind is Kind.QUORUM else "PLA-02"
        for machine in tier.machines if len(tier.machines) > 1 else ():
            yield changed(rule, stack, machine, f"no pin (tier {tier.name})", unset("hostSystemId"))
        for one, other in combinations(tier.machines, 2):
            host = other.property_dependencies["hostSystemId"]
            yield changed(rule, stack, one, f"pinned to the host of {other.label}", referring("hostSystemId", host))


def of_snapshots(stack: Stack) -> Iterator[Mutant]:
    """A snapshot that stands on a database or a vote."""
    for machine in {
        one.urn: one for tier in _tiers(stack, Kind.DATABASE, Kind.QUORUM) for one in tier.machines
    }.values():
        snapshot = Resource(
            f"{machine.urn}-snapshot",
            "vsphere:index/virtualMachineSnapshot:VirtualMachineSnapshot",
            f"{machine.label}-before-update",
            {"virtualMachineUuid": UNKNOWN},
            property_dependencies={"virtualMachineUuid": (machine.urn,)},
        )
        yield with_more("VM-03", stack, f"{machine.label}: a standing snapshot", snapshot)


def of_adapters(stack: Stack) -> Iterator[Mutant]:
    """A storage path that a host has no adapter for."""
    every = [one for one in stack.of_type("Vnic") if not one.properties.get("services")]
    for adapter in every:
        yield changed("STO-02", stack, adapter, "gone", gone)
        address = {**adapter.properties["ipv4"], "ip": "192.0.2.1"}
        yield changed("STO-02", stack, adapter, "another address", setting("ipv4", address))
        for host in stack.of_type("Host"):
            if host.urn not in adapter.property_dependencies["host"]:
                yield changed("STO-02", stack, adapter, f"on {host.label} instead", referring("host", [host.urn]))
        for other in every:
            if other != adapter and stack.referred(other, "host") == stack.referred(adapter, "host"):
                group = other.property_dependencies["portgroup"]
                yield changed("STO-02", stack, adapter, "on the other path", referring("portgroup", group))


def of_preparation(stack: Stack) -> Iterator[Mutant]:
    """A host that isn't logged in to the arrays, or doesn't look for new datastores."""
    for command in stack.of_type("command:remote:Command"):
        script = command.properties["create"]
        if "statictarget" in script or "filesystem rescan" in script:
            yield changed("STO-03", stack, command, "gone", gone)
        if "filesystem rescan" in script:
            for store in stack.of_type("VmfsDatastore"):
                yield changed("STO-03", stack, command, f"does not wait for {store.label}", not_after(store.urn))


def _tiers(stack: Stack, *kinds: Kind) -> list[Tier]:
    return [tier for tier in tiers.tiers(Context(stack, Thresholds())) if tier.kind in kinds]


MUTATIONS = (
    of_hosts,
    of_datastores,
    of_arrays,
    of_own_disks,
    of_servers,
    of_anti_affinity,
    of_drs,
    of_pins,
    of_snapshots,
    of_adapters,
    of_votes,
    of_priorities,
    of_preparation,
)
