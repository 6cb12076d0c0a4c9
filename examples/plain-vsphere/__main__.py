"""A web site with its database on a vSphere cluster, as many a program makes one: balancers, Tomcat, PostgreSQL.

It is sound. `pulumi config set fault NAME` brings in one single point of failure, for the policy pack to find.
"""

import base64

import pulumi
import pulumi_vsphere as vsphere
import storage
from servers import SERVERS, TIERS, metadata, user_data

HOSTS = ("esx1.example.com", "esx2.example.com", "esx3.example.com")
NFS = {"nfs-a": "192.0.2.10", "nfs-b": "192.0.2.11"}

config = pulumi.Config()
fault = config.get("fault") or "none"

vcenter = vsphere.Provider(
    "vcenter",
    vsphere_server=config.require("vcenter"),
    user=config.get("user") or "administrator@vsphere.local",
    password=config.require_secret("password"),
    allow_unverified_ssl=fault == "unverified-vcenter",
)
opts = pulumi.ResourceOptions(provider=vcenter)
kept = pulumi.ResourceOptions(provider=vcenter, protect=fault != "unprotected")

datacenter = vsphere.Datacenter("datacenter", name="office", opts=opts)
cluster = vsphere.ComputeCluster(
    "cluster",
    name="office",
    datacenter_id=datacenter.moid,
    host_managed=fault != "nobodys-hosts",
    drs_enabled=fault != "no-drs",
    drs_automation_level="fullyAutomated",
    ha_enabled=fault != "no-ha",
    ha_admission_control_policy="disabled" if fault == "no-admission-control" else "resourcePercentage",
    ha_vm_restart_priority="disabled" if fault == "restarts-nothing" else "medium",
    ha_host_isolation_response="none" if fault == "left-on-isolated-host" else "powerOff",
    ha_vm_monitoring="vmMonitoringOnly",
    ha_vm_component_protection="disabled" if fault == "lost-storage-ignored" else "enabled",
    ha_datastore_pdl_response="restartAggressive",
    ha_datastore_apd_response="restartConservative",
    opts=kept,
)
hosts = [
    vsphere.Host(
        hostname.partition(".")[0],
        hostname=hostname,
        username="root",
        password=config.require_secret("esxi-password"),
        cluster=cluster.id,
        opts=opts,
    )
    for hostname in (HOSTS[:2] if fault == "two-hosts" else HOSTS)
]
switch = vsphere.DistributedVirtualSwitch(
    "switch",
    name="office",
    datacenter_id=datacenter.moid,
    uplinks=["uplink1", "uplink2"],
    active_uplinks=["uplink1", "uplink2"],
    hosts=[
        vsphere.DistributedVirtualSwitchHostArgs(
            host_system_id=host.id, devices=["vmnic1"] if fault == "one-uplink" else ["vmnic1", "vmnic3"]
        )
        for host in hosts
    ],
    opts=opts,
)
port_group = vsphere.DistributedPortGroup(
    "servers",
    name="servers",
    distributed_virtual_switch_uuid=switch.id,
    vlan_id=20,
    active_uplinks=["uplink1"] if fault == "narrow-port-group" else None,
    standby_uplinks=[] if fault == "narrow-port-group" else None,
    opts=opts,
)
datastores = {
    name: vsphere.NasDatastore(
        name,
        name=name,
        type="NFS41",
        remote_hosts=[server],
        remote_path="/vmware",
        host_system_ids=[host.id for host in (hosts[:1] if fault == "unmounted-datastore" else hosts)],
        opts=kept,
    )
    for name, server in NFS.items()
    if not (fault == "one-datastore" and name == "nfs-b")
}
if fault != "one-datastore":
    datastores["lun-1"] = storage.iscsi_datastore(
        hosts,
        storage.Login(
            config.require("esxi-host-key"),
            config.require_secret("esxi-password"),
            config.require_secret("chap"),
            config.require_secret("chap" if fault == "same-chap" else "mutual-chap"),
        ),
        fault,
        opts,
        kept,
    )
library = vsphere.ContentLibrary(
    "images", name="images", storage_backings=[next(iter(datastores.values())).id], opts=opts
)
image = vsphere.ContentLibraryItem(
    "debian", name="debian-12", library_id=library.id, type="ovf", file_url="images/debian-12.ova", opts=opts
)

machines: dict[str, vsphere.VirtualMachine] = {}
for number, (name, address) in enumerate(SERVERS.items()):
    if (fault == "lone-server" and name == "web2") or (fault == "two-votes" and name == "vote1"):
        continue
    documents = {"metadata": metadata(name, address), "userdata": user_data(name, fault)}
    encoded = {f"guestinfo.{key}": base64.b64encode(text.encode()).decode() for key, text in documents.items()}
    encoded |= {f"guestinfo.{key}.encoding": "base64" for key in documents}
    if fault == "unreadable-user-data" and name == "web1":
        encoded["guestinfo.userdata.encoding"] = "gzip+base64"
    if fault == "password-in-settings" and name == "web1":
        encoded["site.password"] = "open-sesame"
    place = list(datastores.values())[number % len(datastores)]
    if fault == "database-on-one-datastore" and name in TIERS["database"]:
        place = next(iter(datastores.values()))
    machines[name] = vsphere.VirtualMachine(
        name,
        name=name,
        resource_pool_id=cluster.resource_pool_id,
        datastore_id=place.id,
        guest_id="debian12_64Guest",
        num_cpus=2,
        memory=32768 if fault == "large-servers" else 4096,
        network_interfaces=[vsphere.VirtualMachineNetworkInterfaceArgs(network_id=port_group.id)],
        disks=[vsphere.VirtualMachineDiskArgs(label="disk0", size=20)],
        cdroms=[vsphere.VirtualMachineCdromArgs(client_device=True)] if fault == "connected-cdrom" else None,
        clone=vsphere.VirtualMachineCloneArgs(template_uuid=image.id),
        extra_config=encoded,
        opts=pulumi.ResourceOptions(
            provider=vcenter,
            protect=name in TIERS["database"] and fault != "unprotected",
            ignore_changes=["clone", "extraConfig"],
        ),
    )
if fault == "standing-snapshot":
    vsphere.VirtualMachineSnapshot(
        "before-update",
        virtual_machine_uuid=machines["db1"].id,
        snapshot_name="before-update",
        description="",
        memory=False,
        quiesce=False,
        opts=opts,
    )

priorities = {} if fault == "any-restart-order" else dict.fromkeys(TIERS["database"], "high")
if fault == "never-restarted":
    priorities["web1"] = "disabled"
for name, priority in priorities.items():
    vsphere.HaVmOverride(
        name,
        compute_cluster_id=cluster.id,
        virtual_machine_id=machines[name].id,
        ha_vm_restart_priority=priority,
        opts=opts,
    )

for tier, members in TIERS.items():
    if not (fault == "same-host" and tier == "web") and not (fault == "votes-on-one-host" and tier == "votes"):
        vsphere.ComputeClusterVmAntiAffinityRule(
            tier,
            name=tier,
            compute_cluster_id=cluster.id,
            virtual_machine_ids=[machines[name].id for name in members if name in machines],
            opts=opts,
        )
