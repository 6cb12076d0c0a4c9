"""One server: a virtual machine of the template, reachable over SSH, and what its roles put on it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_vsphere as vsphere

from blueprint import cloud_init, guests, keys
from blueprint.settings import Settings
from blueprint.terms import Role
from components import lookups, remote
from components.esxi_cluster import EsxiCluster
from components.iscsi_datastore import IscsiDatastores
from components.vm_template import VmTemplate

_RESTART_PRIORITY = {
    Role.DATABASE: "high",
    Role.WITNESS: "high",
    Role.APPLICATION: "medium",
    Role.BALANCER: "low",
    Role.BACKUP: "lowest",
}
"""vSphere HA starts databases before the applications that need them, then balancers, and last what no user needs."""

_READY = """\
set -eu
cloud-init status --wait >/dev/null || { cloud-init status --long >&2; exit 1; }
install -d -m 0755 /var/lib/perenne /var/lib/perenne/artifacts
"""


@dataclass(frozen=True)
class VirtualMachineArgs:
    """What a server is made of; `server` is its name in the stack file."""

    settings: Settings
    server: str
    cluster: EsxiCluster
    storage: IscsiDatastores
    template: VmTemplate
    secrets: Mapping[str, pulumi.Output[str]]


class VirtualMachine(pulumi.ComponentResource):
    """A server on its host and datastore, with a fixed address.

    cloud-init reads name, address and keys from `guestinfo.*` at the first boot, and only then: later changes reach a
    server over SSH, so a new key or template never replaces one that runs.
    """

    server: str
    """Its name in the stack file."""
    vm: vsphere.VirtualMachine
    login: remote.Login
    ready: pulumi.Resource

    def __init__(self, name: str, args: VirtualMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:VirtualMachine", name, {}, opts)
        self._args = args
        self.server = args.server
        self._child = pulumi.ResourceOptions(parent=self)
        settings, cluster = args.settings, args.cluster
        described = settings.servers[args.server]
        private_key, host_key = args.secrets["ssh-key"], args.secrets[f"ssh-host-key-{args.server}"]
        own_disk = described.datastore in settings.local_datastores
        has_data = described.role is Role.DATABASE or args.server in settings.backup.servers
        # With DRS the host is where it starts; from then on DRS decides, within the tier's anti-affinity rule.
        free_to_move = ["hostSystemId"] if settings.vcenter.edition.has_drs else []
        self.vm = vsphere.VirtualMachine(
            f"{name}-vm",
            name=args.server,
            resource_pool_id=cluster.cluster.resource_pool_id,
            host_system_id=cluster.hosts[described.host].id,
            datastore_id=self._datastore_id(),
            guest_id=settings.template.guest_id,
            num_cpus=described.cpus,
            memory=described.memory_mib,
            network_interfaces=[vsphere.VirtualMachineNetworkInterfaceArgs(network_id=self._network_id())],
            disks=[vsphere.VirtualMachineDiskArgs(label="disk0", size=described.disk_gib)],
            clone=vsphere.VirtualMachineCloneArgs(template_uuid=args.template.id),
            extra_config=pulumi.Output.all(private_key, host_key).apply(lambda pair: self._guestinfo(*pair)),
            wait_for_guest_net_timeout=0,
            wait_for_guest_ip_timeout=0,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=args.storage.ready,
                # A guest OS comes with the library's item: a setting that differs would restart all servers at once.
                ignore_changes=["clone", "extraConfig", "guestId", *free_to_move],
                protect=settings.protect and has_data,
            ),
        )
        vsphere.HaVmOverride(
            f"{name}-restart",
            compute_cluster_id=cluster.cluster.id,
            virtual_machine_id=self.vm.id,
            ha_vm_restart_priority=_RESTART_PRIORITY[described.role],
            # Powered off, what is on a host's own disk could start nowhere: it does more good where it is.
            ha_host_isolation_response="none" if own_disk else None,
            opts=self._child,
        )
        self.login = remote.Login(
            address=str(described.address), private_key=private_key, host_key=host_key.apply(keys.public_key)
        )
        self.ready = remote.run(
            f"{name}-ready",
            self.login,
            _READY,
            pulumi.ResourceOptions(parent=self, depends_on=[self.vm]),
            triggers=[self.vm.uuid],
        )
        # No resource shows what a datastore that was there before is on; the policy pack judges by it.
        declared = {"localDiskOf": settings.fqdn(described.host)} if own_disk else {}
        self.register_outputs({"address": str(described.address), "uuid": self.vm.uuid} | declared)

    def install(
        self,
        role: guests.GuestRole,
        checksums: Mapping[str, str],
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        """Put the files and services of `role` on the server, once it is ready and `depends_on` are done."""
        secret_files = guests.secret_files(self._args.settings, self._args.server, role)
        names = sorted(guests.secret_names(secret_files, self._args.secrets))
        files = guests.files(self._args.settings, self._args.server, role, checksums)
        stdin = pulumi.Output.all(**{name: self._args.secrets[name] for name in names}).apply(
            lambda values: guests.bundle(files, secret_files, values)
        )
        return remote.run(
            f"{self._name}-{role}",
            self.login,
            guests.script(role),
            pulumi.ResourceOptions(parent=self, depends_on=[self.ready, *depends_on]),
            stdin=stdin,
            triggers=[self.vm.uuid],
        )

    def copy(self, source: str, path: str, depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.Resource:
        """Copy a file of the project to `path` on the server, once it is ready and `depends_on` are done."""
        return remote.copy(
            f"{self._name}-{path.rsplit('/', 1)[-1]}",
            self.login,
            pulumi.FileAsset(source),
            path,
            pulumi.ResourceOptions(parent=self, depends_on=[self.ready, *depends_on]),
            triggers=[self.vm.uuid],
        )

    def _datastore_id(self) -> pulumi.Output[str]:
        """A LUN's datastore is Perenne's own; one on a host's own disk comes into vCenter with the host."""
        described, cluster = self._args.settings.servers[self.server], self._args.cluster
        if made := self._args.storage.datastores.get(described.datastore):
            return made.id
        options = pulumi.InvokeOutputOptions(parent=self, depends_on=[cluster.hosts[described.host]])
        return lookups.datastore_id(described.datastore, cluster.datacenter.moid, options)

    def _network_id(self) -> pulumi.Output[str]:
        """Of a port group that is alike on every host; asked for when this server's has it.

        Were it every host's, a preview with a further host would show a change of every server. That all have it before
        a server is made, the storage sees to.
        """
        cluster = self._args.cluster
        made = cluster.networking[self._args.settings.servers[self.server].host]
        options = pulumi.InvokeOutputOptions(parent=self, depends_on=made)
        return lookups.network_id(self._args.settings.networks.guests.port_group, cluster.datacenter.moid, options)

    def _guestinfo(self, private_key: str, host_key: str) -> dict[str, str]:
        settings, server = self._args.settings, self._args.server
        documents = {
            "metadata": cloud_init.metadata(settings, server),
            "userdata": cloud_init.user_data(settings, server, keys.public_key(private_key), host_key),
        }
        encoded = {f"guestinfo.{key}": base64.b64encode(text.encode()).decode() for key, text in documents.items()}
        return encoded | {f"guestinfo.{key}.encoding": "base64" for key in documents}


def keep_apart(
    name: str, servers: Sequence[VirtualMachine], settings: Settings, cluster: EsxiCluster, opts: pulumi.ResourceOptions
) -> None:
    """Keep `servers` on different hosts: a rule where DRS can enforce one; without DRS their pins already do."""
    if settings.vcenter.edition.has_drs:
        vsphere.ComputeClusterVmAntiAffinityRule(
            name,
            name=name,
            compute_cluster_id=cluster.cluster.id,
            virtual_machine_ids=[server.vm.id for server in servers],
            enabled=True,
            mandatory=False,  # a mandatory rule would keep vSphere HA from restarting when hosts are few
            opts=opts,
        )


def prefer_own_host(name: str, server: VirtualMachine, settings: Settings, cluster: EsxiCluster) -> None:
    """Where DRS exists, have it keep `server` on the host of the stack file whenever that host is there.

    For a quorum on as many hosts as it has votes, an anti-affinity rule would be too strong: vSphere HA respects it, so
    the vote of a lost host could start nowhere, and a database with it. A rule that says "should" it may break until
    the host is back.
    """
    if not settings.vcenter.edition.has_drs:
        return
    opts = pulumi.ResourceOptions(parent=server)
    cluster_id = cluster.cluster.id
    machines = vsphere.ComputeClusterVmGroup(
        f"{name}-vm", name=f"{name}-vm", compute_cluster_id=cluster_id, virtual_machine_ids=[server.vm.id], opts=opts
    )
    host = cluster.hosts[settings.servers[server.server].host]
    hosts = vsphere.ComputeClusterHostGroup(
        f"{name}-host", name=f"{name}-host", compute_cluster_id=cluster_id, host_system_ids=[host.id], opts=opts
    )
    vsphere.ComputeClusterVmHostRule(
        name,
        name=name,
        compute_cluster_id=cluster_id,
        vm_group_name=machines.name,
        affinity_host_group_name=hosts.name,
        enabled=True,
        mandatory=False,
        opts=opts,
    )
