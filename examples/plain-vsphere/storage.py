"""An iSCSI datastore: two storage networks, a software adapter on every host, and what `esxcli` has to set up there."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_command as command
import pulumi_vsphere as vsphere

TARGET = "iqn.2026-11.com.example:array"
LUN = "naa.60014050000000000000000000000001"
PORTALS = ("192.0.2.129", "192.0.2.193")
NETMASK = "255.255.255.192"
UPLINKS = ("vmnic2", "vmnic4")

_SCRIPT = """\
set -eu
read -r secret; read -r mutual_secret
esxcli iscsi software set --enabled=true
for portal in {portals}; do
    esxcli iscsi adapter discovery statictarget add --adapter=vmhba64 --address=$portal:3260 --name={target}
    esxcli iscsi adapter target portal auth chap set --adapter=vmhba64 --address=$portal:3260 --name={target} \\
        --direction=uni --level=required --authname=esx --secret="$secret"
{mutual}done
esxcli iscsi adapter discovery rediscover --adapter=vmhba64
esxcli storage core adapter rescan --adapter=vmhba64
esxcli storage nmp device set --device={lun} --psp={policy}
"""
_MUTUAL = """\
    esxcli iscsi adapter target portal auth chap set --adapter=vmhba64 --address=$portal:3260 --name={target} \\
        --direction=mutual --level=required --authname=array --secret="$mutual_secret"
"""


@dataclass(frozen=True)
class Login:
    """How ESXi hosts are reached, and how they and the array prove to each other who they are."""

    host_key: str
    password: pulumi.Input[str]
    """Of `root`."""
    chap: pulumi.Input[str]
    mutual_chap: pulumi.Input[str]

    def to(self, host: vsphere.Host) -> command.remote.ConnectionArgs:
        """A connection to one of them."""
        return command.remote.ConnectionArgs(
            host=host.hostname, user="root", password=self.password, host_key=self.host_key
        )


def iscsi_datastore(
    hosts: Sequence[vsphere.Host],
    login: Login,
    fault: str,
    opts: pulumi.ResourceOptions,
    kept: pulumi.ResourceOptions,
) -> vsphere.VmfsDatastore:
    """A VMFS datastore that every host reaches by two paths.

    Args:
        hosts: The cluster's.
        login: How to reach them by SSH.
        fault: The single point of failure to bring in.
        opts: For what can be made again.
        kept: For the datastore.
    """
    prepared = []
    for number, host in enumerate(hosts, start=1):
        adapters = _network(number, host, fault, opts)
        connection = login.to(host)
        prepared.append((number, connection, _initiator(number, connection, login, fault, adapters)))
    datastore = vsphere.VmfsDatastore(
        "lun-1",
        name="lun-1",
        host_system_id=hosts[0].id,
        disks=["mpx.vmhba1:C0:T1:L0" if fault == "local-disk" else LUN],
        opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[one for *_, one in prepared])),
    )
    for number, connection, _ in prepared[1:]:
        if fault != "no-rescan":
            command.remote.Command(
                f"rescan-{number}",
                connection=connection,
                create="esxcli storage core adapter rescan --all",
                opts=pulumi.ResourceOptions(depends_on=[datastore]),
            )
    return datastore


def _network(number: int, host: vsphere.Host, fault: str, opts: pulumi.ResourceOptions) -> list[vsphere.Vnic]:
    """A switch with two uplinks, and a VMkernel adapter on each of them."""
    switch = vsphere.HostVirtualSwitch(
        f"storage-{number}",
        name="vSwitch1",
        host_system_id=host.id,
        network_adapters=UPLINKS,
        active_nics=UPLINKS,
        standby_nics=[],
        mtu=1500 if fault == "large-frames" else 9000,
        opts=opts,
    )
    vsphere.HostPortGroup(
        f"vmotion-{number}",
        name="vmotion",
        host_system_id=host.id,
        virtual_switch_name=switch.name,
        active_nics=UPLINKS[:1] if fault == "one-uplink-port-group" else UPLINKS,
        standby_nics=[],
        opts=opts,
    )
    made = []
    for path, uplink in enumerate(UPLINKS[:1] if fault == "one-storage-path" else UPLINKS):
        group = vsphere.HostPortGroup(
            f"iscsi-{number}-{path}",
            name=f"iscsi-{path}",
            host_system_id=host.id,
            virtual_switch_name=switch.name,
            active_nics=UPLINKS if fault == "teamed-storage-path" else [uplink],
            standby_nics=[],
            opts=opts,
        )
        ipv4 = vsphere.VnicIpv4Args(
            ip=PORTALS[path].rpartition(".")[0] + f".{130 + 64 * path + number}", netmask=NETMASK
        )
        adapter = vsphere.Vnic(
            f"iscsi-{number}-{path}", host=host.id, portgroup=group.name, ipv4=ipv4, mtu=9000, opts=opts
        )
        made.append(adapter)
    return made


def _initiator(
    number: int,
    connection: command.remote.ConnectionArgs,
    login: Login,
    fault: str,
    adapters: Sequence[vsphere.Vnic],
) -> command.remote.Command:
    script = _SCRIPT.format(
        portals=PORTALS[0] if fault == "one-portal" else " ".join(PORTALS),
        target=TARGET,
        lun=LUN,
        policy="VMW_PSP_MRU" if fault == "one-path-at-a-time" else "VMW_PSP_RR",
        mutual="" if fault == "one-sided-chap" else _MUTUAL.format(target=TARGET),
    )
    secrets = pulumi.Output.format("{0}\n{1}\n", login.chap, login.mutual_chap)
    return command.remote.Command(
        f"iscsi-{number}",
        connection=connection,
        create=script,
        stdin=secrets,
        opts=pulumi.ResourceOptions(depends_on=adapters),
    )
