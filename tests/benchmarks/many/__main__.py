"""A site of any size for tests.benchmarks.previews: `BENCHMARK_HOSTS` hosts and `BENCHMARK_SERVERS` servers.

The stack file describes one whole platform; here its servers stand again and again on one cluster, each with its VM,
its rule for vSphere HA, its readiness command and its roles, as `__main__.py` has them. There is no second database
provider: every provider is a process, and a company has one platform.
"""

import os
from ipaddress import IPv4Address
from itertools import cycle, islice
from pathlib import Path

import pulumi
import pulumi_command as command
import pulumi_vsphere as vsphere

from blueprint import artifacts, loading
from blueprint.guests import GuestRole
from blueprint.secrets import secrets_of
from blueprint.settings import Host, Settings
from blueprint.terms import Role
from components import remote, stack
from components.esxi_cluster import EsxiCluster, EsxiClusterArgs
from components.iscsi_datastore import IscsiDatastores, IscsiDatastoresArgs
from components.virtual_machine import VirtualMachine, VirtualMachineArgs
from components.vm_template import VmTemplate, VmTemplateArgs

_ROLES = {
    Role.BALANCER: (GuestRole.BALANCER,),
    Role.APPLICATION: (GuestRole.APPLICATION,),
    Role.DATABASE: (GuestRole.QUORUM, GuestRole.DATABASE),
    Role.WITNESS: (GuestRole.QUORUM,),
}


def with_hosts(settings: Settings, number: int) -> Settings:
    """As many hosts, each like the first one; their addresses are counted on, wherever they lead."""
    first = next(iter(settings.hosts.values()))
    hosts = dict(settings.hosts)
    for position in range(len(hosts), number):
        hosts[f"esx{position:03}"] = Host.model_construct(
            **{
                **dict(first),
                "address": first.address + position,
                "storage": {path: IPv4Address(address + position) for path, address in first.storage.items()},
            }
        )
    return settings.model_copy(update={"hosts": hosts})


source = f"Pulumi.{pulumi.get_stack()}.yaml"
described = loading.settings_from_config(stack.configuration(), source)
settings = with_hosts(described, int(os.environ["BENCHMARK_HOSTS"]))
checksums = artifacts.checksums(settings, Path.cwd(), source)
secrets = stack.secrets(secrets_of(described), source)
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
    host: remote.Login(str(one.address), secrets["ssh-key"], settings.host_keys.get(host, ""))
    for host, one in settings.hosts.items()
}
storage = IscsiDatastores(
    "storage", IscsiDatastoresArgs(settings, cluster, logins, stack.chap(settings, secrets)), opts
)
template = VmTemplate("template", VmTemplateArgs(settings, storage), opts)
installed = []
for number, name in enumerate(islice(cycle(settings.servers), int(os.environ["BENCHMARK_SERVERS"]))):
    args = VirtualMachineArgs(settings, name, cluster, storage, template, secrets)
    server = VirtualMachine(f"{name}-{number}", args, opts)
    installed += [server.install(role, checksums) for role in _ROLES[settings.servers[name].role]]
pulumi.run(lambda: stack.settle(installed))
