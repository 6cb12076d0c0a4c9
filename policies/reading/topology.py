"""The physical side of a site: clusters, hosts, their switches and VMkernel adapters, datastores."""

from collections.abc import Sequence
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
    """The cluster in whose resource pool a VM is."""
    seen = stack.referred(machine, "resourcePoolId")
    while seen:
        found = seen.pop()
        if found.type.endswith(":ComputeCluster"):
            return found
        seen += stack.referred(found, "parentResourcePoolId")
    return None


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
    for key in ("hostSystemId", "host", "triggers"):
        for found in stack.referred(resource, key):
            if found.type.endswith(":Host"):
                return found
    return None


def standard_switch_of(stack: Stack, port_group: Resource) -> Resource | None:
    """The standard switch of a host's port group."""
    named = stack.referred(port_group, "virtualSwitchName")
    if named:
        return named[0]
    host = host_of(stack, port_group)
    name = port_group.get("virtualSwitchName")
    switches = stack.of_type("HostVirtualSwitch")
    return next((one for one in switches if one.get("name") == name and host_of(stack, one) == host), None)


def uplinks_of(port_group: Resource, switch: Resource | None) -> tuple[list[str], list[str]]:
    """Active and standby uplinks of a port group: its own, or else its switch's.

    Raises:
        UndecidedError: They aren't known yet.
    """
    active, standby = (port_group.properties.get(key) for key in ("activeNics", "standbyNics"))
    if active is None and standby is None and switch is not None:
        return switch.items("activeNics"), switch.items("standbyNics")
    return port_group.items("activeNics"), port_group.items("standbyNics")


def port_group_of(stack: Stack, adapter: Resource) -> Resource | None:
    """The standard port group of a VMkernel adapter."""
    referred = [one for one in stack.referred(adapter, "portgroup") if one.type.endswith(":HostPortGroup")]
    if referred:
        return referred[0]
    name, host = adapter.get("portgroup"), host_of(stack, adapter)
    groups = stack.of_type("HostPortGroup")
    return next((one for one in groups if one.get("name") == name and host_of(stack, one) == host), None)


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


def datastores(stack: Stack) -> list[Resource]:
    """Every datastore that the stack makes."""
    return stack.of_type(*DATASTORES)
