"""The time of the ESXi hosts: logs, certificates and vCenter's own checks depend on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from blueprint import esxi
from blueprint.settings import Settings
from components import remote
from components.esxi_cluster import EsxiCluster


@dataclass(frozen=True)
class HostTimeArgs:
    """Which hosts take their time from the site's sources."""

    settings: Settings
    cluster: EsxiCluster
    logins: Mapping[str, remote.Login]


class HostTime(pulumi.ComponentResource):
    """NTP on every host, by `esxcli`: pulumi-vsphere has no resource for it. Without sources hosts keep theirs."""

    def __init__(self, name: str, args: HostTimeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:HostTime", name, {}, opts)
        hosts = args.settings.hosts if args.settings.ntp else {}
        for host in hosts:
            made = args.cluster.hosts[host]
            options = pulumi.ResourceOptions(parent=self, depends_on=[made])
            remote.run(
                f"{name}-{host}", args.logins[host], esxi.time_script(args.settings), options, triggers=[made.id]
            )
        self.register_outputs({"sources": [str(source) for source in args.settings.ntp]})
