"""Rules about the vSphere HA cluster."""

from collections.abc import Iterator

from policies.judging.resource import UNKNOWN, Resource, UndecidedError
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.reading import capacity, topology

_AVAILABILITY = "VMware, vSphere Availability"


@rule(
    id="CLU-01",
    title="vSphere HA and its host monitoring are on",
    severity=Severity.CRITICAL,
    outage="Servers of a lost host stay down until somebody starts them by hand.",
    remedy="Set haEnabled: true and haHostMonitoring: enabled.",
    why="vSphere HA restarts the virtual machines of a failed host on the hosts that are left. With host monitoring"
    " off, it is configured but watches nobody.",
    source=f"{_AVAILABILITY}, “How vSphere HA Works”",
    reads=("ComputeCluster.haEnabled", "ComputeCluster.haHostMonitoring"),
    subjects=resources("ComputeCluster"),
    drill="lose-worst-host",
)
def high_availability(cluster: Resource, _context: Context) -> Iterator[Finding]:
    """HA off, or blind."""
    if not cluster.get("haEnabled", default=False):
        yield Finding(cluster, "vSphere HA is off", "Set haEnabled: true.")
    elif cluster.get("haHostMonitoring", "enabled") != "enabled":
        yield Finding(cluster, "host monitoring is off", "Set haHostMonitoring: enabled.")


@rule(
    id="CLU-02",
    title="The cluster has a host more than it needs, and at least three",
    severity=Severity.HIGH,
    outage="With two hosts nothing is redundant while one is patched; with one, its failure is the end.",
    remedy="Add hosts to the cluster.",
    why="A cluster that is to tolerate the loss of *n* hosts needs *n* + 1 of them, and a quorum of three votes needs"
    " three hosts, or one host holds the majority. Maintenance counts as a loss: every patch takes a host away.",
    source=f"{_AVAILABILITY}, “vSphere HA Checklist”",
    reads=("ComputeCluster.hostSystemIds", "Host.cluster"),
    subjects=resources("ComputeCluster"),
    drill="lose-worst-host",
)
def enough_hosts(cluster: Resource, context: Context) -> Iterator[Finding]:
    """Too few hosts."""
    needed = max(context.thresholds.minimum_hosts, context.thresholds.host_failures_to_tolerate + 1)
    number = topology.number_of_hosts(context.stack, cluster)
    if number is None:
        raise UndecidedError(cluster.label, "hosts")
    if number < needed:
        yield Finding(cluster, f"it has {number} of at least {needed} hosts", f"Add {needed - number} or more hosts.")


@rule(
    id="CLU-03",
    title="Admission control keeps a host's worth of capacity free",
    severity=Severity.HIGH,
    outage="After the loss of a host there may be no room to restart its servers: some stay down.",
    remedy="Set haAdmissionControlPolicy: resourcePercentage and haAdmissionControlHostFailureTolerance: 1.",
    why="Admission control refuses to power on what could not be restarted after a failure. Without it, the cluster"
    " fills up unnoticed, and the first to notice is vSphere HA, when it finds no host for a server.",
    source=f"{_AVAILABILITY}, “vSphere HA Admission Control”",
    reads=(
        "ComputeCluster.haAdmissionControlPolicy",
        "ComputeCluster.haAdmissionControlHostFailureTolerance",
        "ComputeCluster.haAdmissionControlResourcePercentageAutoCompute",
        "ComputeCluster.haAdmissionControlResourcePercentageCpu",
        "ComputeCluster.haAdmissionControlResourcePercentageMemory",
        "ComputeCluster.haAdmissionControlFailoverHostSystemIds",
    ),
    subjects=resources("ComputeCluster"),
    not_shown="Admission control acts when VMs are powered on; the lab's is simulated, so a figure would say nothing.",
)
def admission_control(cluster: Resource, context: Context) -> Iterator[Finding]:
    """Admission control off, or keeping too little."""
    prefix = "haAdmissionControl"
    policy = cluster.get(f"{prefix}Policy", "resourcePercentage")
    failures = context.thresholds.host_failures_to_tolerate
    if policy == "disabled":
        yield Finding(cluster, "admission control is off")
    elif policy == "failoverHosts":
        kept = len(cluster.get(f"{prefix}FailoverHostSystemIds", []))
        if kept < failures:
            yield Finding(
                cluster,
                f"{kept} of {failures} failover hosts are named",
                f"Name {failures} in {prefix}FailoverHostSystemIds.",
            )
    elif policy == "slotPolicy" or cluster.get(f"{prefix}ResourcePercentageAutoCompute", default=True):
        tolerated = int(cluster.get(f"{prefix}HostFailureTolerance", 1))
        if tolerated < failures:
            yield Finding(
                cluster,
                f"it tolerates {tolerated} of {failures} lost hosts",
                f"Set {prefix}HostFailureTolerance: {failures}.",
            )
    else:
        yield from _percentages(cluster, context)


def _percentages(cluster: Resource, context: Context) -> Iterator[Finding]:
    hosts = topology.number_of_hosts(context.stack, cluster)
    if hosts is None:
        raise UndecidedError(cluster.label, "hosts")
    share = 100 * context.thresholds.host_failures_to_tolerate / hosts
    for kind in ("Cpu", "Memory"):
        key = f"haAdmissionControlResourcePercentage{kind}"
        kept = int(cluster.get(key, 100))
        if kept < int(share):
            yield Finding(
                cluster,
                f"it keeps {kept} % of {kind.lower()} free, and one host of {hosts} is {share:.0f} %",
                f"Set {key}: {int(share) + 1}.",
            )


@rule(
    id="CLU-04",
    title="The servers fit on the hosts that are left",
    severity=Severity.HIGH,
    outage="After the loss of the largest host some servers can't be restarted, or all of them crawl.",
    remedy="Give servers less memory and fewer CPUs, or add a host.",
    why="Memory is what decides: a host that has none left starts nothing, whatever admission control promised on"
    " paper. Processors can be shared, up to a point: the pack allows four virtual ones per core.\n\nvSphere's"
    " resources do not show the size of a host. The rule takes it from the pack's configuration (`hosts`), or from a"
    " component that declares it (`capacity` among its outputs, as Perenne's cluster does), and says that it can't"
    " tell where neither is there.",
    source=f"{_AVAILABILITY}, “Cluster Resources Percentage Admission Control”",
    reads=("VirtualMachine.memory", "VirtualMachine.numCpus", "EsxiCluster.capacity (outputs)", "configuration: hosts"),
    subjects=resources("ComputeCluster"),
    not_shown="Memory of simulated hosts is a number; running out of it can't be shown.",
)
def fits_without_largest_host(cluster: Resource, context: Context) -> Iterator[Finding]:
    """Too much for the hosts that are left."""
    machines = topology.machines_of(context.stack, cluster)
    if not machines:
        return
    sizes = capacity.host_sizes(context, cluster)
    left = capacity.left_after_losses(sizes, context.thresholds.host_failures_to_tolerate)
    memory = sum(float(machine.get("memory", 1024)) for machine in machines) / 1024
    cpus = sum(int(machine.get("numCpus", 1)) for machine in machines)
    if memory > left.memory_gib:
        yield Finding(cluster, f"its VMs want {memory:.0f} GiB, the hosts left would have {left.memory_gib:.0f} GiB")
    allowed = left.cpus * context.thresholds.virtual_cpus_per_core
    if cpus > allowed:
        yield Finding(cluster, f"its VMs want {cpus} CPUs, the hosts left would have room for {allowed}")


@rule(
    id="CLU-05",
    title="Two heartbeat datastores tell a dead host from a cut-off one",
    severity=Severity.MEDIUM,
    outage="A host that lost only its management network is taken for dead, or a dead one for cut off.",
    remedy="Mount two shared datastores on every host and let vSphere HA choose among them.",
    why="When a host stops answering, vSphere HA looks at its heartbeat on datastores: still beating means isolated,"
    " silent means dead. With a single datastore, the loss of that one makes every host look dead at once.",
    source=f"{_AVAILABILITY}, “Datastore Heartbeating”",
    reads=(
        "ComputeCluster.haHeartbeatDatastorePolicy",
        "ComputeCluster.haHeartbeatDatastoreIds",
        "ComputeCluster.haAdvancedOptions",
        "VmfsDatastore",
        "NasDatastore",
    ),
    subjects=resources("ComputeCluster"),
    not_shown="The lab's vSphere HA is simulated: it knows an isolated host without any datastore.",
)
def heartbeat_datastores(cluster: Resource, context: Context) -> Iterator[Finding]:
    """Too few datastores to beat on, or the warning about it silenced."""
    needed = context.thresholds.minimum_heartbeat_datastores
    chosen = cluster.properties.get("haHeartbeatDatastoreIds")
    number = len(chosen) if isinstance(chosen, list) else 0
    selected = cluster.get("haHeartbeatDatastorePolicy", "allFeasibleDsWithUserPreference") == "userSelectedDs"
    if selected:
        if number < needed and chosen is not UNKNOWN:
            yield Finding(
                cluster,
                f"{number} of {needed} heartbeat datastores are named",
                f"Name {needed} in haHeartbeatDatastoreIds, or set haHeartbeatDatastorePolicy: allFeasibleDs.",
            )
    elif (shown := _datastores_shown(cluster, context)) and max(shown, number) < needed:
        yield Finding(
            cluster,
            f"{shown} of {needed} shared datastores are there to beat on",
            "Add a second shared datastore; a small LUN is enough.",
        )
    if _advanced(cluster, "das.ignoreInsufficientHbDatastore") == "true":
        yield Finding(
            cluster,
            "the warning about too few heartbeat datastores is silenced",
            "Remove das.ignoreInsufficientHbDatastore from haAdvancedOptions.",
        )
    if selected and chosen is UNKNOWN:
        raise UndecidedError(cluster.label, "haHeartbeatDatastoreIds")


def _advanced(cluster: Resource, option: str) -> str:
    """An advanced option of vSphere HA, in small letters; "" where it isn't set.

    Raises:
        UndecidedError: It isn't known yet.
    """
    value = cluster.get("haAdvancedOptions", {}).get(option, "")
    if value is UNKNOWN:
        raise UndecidedError(cluster.label, f"haAdvancedOptions {option}")
    return str(value).lower()


def _datastores_shown(cluster: Resource, context: Context) -> int:
    """How many datastores the program makes for a cluster, or puts VMs on that somebody else made."""
    made = topology.datastores_of(context.stack, cluster)
    others = {
        named
        for machine in topology.machines_of(context.stack, cluster)
        if isinstance(named := machine.properties.get("datastoreId"), str)
        and not context.stack.referred(machine, "datastoreId")
    }
    return len(made) + len(others) if made else 0


@rule(
    id="CLU-06",
    title="A cut-off host's VMs and a hung VM are restarted",
    severity=Severity.HIGH,
    outage="Servers on a host that is cut off, or whose guest has hung, stay as they are: up, and of no use.",
    remedy="Set haHostIsolationResponse: powerOff (or shutdown) and haVmMonitoring: vmMonitoringOnly.",
    why="An isolated host goes on running its VMs with nobody able to reach them; vSphere HA may only restart them"
    " elsewhere once the host has let go of them, which is the isolation response. A guest that hangs keeps its VM"
    " powered on: only VM monitoring, which listens to VMware Tools' heartbeat, sees that.",
    source=f"{_AVAILABILITY}, “Host Isolation Response”, “VM and Application Monitoring”",
    reads=("ComputeCluster.haHostIsolationResponse", "ComputeCluster.haVmMonitoring"),
    subjects=resources("ComputeCluster"),
    drill="isolate-host",
)
def isolation_and_monitoring(cluster: Resource, _context: Context) -> Iterator[Finding]:
    """What is cut off or hung stays so."""
    if cluster.get("haHostIsolationResponse", "none") == "none":
        yield Finding(
            cluster, "VMs of an isolated host are left running there", "Set haHostIsolationResponse: powerOff."
        )
    if cluster.get("haVmMonitoring", "vmMonitoringDisabled") == "vmMonitoringDisabled":
        yield Finding(cluster, "a hung guest is not noticed", "Set haVmMonitoring: vmMonitoringOnly.")


@rule(
    id="CLU-07",
    title="VMs leave a host that lost their datastore",
    severity=Severity.HIGH,
    outage="VMs whose host lost the array (PDL) or every path to it (APD) hang there until somebody acts.",
    remedy="Set haVmComponentProtection: enabled, haDatastorePdlResponse: restartAggressive and"
    " haDatastoreApdResponse: restartConservative.",
    why="A host that can't reach a datastore keeps its VMs powered on: their processors run, their disks don't. VM"
    " Component Protection restarts them on a host that still sees the datastore: at once when the array says that"
    " the device is gone (PDL), after a delay when it says nothing at all (APD).",
    source=f"{_AVAILABILITY}, “VM Component Protection”",
    reads=(
        "ComputeCluster.haVmComponentProtection",
        "ComputeCluster.haDatastorePdlResponse",
        "ComputeCluster.haDatastoreApdResponse",
    ),
    subjects=resources("ComputeCluster"),
    drill="stall-datastore",
)
def component_protection(cluster: Resource, _context: Context) -> Iterator[Finding]:
    """No reaction to a lost datastore."""
    if cluster.get("haVmComponentProtection", "enabled") != "enabled":
        yield Finding(cluster, "VM Component Protection is off", "Set haVmComponentProtection: enabled.")
        return
    for key, what in (
        ("haDatastorePdlResponse", "a lost datastore (PDL)"),
        ("haDatastoreApdResponse", "an unreachable datastore (APD)"),
    ):
        if cluster.get(key, "disabled") in ("disabled", "warning"):
            yield Finding(cluster, f"nothing is done about {what}", f"Set {key}: restartConservative.")


@rule(
    id="CLU-08",
    title="Exactly one side owns a host's membership in the cluster",
    severity=Severity.HIGH,
    outage="Every other update takes hosts out of the cluster and puts them back, with vSphere HA off in between.",
    remedy="Either hostManaged: true on the cluster and cluster: on every host, or hostSystemIds on the cluster and"
    " clusterManaged: true on every host.",
    why="Both resources can say which hosts are in a cluster. When both do, each undoes the other at every update; when"
    " neither does, hosts drift out and nothing notices.",
    source="pulumi-vsphere, Host (`cluster`, `clusterManaged`), ComputeCluster (`hostManaged`)",
    reads=("ComputeCluster.hostManaged", "ComputeCluster.hostSystemIds", "Host.cluster", "Host.clusterManaged"),
    subjects=resources("ComputeCluster", "Host"),
    not_shown="The lab's cluster keeps its members whoever owns them.",
)
def one_owner_of_membership(subject: Resource, context: Context) -> Iterator[Finding]:
    """Both owners, or none."""
    if subject.type.endswith(":Host"):
        yield from _owner_of(subject, context)
        return
    listed = subject.properties.get("hostSystemIds")
    if subject.get("hostManaged", default=False) and listed:
        yield Finding(
            subject,
            "hostManaged is true and hostSystemIds names hosts: both sides own the membership",
            "Remove hostSystemIds, or hostManaged.",
        )
    elif not subject.get("hostManaged", default=False) and not listed and topology.hosts_of(context.stack, subject):
        yield Finding(
            subject,
            "hosts join by themselves and the cluster does not know: it would take them out",
            "Set hostManaged: true.",
        )


def _owner_of(host: Resource, context: Context) -> Iterator[Finding]:
    by_host = host.properties.get("cluster") is not None
    by_cluster = bool(host.get("clusterManaged", default=False))
    if by_host and by_cluster:
        yield Finding(host, "both cluster and clusterManaged are set", "Remove one of them.")
    elif not by_host and not by_cluster and context.stack.of_type("ComputeCluster"):
        listed = any(
            host in context.stack.referred(one, "hostSystemIds") for one in context.stack.of_type("ComputeCluster")
        )
        what = "the cluster names it, and it does not say clusterManaged" if listed else "it is in no cluster"
        yield Finding(host, what, "Set clusterManaged: true." if listed else "Set cluster: to the cluster's id.")


@rule(
    id="CLU-09",
    title="Restart is on for the cluster's VMs, and respects the rules that keep them apart",
    severity=Severity.CRITICAL,
    outage="VMs of a lost host stay down, or both of a tier come up on one host and go with it next time.",
    remedy="Set haVmRestartPriority to lowest … highest, and leave das.respectVmVmAntiAffinityRules at true.",
    why="A cluster-wide restart priority of `disabled` switches vSphere HA off for every VM that has no override of"
    " its own, while the cluster still says that HA is on. `das.respectVmVmAntiAffinityRules` set to false lets HA"
    " ignore the rules that keep a tier's servers apart.",
    source=f"{_AVAILABILITY}, “vSphere HA Advanced Options”",
    reads=("ComputeCluster.haVmRestartPriority", "ComputeCluster.haAdvancedOptions"),
    subjects=resources("ComputeCluster"),
    drill="lose-worst-host",
)
def restarts(cluster: Resource, _context: Context) -> Iterator[Finding]:
    """HA on, and restarting nothing."""
    if cluster.get("haVmRestartPriority", "medium") == "disabled":
        yield Finding(cluster, "the default restart priority is disabled", "Set haVmRestartPriority: medium.")
    if _advanced(cluster, "das.respectVmVmAntiAffinityRules") == "false":
        yield Finding(
            cluster,
            "vSphere HA ignores anti-affinity rules",
            "Set das.respectVmVmAntiAffinityRules: true in haAdvancedOptions.",
        )
