"""The ESXi hosts as one vSphere HA cluster, with their switches and VMkernel adapters."""

from dataclasses import dataclass

import pulumi
import pulumi_vsphere as vsphere

from blueprint.settings import Settings
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
    """Make one host's switches, port groups and storage VMkernel adapters.

    Port groups say that physical switches are told where a server or adapter is after an uplink's loss or vMotion: left
    open, the provider sends false (2.x, host_network_policy_structure.go), which overrides the virtual switch's true.
    """
    switch, vmotion = settings.switches.guests, settings.networks.vmotion
    largest = max(settings.networks.guests.mtu, vmotion.mtu if vmotion else 0)
    guests = _switch(f"{name}-guests", switch.name, switch.uplinks, host_id, child, mtu=largest)
    guest_port_group = vsphere.HostPortGroup(
        f"{name}-guests",
        name=settings.networks.guests.port_group,
        host_system_id=host_id,
        virtual_switch_name=guests.name,
        vlan_id=settings.networks.guests.vlan,
        notify_switches=True,
        opts=child,
    )
    uplinks = settings.switches.storage.uplinks
    mtu = max(network.mtu for network in settings.networks.storage.values())
    storage = _switch(f"{name}-storage", settings.switches.storage.name, uplinks, host_id, child, mtu=mtu)
    adapters: list[pulumi.Resource] = []
    for position, (path, network) in enumerate(settings.networks.storage.items()):
        # One active uplink per path: multipathing chooses between them, not teaming (docs/decisions, 61).
        port_group = vsphere.HostPortGroup(
            f"{name}-storage-{path}",
            name=storage_port_group(path),
            host_system_id=host_id,
            virtual_switch_name=storage.name,
            vlan_id=network.vlan,
            active_nics=[uplinks[position % len(uplinks)]],
            standby_nics=[],
            teaming_policy="failover_explicit",
            notify_switches=True,
            opts=child,
        )
        # One after the other: the host numbers VMkernel adapters in the order in which they are made.
        adapter = vsphere.Vnic(
            f"{name}-storage-{path}",
            host=host_id,
            portgroup=port_group.name,
            mtu=network.mtu,
            ipv4=vsphere.VnicIpv4Args(
                ip=str(settings.hosts[host].storage[path]), netmask=str(network.cidr.netmask), dhcp=False
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[port_group, *adapters[-1:]])),
        )
        adapters.append(adapter)
    if vmotion:
        port_group = vsphere.HostPortGroup(
            f"{name}-vmotion",
            name=VMOTION_PORT_GROUP,
            host_system_id=host_id,
            virtual_switch_name=guests.name,
            vlan_id=vmotion.vlan,
            notify_switches=True,
            opts=child,
        )
        adapters.append(
            vsphere.Vnic(
                f"{name}-vmotion",
                host=host_id,
                portgroup=port_group.name,
                mtu=vmotion.mtu,
                services=["vmotion"],
                ipv4=vsphere.VnicIpv4Args(
                    ip=str(settings.hosts[host].vmotion), netmask=str(vmotion.cidr.netmask), dhcp=False
                ),
                opts=pulumi.ResourceOptions.merge(
                    child, pulumi.ResourceOptions(depends_on=[port_group, *adapters[-1:]])
                ),
            )
        )
    return [guest_port_group, *adapters]


def _switch(
    name: str,
    switch: str,
    uplinks: tuple[str, ...],
    host_id: pulumi.Input[str],
    child: pulumi.ResourceOptions,
    *,
    mtu: int = 1500,
) -> vsphere.HostVirtualSwitch:
    return vsphere.HostVirtualSwitch(
        name,
        name=switch,
        host_system_id=host_id,
        network_adapters=list(uplinks),
        active_nics=list(uplinks),
        standby_nics=[],
        teaming_policy="loadbalance_srcid",
        mtu=mtu,
        opts=child,
    )
