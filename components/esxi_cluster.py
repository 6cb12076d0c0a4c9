"""The ESXi hosts as one vSphere HA cluster, with their switches and VMkernel adapters."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pulumi
import pulumi_vsphere as vsphere

from blueprint.settings import Network, Settings, Switch
from blueprint.terms import VMOTION_PORT_GROUP, storage_port_group


@dataclass(frozen=True)
class EsxiClusterArgs:
    """What a cluster is made of."""

    settings: Settings
    esxi_password: pulumi.Input[str]


class EsxiCluster(pulumi.ComponentResource):
    """Three or more ESXi hosts under vSphere HA; each with redundant switches for guests and for storage.

    Hosts own their cluster membership (`host_managed`): with both sides owning it, or neither, hosts flip in and out.
    """

    datacenter: vsphere.Datacenter
    cluster: vsphere.ComputeCluster
    hosts: dict[str, vsphere.Host]
    networking: dict[str, list[pulumi.Resource]]
    """Per host, everything that must exist before the host can reach the arrays or run a server."""

    def __init__(self, name: str, args: EsxiClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:EsxiCluster", name, {}, opts)
        settings = args.settings
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=settings.protect)
        self.datacenter = vsphere.Datacenter(f"{name}-datacenter", name=settings.vcenter.datacenter, opts=kept)
        self.cluster = vsphere.ComputeCluster(
            f"{name}-cluster", _high_availability(settings, self.datacenter), opts=kept
        )
        self.hosts = {}
        self.networking = {}
        for host, described in settings.hosts.items():
            # One after the other: releases of the provider that share a property collector hang on several at once.
            previous = list(self.hosts.values())[-1:]
            # `services` is optional there and not computed, yet read back (resource_vsphere_host.go): every run would
            # see a change, and the provider's own acceptance tests ignore it, too. Perenne sets none by it.
            joined = pulumi.ResourceOptions(depends_on=previous, ignore_changes=["services"])
            self.hosts[host] = vsphere.Host(
                f"{name}-{host}",
                hostname=settings.fqdn(host),
                username="root",
                password=args.esxi_password,
                thumbprint=described.thumbprint or None,
                cluster=self.cluster.id,
                opts=pulumi.ResourceOptions.merge(kept, joined),
            )
            self.networking[host] = _networking(f"{name}-{host}", settings, host, self.hosts[host].id, child)
        self.register_outputs(
            {
                "cluster": self.cluster.id,
                "hosts": {host: made.id for host, made in self.hosts.items()},
                # vSphere's resources don't show it; the policy pack judges by it whether a host's loss leaves room.
                "capacity": {
                    settings.fqdn(host): {"cpus": described.cpus, "memory_gib": described.memory_gib}
                    for host, described in settings.hosts.items()
                },
            }
        )


def _high_availability(settings: Settings, datacenter: vsphere.Datacenter) -> vsphere.ComputeClusterArgs:
    """Describe the cluster; names and values are those of the vSphere API (vSphere Availability, "vSphere HA")."""
    share = 100 * settings.cluster.host_failures_to_tolerate // len(settings.hosts) + 1
    return vsphere.ComputeClusterArgs(
        name=settings.cluster.name,
        datacenter_id=datacenter.moid,
        host_managed=True,
        drs_enabled=settings.vcenter.edition.has_drs,
        drs_automation_level="fullyAutomated" if settings.vcenter.edition.has_drs else None,
        ha_enabled=True,
        ha_host_monitoring="enabled",
        ha_host_isolation_response=settings.cluster.isolation_response,
        ha_admission_control_policy="resourcePercentage",
        ha_admission_control_host_failure_tolerance=settings.cluster.host_failures_to_tolerate,
        ha_admission_control_resource_percentage_auto_compute=False,
        ha_admission_control_resource_percentage_cpu=share,
        ha_admission_control_resource_percentage_memory=share,
        ha_vm_restart_priority="medium",
        ha_vm_monitoring="vmMonitoringOnly",
        ha_vm_failure_interval=settings.cluster.vm_failure_seconds,
        ha_vm_minimum_uptime=settings.cluster.vm_minimum_uptime_seconds,
        ha_vm_component_protection="enabled",
        ha_datastore_pdl_response=settings.cluster.pdl_response,
        ha_datastore_apd_response=settings.cluster.apd_response,
        ha_datastore_apd_response_delay=settings.cluster.apd_delay_seconds,
        ha_heartbeat_datastore_policy="allFeasibleDsWithUserPreference",
        ha_advanced_options={"das.respectVmVmAntiAffinityRules": "true"} if settings.vcenter.edition.has_drs else None,
    )


def _networking(
    name: str, settings: Settings, host: str, host_id: pulumi.Input[str], child: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Make one host's switches, port groups and VMkernel adapters; returns the latter two."""
    made, networks = _HostNetworking(name, host_id, child), settings.networks
    largest = max(networks.guests.mtu, networks.vmotion.mtu if networks.vmotion else 0)
    guests = made.switch("guests", settings.switches.guests, largest)
    guest_port_group = made.port_group("guests", networks.guests.port_group, guests, networks.guests)
    uplinks = settings.switches.storage.uplinks
    largest = max(network.mtu for network in networks.storage.values())
    storage = made.switch("storage", settings.switches.storage, largest)
    for position, (path, network) in enumerate(networks.storage.items()):
        # One active uplink per path: multipathing chooses between them, not teaming (docs/decisions, 61).
        uplink = uplinks[position % len(uplinks)]
        port_group = made.port_group(f"storage-{path}", storage_port_group(path), storage, network, only=uplink)
        made.adapter(f"storage-{path}", port_group, network, settings.hosts[host].storage[path])
    if networks.vmotion:
        port_group = made.port_group("vmotion", VMOTION_PORT_GROUP, guests, networks.vmotion)
        made.adapter("vmotion", port_group, networks.vmotion, settings.hosts[host].vmotion, ["vmotion"])
    return [guest_port_group, *made.adapters]


@dataclass
class _HostNetworking:
    """Makes switches, port groups and VMkernel adapters on one host."""

    name: str
    """How the names of all of them begin."""
    host_id: pulumi.Input[str]
    child: pulumi.ResourceOptions
    adapters: list[pulumi.Resource] = field(default_factory=list)
    """The VMkernel adapters so far."""

    def switch(self, part: str, described: Switch, mtu: int) -> vsphere.HostVirtualSwitch:
        """A standard switch that uses all of its uplinks."""
        return vsphere.HostVirtualSwitch(
            f"{self.name}-{part}",
            name=described.name,
            host_system_id=self.host_id,
            network_adapters=list(described.uplinks),
            active_nics=list(described.uplinks),
            standby_nics=[],
            teaming_policy="loadbalance_srcid",
            mtu=mtu,
            opts=self.child,
        )

    def port_group(
        self, part: str, name: str, switch: vsphere.HostVirtualSwitch, network: Network, only: str | None = None
    ) -> vsphere.HostPortGroup:
        """A port group that uses its switch's uplinks as that does, or one `only`.

        It says that physical switches are told where a server or adapter is after an uplink's loss or vMotion: left
        open, the provider sends false (2.x, host_network_policy_structure.go), which overrides the virtual switch's
        true.
        """
        return vsphere.HostPortGroup(
            f"{self.name}-{part}",
            name=name,
            host_system_id=self.host_id,
            virtual_switch_name=switch.name,
            vlan_id=network.vlan,
            active_nics=[only] if only else None,
            standby_nics=[] if only else None,
            teaming_policy="failover_explicit" if only else None,
            notify_switches=True,
            opts=self.child,
        )

    def adapter(
        self,
        part: str,
        port_group: vsphere.HostPortGroup,
        network: Network,
        address: IPv4Address | None,
        services: list[str] | None = None,
    ) -> None:
        """A VMkernel adapter, after the one before it: the host numbers them in the order in which they are made."""
        after = pulumi.ResourceOptions(depends_on=[port_group, *self.adapters[-1:]])
        adapter = vsphere.Vnic(
            f"{self.name}-{part}",
            host=self.host_id,
            portgroup=port_group.name,
            mtu=network.mtu,
            services=services,
            ipv4=vsphere.VnicIpv4Args(ip=str(address), netmask=str(network.cidr.netmask), dhcp=False),
            opts=pulumi.ResourceOptions.merge(self.child, after),
        )
        self.adapters.append(adapter)
