"""The two Apache balancers behind the site's virtual address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from blueprint.guests import GuestRole
from blueprint.settings import Settings
from components.esxi_cluster import EsxiCluster
from components.virtual_machine import VirtualMachine, keep_apart


@dataclass(frozen=True)
class BalancerArgs:
    """The servers of the balancer tier, by name."""

    settings: Settings
    cluster: EsxiCluster
    servers: Mapping[str, VirtualMachine]
    checksums: Mapping[str, str]
    applications: Sequence[pulumi.Resource]
    """What must be done before a node gets requests."""


class Balancer(pulumi.ComponentResource):
    """Two Apache httpd balancers behind one virtual address (VRRP, RFC 9568).

    A node that fails its health check `health_check.failures` times, `health_check.interval_seconds` apart, gets no
    more requests. Balancers hear of a new node once it serves; of one that goes, before it is deleted. They are set up
    one after the other: while one takes up a changed setting, the other one can have the address.
    """

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:Balancer", name, {}, opts)
        servers = list(args.servers.values())
        keep_apart(f"{name}-apart", servers, args.settings, args.cluster, pulumi.ResourceOptions(parent=self))
        self.ready = []
        for server in servers:
            before = [*args.applications, *self.ready[-1:]]
            self.ready.append(server.install(GuestRole.BALANCER, args.checksums, depends_on=before))
        self.register_outputs({"virtual_address": str(args.settings.site.address), "members": list(args.servers)})
