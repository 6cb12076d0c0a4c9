"""Shared storage: every host logged in to every array on every path, and a VMFS datastore on each LUN."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_vsphere as vsphere

from blueprint import esxi
from blueprint.settings import Settings
from components import remote
from components.esxi_cluster import EsxiCluster


@dataclass(frozen=True)
class IscsiDatastoresArgs:
    """Which cluster gets the storage, and with which secrets.

    `chap` holds, by array, the secret that hosts show to the array and the one that the array shows to hosts.
    """

    settings: Settings
    cluster: EsxiCluster
    logins: Mapping[str, remote.Login]
    chap: pulumi.Input[dict[str, tuple[str, str]]]


class IscsiDatastores(pulumi.ComponentResource):
    """The VMFS datastores of the cluster, by name.

    A VMFS volume is made through one host; the others see it after a rescan. `ready` is what anything that is stored on
    a datastore depends on: until the last rescan, vSphere HA could not restart it elsewhere.
    """

    datastores: dict[str, vsphere.VmfsDatastore]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: IscsiDatastoresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:IscsiDatastores", name, {}, opts)
        settings, cluster = args.settings, args.cluster
        child = pulumi.ResourceOptions(parent=self)
        stdin = pulumi.Output.from_input(args.chap).apply(esxi.chap_lines)
        initiators = {
            host: remote.run(
                f"{name}-{host}-iscsi",
                args.logins[host],
                esxi.iscsi_script(settings, host),
                _after(child, cluster.networking[host]),
                stdin=stdin,
                triggers=[cluster.hosts[host].id],
            )
            for host in settings.hosts
        }
        first = next(iter(settings.hosts))
        # Through which host a volume was made is history. The provider would make it anew, empty, through another one:
        # when the first host goes, is installed again, or another comes before it.
        kept = pulumi.ResourceOptions(parent=self, protect=settings.protect, ignore_changes=["hostSystemId"])
        self.datastores = {}
        for datastore, lun in settings.luns.items():
            # One after the other: a host's storage system takes one change at a time.
            before = [*initiators.values(), *list(self.datastores.values())[-1:]]
            self.datastores[datastore] = vsphere.VmfsDatastore(
                f"{name}-{datastore}",
                name=datastore,
                host_system_id=cluster.hosts[first].id,
                disks=[lun.naa],
                opts=_after(kept, before),
            )
        made = list(self.datastores.values())
        self.ready = [
            *made,
            *(
                remote.run(
                    f"{name}-{host}-rescan",
                    args.logins[host],
                    esxi.rescan_script(),
                    _after(child, made),
                    triggers=[cluster.hosts[host].id, *(datastore.id for datastore in made)],
                )
                for host in settings.hosts
                if host != first
            ),
        ]
        self.register_outputs(
            {
                "datastores": {datastore: made.id for datastore, made in self.datastores.items()},
                # A LUN's id doesn't tell its array; the policy pack judges by it what one array takes with it.
                "arrays": {name: [lun.naa for lun in array.luns.values()] for name, array in settings.storage.items()},
            }
        )


def _after(options: pulumi.ResourceOptions, resources: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=resources))
