"""Rules about switches, uplinks and what servers need of the network."""

import re
from collections.abc import Iterator
from functools import lru_cache

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.judging.stack import Stack
from policies.reading import guests, topology

_NETWORKING = "VMware, vSphere Networking"
_TIME = re.compile(r"^\s*(?:server|pool|peer)\s+(\S+)", re.MULTILINE)
_SERVERS_LINE = re.compile(r"^\s*(?:Fallback)?NTP=(.*)$", re.MULTILINE)
_RESOLVERS = re.compile(r"^\s*nameserver\s+(\S+)", re.MULTILINE)


@rule(
    id="NET-01",
    title="Every virtual switch has two uplinks, both in use or in reserve",
    severity=Severity.HIGH,
    outage="A network card, its cable or its switch cuts every VM of the host off; vSphere HA sees a healthy host.",
    remedy="Give the switch a second physical adapter, on another card and another physical switch.",
    why="A host with one uplink is up and of no use when that uplink fails: its VMs run, nobody reaches them, and"
    " vSphere HA restarts nothing, since management may well go on over another switch.",
    source=f"{_NETWORKING}, “Teaming and Failover Policy”",
    reads=(
        "HostVirtualSwitch.networkAdapters",
        "HostVirtualSwitch.activeNics",
        "HostVirtualSwitch.standbyNics",
        "DistributedVirtualSwitch.hosts[].devices",
        "DistributedVirtualSwitch.activeUplinks and .standbyUplinks",
    ),
    subjects=resources(*topology.SWITCHES),
    not_shown="The lab's switches are simulated: a host's uplinks carry nothing.",
)
def two_uplinks(switch: Resource, context: Context) -> Iterator[Finding]:
    """One uplink."""
    needed = context.thresholds.minimum_uplinks
    if switch.type.endswith(":DistributedVirtualSwitch"):
        for index in range(len(switch.items("hosts"))):
            devices = switch.get(f"hosts.{index}.devices", ())
            if len(devices) < needed:
                yield Finding(
                    switch,
                    f"its host number {index + 1} joins with {len(devices)} of {needed} devices",
                    "Add a device to hosts[].devices.",
                )
        uplinks = topology.distributed_uplinks(switch)
        if uplinks and len(uplinks) < needed:
            yield Finding(
                switch, f"{len(uplinks)} uplink is active or standby", "Name two in activeUplinks or standbyUplinks."
            )
        return
    attached = set(switch.items("networkAdapters"))
    used = attached & {*switch.items("activeNics"), *switch.items("standbyNics")}
    if len(attached) < needed:
        yield Finding(switch, f"it has {len(attached)} of {needed} uplinks", "Add an adapter to networkAdapters.")
    elif len(used) < needed:
        yield Finding(
            switch,
            f"{len(used)} of its {len(attached)} uplinks are active or standby",
            "Name the others in activeNics or standbyNics.",
        )


@rule(
    id="NET-02",
    title="Port groups and VMkernel adapters have a second path",
    severity=Severity.HIGH,
    outage="One uplink cuts off what is on that port group: management (the host looks dead), vMotion, or VMs.",
    remedy="Give the port group a second active or standby uplink; for iSCSI, make a second adapter on the other one.",
    why="A port group may override its switch and use fewer uplinks than the switch has. For management and VMs a"
    " second uplink takes over; for iSCSI, where each adapter has one uplink, the second path is a second adapter"
    " (rule STO-02 looks at those).",
    source=f"{_NETWORKING}, “VMkernel Networking Layer”",
    reads=(
        "HostPortGroup.activeNics",
        "HostPortGroup.standbyNics",
        "HostPortGroup.virtualSwitchName",
        "DistributedPortGroup.activeUplinks and .standbyUplinks",
        "Vnic.portgroup and .distributedPortGroup",
    ),
    subjects=resources("HostPortGroup", "DistributedPortGroup"),
    not_shown="The lab's switches are simulated: a host's uplinks carry nothing.",
)
def second_path(group: Resource, context: Context) -> Iterator[Finding]:
    """One uplink, and no other way."""
    stack = context.stack
    if group.type.endswith(":DistributedPortGroup"):
        yield from _second_distributed_path(group, context)
        return
    switch = topology.standard_switch_of(stack, group)
    if switch is None and not group.properties.get("activeNics"):
        return  # the switch is not this program's
    active, standby = topology.uplinks_of(group, switch)
    if len({*active, *standby}) >= context.thresholds.minimum_uplinks:
        return
    host = topology.host_of(stack, group)
    others = (
        [] if host is None else [one for one in topology.adapters_of(stack, host) if _is_elsewhere(one, group, context)]
    )
    if not (stack.referrers(group, "portgroup", "Vnic") and others):
        yield Finding(
            group,
            f"it has {len({*active, *standby})} uplink and no second path",
            "Add an uplink to activeNics or standbyNics.",
        )


def _second_distributed_path(group: Resource, context: Context) -> Iterator[Finding]:
    used = topology.distributed_uplinks(group)
    if not used or len(used) >= context.thresholds.minimum_uplinks:
        return  # it has what its switch has, or enough of its own
    others = context.stack.once(_single_storage_uplinks)
    is_storage = bool(context.stack.referrers(group, "distributedPortGroup", "Vnic"))
    if not (is_storage and any(other != used for other in others)):
        yield Finding(group, "it has 1 uplink and no second path", "Add an uplink to activeUplinks or standbyUplinks.")


def _single_storage_uplinks(stack: Stack) -> frozenset[frozenset[str]]:
    """The uplinks of distributed port groups on which hosts have VMkernel adapters, as bound pairs do: one each."""
    groups = stack.of_type("DistributedPortGroup")
    found = (
        topology.distributed_uplinks(one) for one in groups if stack.referrers(one, "distributedPortGroup", "Vnic")
    )
    return frozenset(uplinks for uplinks in found if len(uplinks) == 1)


def _is_elsewhere(adapter: Resource, group: Resource, context: Context) -> bool:
    """Whether an adapter is on the same switch by another uplink: the other path of a bound pair."""
    other = topology.port_group_of(context.stack, adapter)
    if other is None or other == group:
        return False
    here, there = (topology.standard_switch_of(context.stack, one) for one in (group, other))
    if here is None or here != there:
        return False
    mine, theirs = (topology.uplinks_of(one, here)[0] for one in (group, other))
    return set(mine) != set(theirs)


@rule(
    id="NET-03",
    title="Servers know two time sources, and each other's names without a single name server",
    severity=Severity.MEDIUM,
    outage="Clocks drift apart until certificates and leases fail; or no server finds another when the name server is"
    " away.",
    remedy="Configure two or more time sources, and two name servers or a complete hosts file on every server.",
    why="Leases, certificates and logs rest on clocks that agree. With one source, its failure is noticed only by the"
    " drift; two let a server go on. Names are worse: a single name server takes everything with it that is addressed"
    " by name.",
    source="RFC 8633 (Network Time Protocol Best Current Practices), 3.2",
    reads=("files of VMs: chrony.conf, timesyncd.conf, ntp.conf, /etc/hosts, resolv.conf",),
    subjects=resources("VirtualMachine"),
    mandatory=True,
    not_shown="Containers share the machine's clock, so it can't drift.",
)
def time_and_names(machine: Resource, context: Context) -> Iterator[Finding]:
    """One source of time, or of names."""
    files = guests.files_of(context.stack, machine)
    needed = context.thresholds.minimum_time_sources
    for path, text in files.contents.items():
        if re.search(r"(chrony|ntp)\S*\.(conf|sources)$|ntp\.conf$", path):
            sources = set(_TIME.findall(text))
            pools = re.search(r"^\s*pool\s", text, re.MULTILINE)
            if sources and not pools and len(sources) < needed:
                yield Finding(
                    files.source(path), f"{path} of {machine.label} names {len(sources)} of {needed} time sources"
                )
        elif path.endswith("timesyncd.conf"):
            sources = {name for line in _SERVERS_LINE.findall(text) for name in line.split()}
            if sources and len(sources) < needed:
                yield Finding(
                    files.source(path), f"{path} of {machine.label} names {len(sources)} of {needed} time sources"
                )
        elif (
            path.endswith("resolv.conf")
            and len(set(_RESOLVERS.findall(text))) == 1
            and not _knows_all(machine, context)
        ):
            yield Finding(
                files.source(path),
                f"{path} of {machine.label} names one name server, and its hosts file is not complete",
            )
    if any(path == "/etc/hosts" for path in files.contents) and not _knows_all(machine, context):
        yield Finding(
            files.source("/etc/hosts"),
            f"/etc/hosts of {machine.label} does not name every server",
            "Write all servers into the hosts file of each.",
        )
    has_files = guests.has_files(context.stack, machine)
    if has_files and not _is_told_names(machine, files) and context.stack.once(_has_hosts_files):
        yield Finding(
            machine,
            f"{machine.label} has no hosts file, unlike other servers, and no two name servers",
            "Write all servers into the hosts file of each.",
        )


def _has_hosts_files(stack: Stack) -> bool:
    """Whether the program writes hosts files at all."""
    return any("/etc/hosts" in guests.files_of(stack, one).contents for one in stack.of_type("VirtualMachine"))


def _is_told_names(machine: Resource, files: guests.GuestFiles) -> bool:
    """Whether the program, as far as it shows, says how the server finds others by name."""
    if "/etc/hosts" in files.contents or not files.complete:
        return True
    metadata = guests.guestinfo(machine, "metadata") or ""
    customized = machine.get("clone.customize.dnsServerLists", ()) if "clone" in machine.properties else ()
    resolvers = {name for path, text in files.contents.items() if "resolv" in path for name in _RESOLVERS.findall(text)}
    return len(resolvers) > 1 or len(customized) > 1 or "nameservers" in metadata


def _knows_all(machine: Resource, context: Context) -> bool:
    text = guests.files_of(context.stack, machine).contents.get("/etc/hosts", "")
    return context.stack.once(_names) <= _words(text)


def _names(stack: Stack) -> frozenset[str]:
    """The names of the servers that the program sets up."""
    machines = (one for one in stack.of_type("VirtualMachine") if guests.has_files(stack, one))
    return frozenset(name for one in machines if isinstance(name := one.properties.get("name"), str))


@lru_cache(maxsize=1024)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@rule(
    id="NET-04",
    title="Frames are of one size along a storage path",
    severity=Severity.MEDIUM,
    outage="Small requests pass and large ones vanish: datastores mount, and hang under load.",
    remedy="Set the same mtu on the VMkernel adapter and its switch (and on the physical switch and the array).",
    why="An adapter that sends larger frames than its switch carries has them dropped without a word. The log-in"
    " works, since it is small; the first full block doesn't.",
    source="VMware, vSphere Storage, “Using Jumbo Frames with iSCSI”",
    reads=("Vnic.mtu", "HostVirtualSwitch.mtu"),
    subjects=resources("Vnic"),
    not_shown="The lab's storage network has one frame size.",
)
def same_frame_size(adapter: Resource, context: Context) -> Iterator[Finding]:
    """An adapter with larger frames than its switch."""
    group = topology.port_group_of(context.stack, adapter)
    switch = topology.standard_switch_of(context.stack, group) if group else None
    if switch is None:
        return
    sent, carried = int(adapter.get("mtu", 1500)), int(switch.get("mtu", 1500))
    if sent > carried:
        yield Finding(
            adapter,
            f"it sends frames of {sent} bytes over switch {switch.label}, which carries {carried}",
            f"Set mtu: {sent} on the switch, or {carried} here.",
        )
