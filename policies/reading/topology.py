"""The physical side of a site: clusters, hosts, their switches and VMkernel adapters, datastores."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface

from policies.judging.resource import UNKNOWN, Resource, UndecidedError
from policies.judging.stack import Stack

DATASTORES = ("VmfsDatastore", "NasDatastore")
SWITCHES = ("HostVirtualSwitch", "DistributedVirtualSwitch")


def hosts_of(stack: Stack, cluster: Resource) -> list[Resource]:
    """The hosts of a cluster that the stack shows, whichever side owns the membership."""
    members = stack.referrers(cluster, "cluster", "Host") + stack.referred(cluster, "hostSystemIds")
    return list({host.urn: host for host in members if host.type.endswith(":Host")}.values())


def number_of_hosts(stack: Stack, cluster: Resource) -> int | None:
    """How many hosts a cluster has; None if it lists none and none is shown: somebody else adds them.

    Raises:
        UndecidedError: The cluster's list isn't known yet.
    """
    shown = hosts_of(stack, cluster)
    listed = cluster.properties.get("hostSystemIds")
    if listed is UNKNOWN and not shown:
        raise UndecidedError(cluster.label, "hostSystemIds")
    foreign = len(listed) if isinstance(listed, list) else 0
    return max(len(shown), foreign) or None


def cluster_of(stack: Stack, machine: Resource) -> Resource | None:
    """The cluster in whose resource pool a VM is; None if it is another's, or the program doesn't show it."""
    owner = owner_of_pool(stack, machine)
    return owner if owner and owner.type.endswith(":ComputeCluster") else None


def owner_of_pool(stack: Stack, machine: Resource) -> Resource | None:
    """The cluster, or else the single host, in whose resource pool a VM is; None if the program doesn't show it."""
    reached, host = stack.referred(machine, "resourcePoolId"), None
    while reached:
        found = reached.pop()
        if found.type.endswith(":ComputeCluster"):
            return found
        host = found if found.type.endswith(":Host") else host
        reached += stack.referred(found, "parentResourcePoolId")
    return host


def cluster_of_host(stack: Stack, host: Resource) -> Resource | None:
    """The cluster that a host is a member of, if the stack shows it."""
    return stack.once(_clusters_by_host).get(host.urn)


def _clusters_by_host(stack: Stack) -> dict[str, Resource]:
    return {host.urn: cluster for cluster in stack.of_type("ComputeCluster") for host in hosts_of(stack, cluster)}


def machines_of(stack: Stack, cluster: Resource) -> list[Resource]:
    """The VMs of a cluster."""
    return stack.once(_machines_by_cluster).get(cluster.urn, [])


def _machines_by_cluster(stack: Stack) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for machine in stack.of_type("VirtualMachine"):
        if cluster := cluster_of(stack, machine):
            found.setdefault(cluster.urn, []).append(machine)
    return found


def host_of(stack: Stack, resource: Resource) -> Resource | None:
    """The host that a switch, a port group, a VMkernel adapter, a VM or a command belongs to, if the stack shows it."""
    for key in ("hostSystemId", "host", "triggers", "connection"):
        for found in stack.referred(resource, key):
            if found.type.endswith(":Host"):
                return found
    connection = resource.properties.get("connection")
    named = connection.get("host") if isinstance(connection, dict) else None
    return stack.once(_hosts_by_name).get(named) if isinstance(named, str) else None


def _hosts_by_name(stack: Stack) -> dict[str, Resource]:
    return {name: host for host in stack.of_type("Host") if isinstance(name := host.properties.get("hostname"), str)}


def standard_switch_of(stack: Stack, port_group: Resource) -> Resource | None:
    """The standard switch of a host's port group."""
    named = stack.referred(port_group, "virtualSwitchName")
    if named:
        return named[0]
    return _named_on(stack.once(_switches_by_host), host_of(stack, port_group), port_group.get("virtualSwitchName"))


def uplinks_of(port_group: Resource, switch: Resource | None) -> tuple[list[str], list[str]]:
    """Active and standby uplinks of a port group: its own, or else its switch's.

    The provider reads a port group that inherits its switch's order as one with empty lists.

    Raises:
        UndecidedError: They aren't known yet.
    """
    active, standby = (port_group.properties.get(key) for key in ("activeNics", "standbyNics"))
    if not active and not standby and switch is not None:
        return switch.items("activeNics"), switch.items("standbyNics")
    return port_group.items("activeNics"), port_group.items("standbyNics")


def distributed_uplinks(subject: Resource) -> frozenset[str]:
    """Uplinks that a distributed switch or port group uses of its own accord; empty where it leaves that to others.

    Providers show what a program leaves out as unknown until the update: that, too, is left to others.
    """
    named = [subject.properties.get(key) for key in ("activeUplinks", "standbyUplinks")]
    return frozenset(one for found in named if isinstance(found, list) for one in found if isinstance(one, str))


def port_group_of(stack: Stack, adapter: Resource) -> Resource | None:
    """The standard port group of a VMkernel adapter."""
    referred = [one for one in stack.referred(adapter, "portgroup") if one.type.endswith(":HostPortGroup")]
    if referred:
        return referred[0]
    return _named_on(stack.once(_port_groups_by_host), host_of(stack, adapter), adapter.get("portgroup"))


def _named_on(by_host: Mapping[str, Sequence[Resource]], host: Resource | None, name: str | None) -> Resource | None:
    """What has this name on a host: a program may name it, rather than refer to it."""
    return next((one for one in by_host.get(host.urn if host else "", ()) if one.get("name") == name), None)


def _switches_by_host(stack: Stack) -> dict[str, list[Resource]]:
    return _by_host(stack, "HostVirtualSwitch")


def _port_groups_by_host(stack: Stack) -> dict[str, list[Resource]]:
    return _by_host(stack, "HostPortGroup")


def _by_host(stack: Stack, type_: str) -> dict[str, list[Resource]]:
    """By the host's URN; "" where it isn't shown."""
    found: dict[str, list[Resource]] = {}
    for one in stack.of_type(type_):
        host = host_of(stack, one)
        found.setdefault(host.urn if host else "", []).append(one)
    return found


def address_of(adapter: Resource) -> IPv4Interface | IPv6Interface | None:
    """The fixed address of a VMkernel adapter, with its network; None with DHCP.

    Raises:
        UndecidedError: It isn't known yet.
    """
    address, mask = adapter.get("ipv4.ip"), adapter.get("ipv4.netmask")
    return ip_interface(f"{address}/{mask}") if address and mask else None


def networks(stack: Stack) -> frozenset[IPv4Network | IPv6Network]:
    """The networks in which hosts have VMkernel adapters.

    Raises:
        UndecidedError: An adapter's address isn't known yet.
    """
    return frozenset(address.network for one in stack.of_type("Vnic") if (address := address_of(one)))


def adapters_of(stack: Stack, host: Resource) -> Sequence[Resource]:
    """The VMkernel adapters of a host."""
    return stack.referrers(host, "host", "Vnic")


def clusters_on(stack: Stack, datastore: Resource) -> list[Resource]:
    """The clusters whose hosts or VMs use a datastore; every cluster if nothing tells."""
    return stack.once(_clusters_by_datastore)[datastore.urn] or stack.of_type("ComputeCluster")


def _clusters_by_datastore(stack: Stack) -> dict[str, list[Resource]]:
    found = {}
    for datastore in stack.of_type(*DATASTORES):
        hosts = stack.referred(datastore, "hostSystemIds") + stack.referred(datastore, "hostSystemId")
        machines = stack.referrers(datastore, "datastoreId", "VirtualMachine")
        using = [cluster_of_host(stack, host) for host in hosts] + [cluster_of(stack, one) for one in machines]
        found[datastore.urn] = list({cluster.urn: cluster for cluster in using if cluster}.values())
    return found


def datastores_of(stack: Stack, cluster: Resource) -> list[Resource]:
    """The datastores that the stack makes for a cluster."""
    return stack.once(_datastores_by_cluster).get(cluster.urn, [])


def _datastores_by_cluster(stack: Stack) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for datastore in stack.of_type(*DATASTORES):
        for cluster in clusters_on(stack, datastore):
            found.setdefault(cluster.urn, []).append(datastore)
    return found
