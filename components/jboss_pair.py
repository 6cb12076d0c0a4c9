"""The WildFly servers that share sessions."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from blueprint import artifacts
from blueprint.guests import GuestRole
from blueprint.settings import Settings
from components.esxi_cluster import EsxiCluster
from components.virtual_machine import VirtualMachine, keep_apart


@dataclass(frozen=True)
class JbossPairArgs:
    """The servers of the application tier, by name, and the SHA-256 of every service's artifact."""

    settings: Settings
    cluster: EsxiCluster
    servers: Mapping[str, VirtualMachine]
    checksums: Mapping[str, str]


class JbossPair(pulumi.ComponentResource):
    """Two WildFly servers (or more) that run every service; a session lives on all of them.

    They are set up one after the other: what a changed setting restarts is never both of them at once, and a server
    keeps its artifacts until the one before serves the new ones. If that one can't, the others go on with the old ones.
    """

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: JbossPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:JbossPair", name, {}, opts)
        servers = list(args.servers.values())
        keep_apart(f"{name}-apart", servers, args.settings, args.cluster, pulumi.ResourceOptions(parent=self))
        local = {key: service for key, service in args.settings.services.items() if artifacts.is_local(service)}
        self.ready = []
        for server in servers:
            before = self.ready[-1:]
            copies = [
                server.copy(service.artifact, f"/var/lib/perenne/artifacts/{key}.war", depends_on=before)
                for key, service in local.items()
            ]
            self.ready.append(server.install(GuestRole.APPLICATION, args.checksums, depends_on=[*copies, *before]))
        self.register_outputs({"members": list(args.servers)})
