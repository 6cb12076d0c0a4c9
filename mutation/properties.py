"""Changes of a single property, of resources of every type."""

from collections.abc import Iterator
from typing import Any

from mutation.changes import Edit, gone, setting, unprotected, unset
from mutation.mutant import Mutant, changed
from policies.judging.resource import Resource
from policies.judging.stack import Stack
from policies.reading import tiers, topology
from policies.reading.tiers import Kind

UNSET: Any = object()

CLUSTER: tuple[tuple[str, str, Any], ...] = (
    ("CLU-01", "haEnabled", False),
    ("CLU-01", "haEnabled", UNSET),
    ("CLU-01", "haHostMonitoring", "disabled"),
    ("CLU-03", "haAdmissionControlPolicy", "disabled"),
    ("CLU-03", "haAdmissionControlPolicy", "failoverHosts"),
    ("CLU-03", "haAdmissionControlResourcePercentageCpu", 1.0),
    ("CLU-03", "haAdmissionControlResourcePercentageMemory", 1.0),
    ("CLU-05", "haHeartbeatDatastorePolicy", "userSelectedDs"),
    ("CLU-05", "haAdvancedOptions", {"das.ignoreInsufficientHbDatastore": "true"}),
    ("CLU-06", "haHostIsolationResponse", "none"),
    ("CLU-06", "haHostIsolationResponse", UNSET),
    ("CLU-06", "haVmMonitoring", "vmMonitoringDisabled"),
    ("CLU-06", "haVmMonitoring", UNSET),
    ("CLU-07", "haVmComponentProtection", "disabled"),
    ("CLU-07", "haDatastorePdlResponse", "disabled"),
    ("CLU-07", "haDatastorePdlResponse", "warning"),
    ("CLU-07", "haDatastorePdlResponse", UNSET),
    ("CLU-07", "haDatastoreApdResponse", "disabled"),
    ("CLU-07", "haDatastoreApdResponse", "warning"),
    ("CLU-07", "haDatastoreApdResponse", UNSET),
    ("CLU-08", "hostManaged", False),
    ("CLU-08", "hostManaged", UNSET),
    ("CLU-08", "hostSystemIds", ["host-9"]),
    ("CLU-09", "haVmRestartPriority", "disabled"),
    ("CLU-09", "haAdvancedOptions", {"das.respectVmVmAntiAffinityRules": "false"}),
)
HOST: tuple[tuple[str, str, Any], ...] = (("CLU-08", "clusterManaged", True), ("CLU-08", "cluster", UNSET))
DATASTORE: tuple[tuple[str, str, Any], ...] = (
    ("STO-07", "disks", ["mpx.vmhba0:C0:T1:L0"]),
    ("STO-07", "disks", ["t10.ATA_____SSD"]),
    ("STO-03", "disks", ["naa.60014050000000000000000000000fff"]),
)
MACHINE: tuple[tuple[str, str, Any], ...] = (
    ("CLU-04", "memory", 4.0 * 1024 * 1024),
    ("CLU-04", "numCpus", 1024.0),
    ("STO-07", "datastoreId", UNSET),
    ("VM-01", "cdroms", [{"path": "debian.iso"}]),
    ("VM-01", "cdroms", [{"clientDevice": True}]),
    ("VM-01", "pciDeviceIds", ["0000:03:00.0"]),
    ("VM-01", "hardwareVersion", 99.0),
    ("VM-01", "disks", [{"label": "disk0", "size": 10, "diskSharing": "sharingMultiWriter"}]),
    ("SEC-02", "extraConfig", {"perenne.password": "password=open-sesame"}),
)
OVERRIDE: tuple[tuple[str, str, Any], ...] = (
    ("VM-02", "haVmRestartPriority", "disabled"),
    ("VM-02", "haHostIsolationResponse", "none"),
    ("VM-02", "haDatastorePdlResponse", "disabled"),
    ("VM-02", "haDatastorePdlResponse", "warning"),
    ("VM-02", "haDatastoreApdResponse", "disabled"),
    ("VM-02", "haDatastoreApdResponse", "warning"),
)
SWITCH: tuple[tuple[str, str, Any], ...] = (
    ("NET-01", "networkAdapters", ["vmnic1"]),
    ("NET-01", "networkAdapters", []),
)
ADAPTER: tuple[tuple[str, str, Any], ...] = (("NET-04", "mtu", 9216.0),)
COMMAND: tuple[tuple[str, str, Any], ...] = (("SEC-02", "environment", {"DB_PASSWORD": "open-sesame"}),)
PROVIDERS: tuple[tuple[str, str, str, Any], ...] = (
    ("SEC-01", "pulumi:providers:vsphere", "allowUnverifiedSsl", "true"),
    ("SEC-01", "pulumi:providers:postgresql", "sslmode", "require"),
    ("SEC-01", "pulumi:providers:postgresql", "sslmode", "disable"),
)

TABLES = (
    ("ComputeCluster", CLUSTER),
    ("Host", HOST),
    ("VmfsDatastore", DATASTORE),
    ("VirtualMachine", MACHINE),
    ("HaVmOverride", OVERRIDE),
    ("HostVirtualSwitch", SWITCH),
    ("Vnic", ADAPTER),
    ("command:remote:Command", COMMAND),
)


def of_tables(stack: Stack) -> Iterator[Mutant]:
    """Every line of the tables, on every resource of its type."""
    for type_, table in TABLES:
        for resource in stack.of_type(type_):
            for rule, key, value in table:
                if value is not UNSET and resource.properties.get(key) == value:
                    continue  # so it is in a sound stack: a vote on its host's own disk is left on an isolated host
                if (
                    rule == "STO-07"
                    and type_ == "VmfsDatastore"
                    and not stack.referrers(resource, "datastoreId", "VirtualMachine")
                ):
                    continue
                yield _changed(rule, stack, resource, key, value)
    for rule, type_, key, value in PROVIDERS:
        for resource in stack.of_type(type_):
            yield _changed(rule, stack, resource, key, value)


def of_connections(stack: Stack) -> Iterator[Mutant]:
    """A server that is believed without its host key."""
    for type_ in ("command:remote:Command", "command:remote:CopyToRemote"):
        for command in stack.of_type(type_):
            connection = {key: value for key, value in command.properties["connection"].items() if key != "hostKey"}
            yield changed("SEC-01", stack, command, "no hostKey", setting("connection", connection))


def of_uplinks(stack: Stack) -> Iterator[Mutant]:
    """Switches and port groups that use one uplink of two; storage port groups that share one or have a spare."""
    for switch in stack.of_type("HostVirtualSwitch"):
        first = switch.properties["activeNics"][:1]
        yield changed("NET-01", stack, switch, "one active uplink of two", setting("activeNics", first))
    for group in stack.of_type("HostPortGroup"):
        carrier = topology.standard_switch_of(stack, group)
        if carrier is None:
            continue
        uplinks = carrier.properties["activeNics"]
        if group.properties.get("activeNics") is None:
            yield changed("NET-02", stack, group, "one uplink of two", setting("activeNics", uplinks[:1]))
            continue
        own = group.properties["activeNics"]
        other = [uplink for uplink in uplinks if uplink not in own]
        yield changed("STO-02", stack, group, "the other path's uplink", setting("activeNics", other))
        yield changed("STO-02", stack, group, "two active uplinks", setting("activeNics", uplinks))
        yield changed("STO-02", stack, group, "a standby uplink", setting("standbyNics", other))


def of_frames(stack: Stack) -> Iterator[Mutant]:
    """A switch that carries smaller frames than its adapters send."""
    for switch in stack.of_type("HostVirtualSwitch"):
        if stack.referrers(switch, "virtualSwitchName", "HostPortGroup") and switch.properties.get("mtu") == 9000:  # noqa: PLR2004
            yield changed("NET-04", stack, switch, "mtu 1500", setting("mtu", 1500.0))


def of_restart_order(stack: Stack) -> Iterator[Mutant]:
    """An application that comes before its database."""
    for override in stack.of_type("HaVmOverride"):
        kinds = frozenset[Kind]().union(
            *(tiers.kinds_of(stack, machine) for machine in stack.referred(override, "virtualMachineId"))
        )
        if Kind.APPLICATION in kinds:
            yield _changed("PLA-04", stack, override, "haVmRestartPriority", "highest")
            yield _changed("PLA-04", stack, override, "haVmRestartPriority", "high")
        elif Kind.DATABASE in kinds:
            yield _changed("PLA-04", stack, override, "haVmRestartPriority", "lowest")
            yield _changed("PLA-04", stack, override, "haVmRestartPriority", UNSET)
            yield changed("PLA-04", stack, override, "gone", gone)


def of_protection(stack: Stack) -> Iterator[Mutant]:
    """What holds data, open to deletion."""
    for resource in stack.resources:
        if resource.protect and resource.type.rpartition(":")[2] in (
            "ComputeCluster", "VmfsDatastore", "VirtualMachine", "Database",
        ):  # fmt: skip
            yield changed("SEC-04", stack, resource, "not protected", unprotected)


def of_outputs(stack: Stack) -> Iterator[Mutant]:
    """A key among the stack's outputs."""
    for root in stack.of_type("pulumi:pulumi:Stack"):
        key = "-----BEGIN OPENSSH PRIVATE KEY-----\n…"
        yield changed("SEC-02", stack, root, "an output with a key", setting("key", key))


def _changed(rule: str, stack: Stack, resource: Resource, key: str, value: Any) -> Mutant:  # noqa: ANN401 (any property)
    edit: Edit = unset(key) if value is UNSET else setting(key, value)
    return changed(rule, stack, resource, f"{key} {'not set' if value is UNSET else value}", edit)


MUTATIONS = (of_tables, of_connections, of_uplinks, of_frames, of_restart_order, of_protection, of_outputs)
