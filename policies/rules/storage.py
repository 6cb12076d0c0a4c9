"""Rules about shared storage: paths, portals, datastores."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from policies.judging.resource import UNKNOWN, Resource, UndecidedError
from policies.judging.rule import Context, Finding, Severity, resources, rule
from policies.judging.stack import Stack
from policies.reading import homes, iscsi, tiers, topology
from policies.reading.iscsi import Initiator
from policies.reading.tiers import Kind, Tier

Network = IPv4Network | IPv6Network

_ISCSI = "VMware, vSphere Storage, “Configuring iSCSI and iSER Adapters and Storage”"
_ACTIVE_POLICIES = {"VMW_PSP_RR", "HPP", "VMW_HPP"}


def _initiators(context: Context) -> list[Initiator]:
    return iscsi.initiators(context.stack)


@rule(
    id="STO-01",
    title="Every array has two portals, on two networks",
    severity=Severity.HIGH,
    outage="One cable, one switch or one port of the array takes the storage away from every host at once.",
    remedy="Give the array a portal on a second storage network, and every host a path to it.",
    why="A host reaches an array through portals. With a single one, or with both on one subnet and so usually on one"
    " switch, whatever stands between is a single point of failure for all servers at the same time: vSphere HA can't"
    " help, since no host sees the disks any more.",
    source=_ISCSI,
    reads=("remote.Command.create (esxcli iscsi … statictarget, sendtarget)", "Vnic.ipv4"),
    subjects=_initiators,
    drill="cut-one-path",
)
def two_portals(initiator: Initiator, context: Context) -> Iterator[Finding]:
    """One portal, or one network."""
    needed = context.thresholds.minimum_portals
    for array, portals in initiator.portals.items():
        named = f"array {array}" if array else "the array"
        if len(portals) < needed:
            yield Finding(initiator.command, f"{named} is reached through {len(portals)} of {needed} portals")
        elif len(_networks(portals, context)) < needed:
            yield Finding(
                initiator.command,
                f"all portals of {named} are on one subnet",
                "Move one portal to the second storage network.",
            )
    if not initiator.portals:
        yield Finding(initiator.command, "it names no portal")


def _networks(portals: Sequence[str], context: Context) -> set[str]:
    """The subnets of the portals: those of the VMkernel adapters that reach them, or else /24 ones."""
    known = context.stack.once(topology.networks)
    found = set()
    for portal in portals:
        network = next((str(one) for one in known if ip_address(portal) in one), None)
        found.add(network or portal.rpartition(".")[0])
    return found


@rule(
    id="STO-02",
    title="Every host reaches every array from two VMkernel adapters, each on an uplink of its own",
    severity=Severity.HIGH,
    outage="A network card or its cable takes the storage away from the host, and every VM on it hangs.",
    remedy="Give the host a VMkernel adapter in each storage network, in port groups with one active uplink each,"
    " different ones.",
    why="Where each path has a subnet of its own, the host reaches each portal from the adapter in that subnet,"
    " and none is bound to the iSCSI adapter: a bound one would try every portal, also those that it can't reach."
    " Adapters that share a subnet are bound, both of them: without, one is used for all, and a single bound one is the"
    " only one that is used.\n\nA path follows the one active uplink of its adapter's port group. Two adapters on the"
    " same uplink are one path with two names; with teaming, both may be on one uplink at the moment when it fails.",
    source=f"{_ISCSI}, “Best Practices for Configuring Networking with Software iSCSI”; VMware KB 2038869",
    reads=(
        "remote.Command.create (esxcli iscsi networkportal)",
        "Vnic.ipv4",
        "Vnic.portgroup",
        "HostPortGroup.activeNics",
        "HostPortGroup.standbyNics",
    ),
    subjects=_initiators,
    drill="cut-one-path",
)
def two_adapters(initiator: Initiator, context: Context) -> Iterator[Finding]:
    """One adapter, or one uplink."""
    command = initiator.command
    if initiator.bound == 1:
        yield Finding(
            command,
            "one VMkernel adapter is bound to the iSCSI adapter, and no other is used",
            "Bind none where each path has a subnet of its own; where they share one, bind both.",
        )
        return
    host = topology.host_of(context.stack, command)
    known = context.stack.once(topology.networks)
    if host is None or not any(ip_address(one) in network for one in _all_portals(initiator) for network in known):
        if initiator.bound:
            return
        raise UndecidedError(command.label, "from which VMkernel adapters its host reaches the portals")
    adapters = _towards(initiator, host, context)
    for array, portals in initiator.portals.items():
        beside = [network for _, network in adapters if any(ip_address(portal) in network for portal in portals)]
        paths = len(beside) if initiator.bound else len(set(beside))
        if paths < 2:  # noqa: PLR2004 (a path and its spare)
            named = f"array {array}" if array else "the array"
            yield Finding(command, f"{host.label} reaches {named} from {paths} of 2 VMkernel adapters")
    yield from _uplinks(host, initiator, adapters, context)


def _all_portals(initiator: Initiator) -> list[str]:
    return [portal for found in initiator.portals.values() for portal in found]


def _towards(initiator: Initiator, host: Resource, context: Context) -> list[tuple[Resource, Network]]:
    """The host's VMkernel adapters in the networks of the portals, with these networks."""
    portals = [ip_address(portal) for portal in _all_portals(initiator)]
    return [
        (adapter, address.network)
        for adapter in topology.adapters_of(context.stack, host)
        if (address := topology.address_of(adapter)) and any(portal in address.network for portal in portals)
    ]


def _uplinks(
    host: Resource, initiator: Initiator, adapters: Sequence[tuple[Resource, Network]], context: Context
) -> Iterator[Finding]:
    """Paths that are none: port groups with several uplinks, and an array that is reached by one uplink only."""
    paths: list[tuple[Network, str, Resource]] = []
    for adapter, network in adapters:
        group = topology.port_group_of(context.stack, adapter)
        if group is None:
            continue
        active, standby = topology.uplinks_of(group, topology.standard_switch_of(context.stack, group))
        if len(active) == 1 and not standby:
            paths.append((network, active[0], group))
            continue
        yield Finding(
            group,
            "a port group for iSCSI needs exactly one active uplink and no standby",
            "Set activeNics to one uplink and standbyNics: [].",
        )
    told: list[Resource] = []
    for portals in initiator.portals.values():
        beside = [path for path in paths if any(ip_address(portal) in path[0] for portal in portals)]
        if len(beside) > 1 and len({uplink for _, uplink, _ in beside}) == 1 and beside[-1][2] not in told:
            _, uplink, group = beside[-1]
            told.append(group)
            label = f"all storage paths of {host.label} are on uplink {uplink}"
            yield Finding(group, label, "Give this port group another uplink.")


@rule(
    id="STO-03",
    title="Every host of the cluster sees every datastore",
    severity=Severity.HIGH,
    outage="A VM can only restart where its datastore is seen: on the other hosts vSphere HA leaves it down.",
    remedy="Log every host in to the array, and rescan on all of them after the datastore is made.",
    why="A VMFS datastore is made through one host; another host sees it once it is logged in to the array with that"
    " LUN mapped, and has rescanned. An NFS datastore is mounted host by host.",
    source="VMware, vSphere Storage, “Rescan Operations”; pulumi-vsphere, VmfsDatastore",
    reads=("VmfsDatastore.hostSystemId", "VmfsDatastore.disks", "NasDatastore.hostSystemIds", "remote.Command.create"),
    subjects=resources(*topology.DATASTORES),
    drill="lose-worst-host",
)
def seen_by_every_host(datastore: Resource, context: Context) -> Iterator[Finding]:
    """A host without the datastore."""
    stack = context.stack
    clusters = topology.clusters_on(stack, datastore)
    hosts = {host.urn: host for cluster in clusters for host in topology.hosts_of(stack, cluster)}
    if datastore.type.endswith(":NasDatastore"):
        mounted = {host.urn for host in stack.referred(datastore, "hostSystemIds")}
        for urn, host in hosts.items():
            if urn not in mounted:
                yield Finding(datastore, f"host {host.label} does not mount it", "Add the host to hostSystemIds.")
        return
    disks = [str(disk) for disk in datastore.items("disks")]
    prepared = {
        prepares.urn: one for one in iscsi.initiators(stack) if (prepares := topology.host_of(stack, one.command))
    }
    if not prepared:
        return  # disks that come by other ways (Fibre Channel) are the hosts' own affair
    rescanned = stack.once(_rescanning)
    makers = {host.urn for host in stack.referred(datastore, "hostSystemId")}
    for urn, host in hosts.items():
        initiator = prepared.get(urn)
        if initiator is None:
            yield Finding(datastore, f"host {host.label} is logged in to no array", "Set up iSCSI on that host.")
        elif initiator.devices and not set(disks) <= initiator.devices:
            yield Finding(
                datastore, f"host {host.label} does not look for its LUN", "Add the LUN to the host's script."
            )
        elif urn not in makers and (datastore.urn, urn) not in rescanned:
            yield Finding(
                datastore,
                f"host {host.label} does not rescan after it is made",
                "Run esxcli storage core adapter rescan on that host, after the datastore.",
            )


def _rescanning(stack: Stack) -> frozenset[tuple[str, str]]:
    """Which hosts rescan after which datastore: pairs of URNs."""
    found: set[tuple[str, str]] = set()
    for command in stack.of_type(*iscsi.COMMANDS):
        script = command.properties.get("create")
        if isinstance(script, str) and "rescan" in script and (host := topology.host_of(stack, command)):
            found.update((urn, host.urn) for urn in command.dependencies)
    return frozenset(found)


@rule(
    id="STO-04",
    title="All paths to a LUN are used",
    severity=Severity.MEDIUM,
    outage="A lost path is noticed only by the pause until the host has changed over; half of the bandwidth lies idle.",
    remedy="Set the device's path selection policy to round-robin: esxcli storage nmp device set --psp=VMW_PSP_RR.",
    why="With “most recently used” or “fixed” a host sends everything down one path and learns that it is dead from"
    " time-outs. Round-robin uses all paths all the time, so a dead one costs a retry, and a path that never worked"
    " is found on the first day rather than on the worst.",
    source="VMware, vSphere Storage, “Path Selection Plug-Ins and Policies”",
    reads=("remote.Command.create (esxcli storage nmp device set)", "VmfsDatastore.disks"),
    subjects=_initiators,
    drill="cut-one-path",
)
def active_multipath(initiator: Initiator, context: Context) -> Iterator[Finding]:
    """A device with another policy, or none."""
    for device in sorted(
        {str(disk) for store in _stores_for(initiator, context.stack) for disk in store.items("disks")}
    ):
        policy = initiator.policies.get(device, initiator.default_policy)
        if policy is None:
            yield Finding(initiator.command, f"it sets no path selection policy for {device}")
        elif policy not in _ACTIVE_POLICIES:
            yield Finding(initiator.command, f"{device} has the path selection policy {policy}")


def _stores_for(initiator: Initiator, stack: Stack) -> list[Resource]:
    """The VMFS datastores that an initiator's host must reach: its cluster's."""
    host = topology.host_of(stack, initiator.command)
    cluster = topology.cluster_of_host(stack, host) if host else None
    found = topology.datastores_of(stack, cluster) if cluster else stack.of_type("VmfsDatastore")
    return [store for store in found if store.type.endswith(":VmfsDatastore")]


@rule(
    id="STO-05",
    title="Hosts and arrays prove who they are to each other, with different secrets",
    severity=Severity.LOW,
    outage="Whoever reaches the storage network can read and overwrite every disk of the company.",
    remedy="Use CHAP in both directions (--direction=uni and --direction=mutual), with a secret for each.",
    why="iSCSI has no other protection against a wrong machine on the storage network than CHAP. With one secret for"
    " both directions, an impostor sends a host's own challenge back to it and gets the answer for free (RFC 7143,"
    " 9.2.1).",
    source="RFC 7143, 9.2.1; RFC 3720, 8.2.1",
    reads=("remote.Command.create (esxcli … auth chap set)", "remote.Command.stdin"),
    subjects=_initiators,
    not_shown="No outage; a test shows that the lab's target refuses a wrong secret.",
)
def mutual_chap(initiator: Initiator, _context: Context) -> Iterator[Finding]:
    """A direction without CHAP, or one secret for both."""
    for direction, what in (
        ("uni", "hosts don't prove who they are to the array"),
        ("mutual", "the array doesn't prove who it is to hosts"),
    ):
        if direction not in initiator.chap:
            yield Finding(initiator.command, what, f"Add CHAP with --direction={direction}.")
    if initiator.same_secret:
        yield Finding(
            initiator.command, "an array has the same CHAP secret in both directions", "Choose a second secret."
        )


@rule(
    id="STO-06",
    title="No datastore, and in production no array, has all copies of a database or most votes of a quorum",
    severity=Severity.CRITICAL,
    outage="When it stops, for 30 to 60 s or for good, every copy of the data stops with it, or nobody can be elected.",
    remedy="Put the members on different datastores, in production on different arrays, and a vote without data on a"
    " third array or on the own disk of a host that has no other vote.",
    why="A standby on the primary's datastore is no standby: a full volume, a lost LUN or an array that pauses takes"
    " both. The same goes for the votes of a quorum: while most of them wait for their disk, nobody can be elected."
    "\n\nAn odd number of votes can't be shared out evenly over two arrays: one array gets the majority, and a database"
    " on the other is of no use while it is away. The vote that has no data needs no array. With three arrays,"
    " it is on the third; with two, on a host's own disk.",
    source="Patroni, “FAQ”; etcd, “Hardware recommendations”",
    reads=("VirtualMachine.datastoreId", "VmfsDatastore.disks", "VirtualMachine.localDiskOf (outputs)"),
    subjects=lambda context: [tier for tier in tiers.tiers(context) if tier.is_stateful],
    drill="lose-array",
)
def stateful_apart(tier: Tier, context: Context) -> Iterator[Finding]:
    """All on one datastore or array; most votes on one array."""
    places = [_places(machine, context) for machine in tier.machines]
    if not all(places) or len(tier.machines) < 2:  # noqa: PLR2004
        return
    label = ", ".join(sorted(machine.label for machine in tier.machines))
    stores = set[str]().union(*places)
    if len(stores) == 1:
        yield Finding(tier.machines[0], f"{label} are all on {stores.pop()}", "Set another datastoreId on one of them.")
        return
    if context.thresholds.arrays < 2:  # noqa: PLR2004
        return
    arrays: dict[str, list[Resource]] = {}
    for machine in tier.machines:
        arrays.setdefault(_array(machine, context), []).append(machine)
    if tier.kind is Kind.QUORUM:
        yield from _majorities(tier, arrays)
    elif len(arrays) < min(context.thresholds.arrays, len(tier.machines)):
        change = "Put one on a datastore of another array."
        yield Finding(tier.machines[0], f"{label} are all on {next(iter(arrays))}", change)


def _majorities(tier: Tier, arrays: Mapping[str, Sequence[Resource]]) -> Iterator[Finding]:
    votes = len(tier.machines)
    for array, members in arrays.items():
        if votes > 2 and 2 * (votes - len(members)) <= votes:  # noqa: PLR2004 (PLA-05 judges fewer)
            label = ", ".join(sorted(machine.label for machine in members))
            yield Finding(
                members[0], f"{array} has {len(members)} of {votes} votes, {label}: none is elected without it"
            )


def _places(machine: Resource, context: Context) -> list[str]:
    """The datastore of a VM, or its host's own disk; nothing where the program leaves that to vSphere.

    Raises:
        UndecidedError: It isn't known yet.
    """
    if disk := homes.own_disk(context.stack, machine):
        return [disk]
    if made := homes.datastores_of(context.stack, machine):
        return [f"datastore {made[0].label}"]
    named = machine.get("datastoreId", "")  # of one that was there before
    return [f"datastore {named}"] if named else []


def _array(machine: Resource, context: Context) -> str:
    """What has a VM's disks and may be lost as a whole.

    Raises:
        UndecidedError: Nothing tells.
    """
    if disk := homes.own_disk(context.stack, machine):
        return disk
    made = homes.datastores_of(context.stack, machine)
    found = iscsi.array_of(context.stack, made[0]) if made else None
    if found is None:
        raise UndecidedError(machine.label, "which array its datastore is on")
    return f"array {found}"


@rule(
    id="STO-07",
    title="No template and no VM but a vote lives on a host's own disks",
    severity=Severity.CRITICAL,
    outage="The VM is lost with its host: no other host can reach its disks, so vSphere HA starts it nowhere.",
    remedy="Move it to a shared datastore.",
    why="vSphere HA restarts a VM from its files on shared storage. Files on a local disk, or on a datastore that one"
    " host alone mounts, are gone for as long as the host is.\n\nOne VM may be there: a vote that holds no data, of a"
    " quorum that has a majority on shared storage. It need not start elsewhere, as the other votes are enough"
    " without it; and it is what remains a majority with one of two arrays (STO-06).",
    source="VMware, vSphere Availability, “Requirements for vSphere HA”",
    reads=(
        "VirtualMachine.datastoreId",
        "VirtualMachine.localDiskOf (outputs)",
        "ContentLibrary.storageBackings",
        "getDatastore",
        "NasDatastore.hostSystemIds",
        "files of VMs: etcd",
    ),
    subjects=resources("VirtualMachine", "ContentLibrary"),
    drill="lose-worst-host",
)
def shared_storage(subject: Resource, context: Context) -> Iterator[Finding]:
    """On a datastore that one host alone has."""
    stack = context.stack
    if subject.type.endswith(":ContentLibrary"):
        for store in stack.referred(subject, "storageBackings"):
            if store.type.rpartition(":")[2] in topology.DATASTORES and (alone := homes.host_alone(store)):
                yield Finding(subject, f"it is on {alone}")
        return
    if not stack.referred(subject, "datastoreId"):
        if subject.properties.get("datastoreId") is UNKNOWN:
            raise UndecidedError(subject.label, "datastoreId")
        if not subject.properties.get("datastoreId") and not subject.properties.get("datastoreClusterId"):
            yield Finding(subject, "it names no datastore: vSphere may choose a host's own disk", "Set datastoreId.")
            return
    disk = homes.own_disk(stack, subject)
    if disk and not homes.is_spare_vote(context, subject):
        yield Finding(subject, f"it is on {disk}")
