"""Rules about single virtual machines: whether another host can start them."""

import re
from collections.abc import Iterator

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.judging.stack import Stack
from policies.reading import homes, tiers, topology
from policies.reading.tiers import Kind

_HARDWARE = re.compile(r"\d+")
_PASSTHROUGH = ("pciDeviceIds", "sharedPciDeviceIds")


@rule(
    id="VM-01",
    title="Nothing ties a VM to one host",
    severity=Severity.HIGH,
    outage="vSphere HA can't start the VM on another host, and vMotion can't move it there for maintenance.",
    remedy="Disconnect the CD image, remove the passthrough device or local disk, lower the hardware version.",
    why="A VM can go where everything that it is made of can go. An image on a host's own disk or in the client's"
    " drive, a PCI device of the host, a disk on another datastore than the shared ones, or a virtual hardware"
    " version newer than the other hosts know: each keeps it where it is.",
    source="VMware, vCenter Server and Host Management, “Virtual Machine Conditions and Limitations for vMotion”",
    reads=(
        "VirtualMachine.cdroms",
        "VirtualMachine.pciDeviceIds",
        "VirtualMachine.disks",
        "VirtualMachine.hardwareVersion",
        "VirtualMachine.latencySensitivity",
        "ComputeClusterVmHostRule.mandatory",
    ),
    subjects=resources("VirtualMachine"),
    drill="maintain-host",
)
def free_to_move(machine: Resource, context: Context) -> Iterator[Finding]:
    """Tied to a host."""
    if tiers.is_template(context.stack, machine):
        return
    for index in range(len(machine.items("cdroms"))):
        if machine.get(f"cdroms.{index}.clientDevice"):
            yield Finding(machine, "its CD drive is a client's", "Set clientDevice: false.")
        elif machine.get(f"cdroms.{index}.path"):
            yield Finding(machine, "a CD image is connected", "Remove cdroms[].path once the installation is done.")
    for key in _PASSTHROUGH:
        if machine.get(key):
            yield Finding(machine, f"it has devices of its host ({key})", f"Remove {key}.")
    version = _HARDWARE.search(str(machine.get("hardwareVersion", 0)))
    newest = context.thresholds.maximum_hardware_version
    if version and int(version.group()) > newest:
        yield Finding(
            machine,
            f"its hardware version {version.group()} is newer than {newest}, which every host knows",
            f"Set hardwareVersion: {newest}.",
        )
    yield from _bound(machine, context)
    for index in range(len(machine.items("disks"))):
        if machine.get(f"disks.{index}.diskSharing") == "sharingMultiWriter":
            yield Finding(
                machine,
                "a disk is shared by several writers: it can't be snapshot or moved with storage",
                "Remove diskSharing.",
            )


def _bound(machine: Resource, context: Context) -> Iterator[Finding]:
    if machine.urn in context.stack.once(_bound_to_a_host):
        yield Finding(
            machine, "a mandatory rule binds it to one host", "Set mandatory: false in the ComputeClusterVmHostRule."
        )


def _bound_to_a_host(stack: Stack) -> frozenset[str]:
    """The VMs that an enabled rule lets run on one host only: not even vSphere HA starts them elsewhere."""
    found: set[str] = set()
    for one in stack.of_type("ComputeClusterVmHostRule"):
        hosts = {
            host.urn
            for group in stack.referred(one, "affinityHostGroupName")
            for host in stack.referred(group, "hostSystemIds")
        }
        if one.get("mandatory", default=False) and one.get("enabled", default=True) and len(hosts) == 1:
            groups = stack.referred(one, "vmGroupName")
            found.update(machine.urn for group in groups for machine in stack.referred(group, "virtualMachineIds"))
    return frozenset(found)


@rule(
    id="VM-02",
    title="vSphere HA restarts every VM of a tier",
    severity=Severity.CRITICAL,
    outage="The VM stays down after the loss of its host until somebody starts it.",
    remedy="Set haVmRestartPriority to lowest … highest in the VM's HaVmOverride, or remove it.",
    why="An override for one VM wins over the cluster. One that was set for a maintenance and forgotten shows up on"
    " the day the host fails. The same holds for what happens to a VM on a host that is isolated or has lost its"
    " datastore. A vote on its host's own disk (STO-07) may be left on an isolated host: powered off, it could start"
    " nowhere else, and it may still reach the other votes.",
    source="VMware, vSphere Availability, “Customize an Individual Virtual Machine”",
    reads=(
        "HaVmOverride.haVmRestartPriority",
        "HaVmOverride.haHostIsolationResponse",
        "HaVmOverride.haDatastorePdlResponse",
        "HaVmOverride.haDatastoreApdResponse",
        "HaVmOverride.haVmMonitoring",
    ),
    subjects=resources("HaVmOverride"),
    drill="lose-worst-host",
)
def restarted(override: Resource, context: Context) -> Iterator[Finding]:
    """An override that switches HA off."""
    named = context.stack.referred(override, "virtualMachineId")
    label = named[0].label if named else "its VM"
    for key, off, what in (
        ("haVmRestartPriority", ("disabled",), "is not restarted when its host is lost"),
        ("haHostIsolationResponse", ("none",), "is left on an isolated host"),
        ("haDatastorePdlResponse", ("disabled", "warning"), "is left without its datastore (PDL)"),
        ("haDatastoreApdResponse", ("disabled", "warning"), "is left without its datastore (APD)"),
        ("haVmMonitoring", ("vmMonitoringDisabled",), "is not restarted when it hangs"),
    ):
        if key == "haHostIsolationResponse" and any(_better_left(machine, context) for machine in named):
            continue
        if override.get(key) in off and (key == "haVmRestartPriority" or _set_here(override, key)):
            yield Finding(override, f"{label} {what}", f"Remove {key} from the override.")


def _better_left(machine: Resource, context: Context) -> bool:
    """Whether a VM does no good powered off: a vote on its host's own disk, which starts nowhere else."""
    return bool(homes.own_disk(context.stack, machine)) and homes.is_spare_vote(context, machine)


def _set_here(override: Resource, key: str) -> bool:
    """Whether the override names a value of its own: after an update the provider shows defaults for the others.

    Its defaults are `clusterIsolationResponse`, `clusterDefault` and, for monitoring, the cluster's own.
    """
    return key != "haVmMonitoring" or not override.get("haVmMonitoringUseClusterDefaults", default=True)


@rule(
    id="VM-03",
    title="No standing snapshot on a database or a vote",
    severity=Severity.MEDIUM,
    outage="The disk slows down for as long as the snapshot stands, fills the datastore, and its removal freezes the"
    " VM.",
    remedy="Delete the snapshot; keep backups with the database's own tools.",
    why="A snapshot turns every write into a copy, grows until the datastore is full, and when it is consolidated"
    " stuns the VM for seconds: long enough for a lease to run out. Rolled back, a database has forgotten what it had"
    " acknowledged.",
    source="VMware knowledge base 1025279, “Best practices for using snapshots”",
    reads=("VirtualMachineSnapshot.virtualMachineUuid",),
    subjects=resources("VirtualMachineSnapshot"),
    drill="freeze-primary-5s",
)
def no_standing_snapshot(snapshot: Resource, context: Context) -> Iterator[Finding]:
    """A snapshot that the program keeps."""
    for machine in context.stack.referred(snapshot, "virtualMachineUuid"):
        if tiers.kinds_of(context.stack, machine) & {Kind.DATABASE, Kind.QUORUM} or _is_stateful(machine, context):
            yield Finding(snapshot, f"{machine.label} keeps a snapshot")


def _is_stateful(machine: Resource, context: Context) -> bool:
    return any(tier.is_stateful and machine in tier.machines for tier in tiers.tiers(context))


@rule(
    id="VM-04",
    title="Every VM is in a cluster with vSphere HA",
    severity=Severity.CRITICAL,
    outage="The VM stays down with its host.",
    remedy="Put it into the cluster's resource pool.",
    why="A VM on a standalone host, or in the pool of a single host of the cluster, is nobody's to restart.",
    source="VMware, vSphere Availability, “vSphere HA Checklist”",
    reads=("VirtualMachine.resourcePoolId", "ComputeCluster", "ResourcePool.parentResourcePoolId"),
    subjects=resources("VirtualMachine"),
    drill="lose-worst-host",
)
def in_a_cluster(machine: Resource, context: Context) -> Iterator[Finding]:
    """A pool that is no cluster's."""
    owner = topology.owner_of_pool(context.stack, machine)
    if owner and owner.type.endswith(":Host"):
        yield Finding(machine, f"its resource pool is that of the single host {owner.label}")
