"""Rules about where servers run, and in which order they come back."""

from collections.abc import Iterator
from itertools import islice

from policies.judging.resource import Resource, UndecidedError
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.reading import backups, etcd, guests, placement, tiers, topology
from policies.reading.tiers import Kind, Tier

_RESOURCES = "VMware, vSphere Resource Management"
_AVAILABILITY = "VMware, vSphere Availability"
_ORDER = ("disabled", "lowest", "low", "medium", "high", "highest")
_NAMED = 3
"""Pairs of servers that a message names at most."""
_KEPT_APART = {
    True: "Name them all in one ComputeClusterVmAntiAffinityRule with enabled: true.",
    False: "Set a different hostSystemId on each.",
    None: "Name them all in one ComputeClusterVmAntiAffinityRule, or without DRS set a different hostSystemId on each.",
}
"""By whether the cluster has DRS."""


@rule(
    id="PLA-01",
    title="Every tier has two servers",
    severity=Severity.HIGH,
    outage="The tier is down for as long as its one server is: minutes with vSphere HA, longer when the server itself"
    " is sick.",
    remedy="Add a second server that does the same.",
    why="vSphere HA brings a single server back, in minutes, if what failed was its host. It does nothing about a"
    " full disk, a bad update or a hung process, and it can't patch a server that must not stop.",
    source=f"{_AVAILABILITY}, “Business Continuity and Minimizing Downtime”",
    reads=("VirtualMachine", "files of VMs", "configuration: tiers"),
    subjects=lambda context: [tier for tier in tiers.tiers(context) if tier.kind is not Kind.QUORUM],
    drill="power-off-app",
)
def two_servers(tier: Tier, context: Context) -> Iterator[Finding]:
    """A tier of one."""
    if tier.kind is Kind.OTHER and not all(guests.files_of(context.stack, one).complete for one in tier.machines):
        raise UndecidedError(tier.label, "what is put on its servers")
    if tier.kind is Kind.OTHER and all(
        backups.of_a_database(guests.files_of(context.stack, one)) for one in tier.machines
    ):
        return  # users miss nothing while nobody makes backups
    if len(tier.machines) < 2:  # noqa: PLR2004 (one and another)
        yield Finding(tier.machines[0], f"tier {tier.name} has one server, {tier.machines[0].label}")


@rule(
    id="PLA-02",
    title="No two servers of a tier run on one host",
    severity=Severity.CRITICAL,
    outage="One host takes the whole tier with it, and the service is down until vSphere HA has restarted it.",
    remedy="With DRS, an enabled anti-affinity rule over the tier's VMs; without, a different hostSystemId for each.",
    why="Two servers on one host are one server when that host fails. With DRS, only a rule keeps them apart: where"
    " they were made says nothing about where they are next week. Without DRS nothing but vSphere HA moves a VM, so"
    " that the host it is made on is where it stays; after a restart by HA it must be moved back by hand.",
    source=f"{_RESOURCES}, “VM-VM Affinity Rules”",
    reads=(
        "ComputeClusterVmAntiAffinityRule.virtualMachineIds",
        "ComputeClusterVmAntiAffinityRule.enabled",
        "ComputeClusterVmHostRule",
        "VirtualMachine.hostSystemId",
        "ComputeCluster.drsEnabled",
    ),
    subjects=lambda context: [tier for tier in tiers.tiers(context) if tier.kind is not Kind.QUORUM],
    drill="lose-worst-host",
)
def apart(tier: Tier, context: Context) -> Iterator[Finding]:
    """Two that may share a host."""
    pairs = list(islice(placement.together(context.stack, tier.machines), _NAMED + 1))
    if not pairs:
        return
    first = tier.machines[0]
    cluster = topology.cluster_of(context.stack, first)
    hosts = topology.number_of_hosts(context.stack, cluster) if cluster else None
    crowded = hosts is not None and len(tier.machines) > hosts
    if crowded and not placement.leaves_one_alone(context.stack, tier.machines):
        return  # more servers than hosts: some must share, and each has another elsewhere
    names = ", ".join(f"{one.label} and {other.label}" for one, other in pairs[:_NAMED])
    more = ", and other pairs," if len(pairs) > _NAMED else ""
    yield Finding(
        pairs[0][0],
        f"{names}{more} of tier {tier.name} may run on one host",
        _KEPT_APART[placement.has_drs(context.stack, first)],
    )


@rule(
    id="PLA-03",
    title="Placement rules are enforced: the cluster has DRS",
    severity=Severity.HIGH,
    outage="The rule is ignored: both servers of a tier may end up on one host, while the program says that they"
    " don't.",
    remedy="Set drsEnabled: true (Enterprise Plus), or remove the rules and pin VMs with hostSystemId.",
    why="DRS enforces affinity rules. An edition without it accepts or refuses them, and acts on none when a VM is"
    " powered on. A rule that nothing enforces is worse than none: it looks like an answer.",
    source=f"{_RESOURCES}, “Using DRS Affinity Rules”",
    reads=(
        "ComputeClusterVmAntiAffinityRule",
        "ComputeClusterVmHostRule",
        "ComputeCluster.drsEnabled",
        "ComputeCluster.drsAutomationLevel",
    ),
    subjects=resources(placement.ANTI_AFFINITY, placement.HOST_RULE, "ComputeClusterVmAffinityRule"),
    not_shown="DRS is not simulated: the lab's servers stay where they were made, or where vSphere HA restarted them.",
)
def enforced(subject: Resource, context: Context) -> Iterator[Finding]:
    """A rule without DRS."""
    for cluster in context.stack.referred(subject, "computeClusterId"):
        if not cluster.get("drsEnabled", default=False):
            yield Finding(subject, f"cluster {cluster.label} has no DRS to enforce it")
        elif cluster.get("drsAutomationLevel", "manual") == "manual":
            yield Finding(
                subject,
                f"DRS of cluster {cluster.label} only recommends: somebody has to apply the rule",
                "Set drsAutomationLevel: fullyAutomated.",
            )


@rule(
    id="PLA-04",
    title="Databases restart before what needs them",
    severity=Severity.MEDIUM,
    outage="Applications come up first, fail to reach their database, and stay down or restart in circles.",
    remedy="Set haVmRestartPriority: high for databases and votes, medium for applications, low for balancers.",
    why="After the loss of a host vSphere HA restarts by priority, and starts the next batch when the last has its"
    " resources. With one priority for all, the order is chance.",
    source=f"{_AVAILABILITY}, “VM Restart Priority”",
    reads=("HaVmOverride.haVmRestartPriority", "ComputeCluster.haVmRestartPriority", "files of VMs"),
    subjects=resources("ComputeCluster"),
    drill="lose-worst-host",
)
def restart_order(cluster: Resource, context: Context) -> Iterator[Finding]:
    """An application that comes before its database, or with it."""
    ranks = {
        kind: {
            machine.urn: (_rank(machine, cluster, context), machine)
            for tier in tiers.of_kind(context, kind)
            for machine in tier.machines
            if topology.cluster_of(context.stack, machine) == cluster
        }
        for kind in (Kind.DATABASE, Kind.APPLICATION, Kind.BALANCER)
    }
    if not ranks[Kind.DATABASE]:
        return
    slowest = min(rank for rank, _ in ranks[Kind.DATABASE].values())
    for rank, machine in ranks[Kind.APPLICATION].values():
        if rank >= slowest:
            yield Finding(machine, f"{machine.label} restarts with the database that it needs, or before it")


def _rank(machine: Resource, cluster: Resource, context: Context) -> int:
    """The place of a VM's restart priority, `highest` last."""
    inherited = cluster.get("haVmRestartPriority", "medium")
    overrides = context.stack.referrers(machine, "virtualMachineId", "HaVmOverride")
    own = next((override.get("haVmRestartPriority", "clusterRestartPriority") for override in overrides), inherited)
    priority = inherited if own == "clusterRestartPriority" else own
    return _ORDER.index(priority) if priority in _ORDER else _ORDER.index("medium")


@rule(
    id="PLA-05",
    title="A quorum has an odd number of votes, three or more, each on a host of its own",
    severity=Severity.CRITICAL,
    outage="One host takes the majority: nobody may be elected, and the database stays read-only until a vote is back.",
    remedy="Run three (or five) votes and keep each pair of them apart.",
    why="A majority of an even number is no better than that of one fewer, with one more to fail; two votes tolerate"
    " the loss of none. And votes are counted by what fails together: two on one host fail together. VM-host rules"
    " that say “should” are the right means for as many votes as hosts: a strict anti-affinity rule would keep"
    " vSphere HA from restarting the third.",
    source="etcd, “Frequently Asked Questions”: What is failure tolerance?",
    reads=(
        "files of VMs: etcd",
        "ComputeClusterVmHostRule",
        "ComputeClusterVmAntiAffinityRule",
        "VirtualMachine.hostSystemId",
    ),
    subjects=lambda context: tiers.of_kind(context, Kind.QUORUM),
    drill="lose-worst-host",
)
def quorum(tier: Tier, context: Context) -> Iterator[Finding]:
    """Too few votes, an even number, or two that fail together."""
    votes = etcd.votes(context.stack, tier) or len(tier.machines)
    first = tier.machines[0]
    if votes < context.thresholds.minimum_votes:
        yield Finding(first, f"the quorum has {votes} of {context.thresholds.minimum_votes} votes")
    elif votes % 2 == 0:
        yield Finding(first, f"the quorum has {votes} votes, an even number")
    if len(tier.machines) != votes:
        yield Finding(first, f"the quorum names {votes} votes, and {len(tier.machines)} servers run one")
    if etcd.disagree(context.stack, tier):
        yield Finding(
            first,
            "the votes name different members: those that differ don't join",
            "Write the same ETCD_INITIAL_CLUSTER for all of them.",
        )
    for one, other in islice(placement.together(context.stack, tier.machines), _NAMED):
        yield Finding(
            one,
            f"the votes {one.label} and {other.label} may run on one host",
            "Keep them apart by a rule, or without DRS by hostSystemId.",
        )
