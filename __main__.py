"""Perenne's program: the site that a stack file describes. `./perenne up` runs it, and so does plain `pulumi up`."""

from pathlib import Path

import pulumi
import pulumi_command as command
import pulumi_vsphere as vsphere

from blueprint import artifacts, loading
from blueprint.mistakes import StackFileError
from blueprint.secrets import secrets_of
from blueprint.terms import Role
from components import remote, stack
from components.backup import Backup, BackupArgs
from components.balancer import Balancer, BalancerArgs
from components.esxi_cluster import EsxiCluster, EsxiClusterArgs
from components.host_access import HostAccess, HostAccessArgs
from components.host_time import HostTime, HostTimeArgs
from components.iscsi_datastore import IscsiDatastores, IscsiDatastoresArgs
from components.jboss_pair import JbossPair, JbossPairArgs
from components.postgres_pair import PostgresPair, PostgresPairArgs
from components.virtual_machine import VirtualMachine, VirtualMachineArgs
from components.vm_template import VmTemplate, VmTemplateArgs

source = f"Pulumi.{pulumi.get_stack()}.yaml"
try:
    settings = loading.settings_from_config(stack.configuration(), source)
    checksums = artifacts.checksums(settings, Path.cwd(), source)
    secrets = stack.secrets(secrets_of(settings), source)
except StackFileError as error:
    raise pulumi.RunError(str(error)) from None

vcenter = vsphere.Provider(
    "vcenter",
    vsphere_server=settings.vcenter.server,
    user=settings.vcenter.user,
    password=secrets["vcenter-password"],
    allow_unverified_ssl=False,
)
ssh = command.Provider("ssh")
opts = pulumi.ResourceOptions(providers=[vcenter, ssh])

cluster = EsxiCluster("esxi", EsxiClusterArgs(settings, secrets["esxi-password"]), opts)
logins = {
    host: remote.Login(str(described.address), secrets["ssh-key"], settings.host_keys.get(host, ""))
    for host, described in settings.hosts.items()
}
HostAccess("access", HostAccessArgs(logins, secrets), opts)
HostTime("time", HostTimeArgs(settings, cluster, logins), opts)
chap = stack.chap(settings, secrets)
storage = IscsiDatastores("storage", IscsiDatastoresArgs(settings, cluster, logins, chap), opts)
template = VmTemplate("template", VmTemplateArgs(settings, storage), opts)
servers = {
    server: VirtualMachine(server, VirtualMachineArgs(settings, server, cluster, storage, template, secrets), opts)
    for server in settings.servers
}

jboss = JbossPair(
    "jboss",
    JbossPairArgs(
        settings, cluster, {name: servers[name] for name in settings.servers_of(Role.APPLICATION)}, checksums
    ),
    opts,
)
balancer = Balancer(
    "balancer",
    BalancerArgs(
        settings,
        cluster,
        {name: servers[name] for name in settings.servers_of(Role.BALANCER)},
        checksums,
        jboss.ready,
    ),
    opts,
)
postgres = PostgresPair(
    "postgres",
    PostgresPairArgs(
        settings,
        cluster,
        {name: servers[name] for name in settings.quorum},
        checksums,
        secrets,
        stack.authority_file(secrets),
    ),
    opts,
)
Backup(
    "backup",
    BackupArgs({name: servers[name] for name in settings.backup.servers}, checksums, postgres.ready),
    opts,
)

pulumi.run(lambda: stack.settle([*balancer.ready, *jboss.ready, *postgres.ready]))
pulumi.export("site", f"https://{settings.site.name}")
pulumi.export("site_address", str(settings.site.address))
pulumi.export("database_address", str(settings.database.address))
pulumi.export("servers", {name: str(server.address) for name, server in settings.servers.items()})
