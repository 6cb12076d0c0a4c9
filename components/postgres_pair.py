"""PostgreSQL under Patroni, the etcd quorum that elects its primary, and the services' databases."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_postgresql as postgresql

from blueprint.guests import GuestRole
from blueprint.settings import Settings
from blueprint.terms import Role
from components.esxi_cluster import EsxiCluster
from components.virtual_machine import VirtualMachine, keep_apart, prefer_own_host

_PORT = 5432


@dataclass(frozen=True)
class PostgresPairArgs:
    """The servers with an etcd vote, by name: the databases and the witness.

    `authority_file` is the path, on the machine that runs Pulumi, of the certificate that signs the site's others.
    """

    settings: Settings
    cluster: EsxiCluster
    servers: Mapping[str, VirtualMachine]
    checksums: Mapping[str, str]
    secrets: Mapping[str, pulumi.Output[str]]
    authority_file: pulumi.Input[str]


class PostgresPair(pulumi.ComponentResource):
    """A primary and a synchronous standby behind an address that follows the primary; the standby takes over by itself.

    With fencing the standby sees to it that a lost primary is off, and need not wait until its lease has run out.
    Every service that asks for a database gets one, owned by a role of the service's own name.
    """

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: PostgresPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:PostgresPair", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings = args.settings
        databases = [args.servers[server] for server in settings.servers_of(Role.DATABASE)]
        keep_apart(f"{name}-apart", databases, settings, args.cluster, child)
        for server, vote in args.servers.items():
            prefer_own_host(f"{name}-{server}-home", vote, settings, args.cluster)
        votes = [server.install(GuestRole.QUORUM, args.checksums) for server in args.servers.values()]
        members = [database.install(GuestRole.DATABASE, args.checksums, depends_on=votes) for database in databases]
        if settings.has_fencing:
            for database in databases:
                database.install(GuestRole.FENCING, args.checksums, depends_on=members)
        provider = postgresql.Provider(
            f"{name}-primary",
            host=str(settings.database.address),
            port=_PORT,
            username="postgres",
            password=args.secrets["database-superuser-password"],
            sslmode="verify-full",
            sslrootcert=args.authority_file,
            superuser=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=members),
        )
        there = pulumi.ResourceOptions(parent=self, provider=provider, depends_on=members)
        self.ready = [
            _database(
                f"{name}-{service}",
                service,
                args.secrets[f"database-{service}-password"],
                there,
                protect=settings.protect,
            )
            for service, described in settings.services.items()
            if described.database
        ]
        if settings.backup.servers:
            password = args.secrets["database-backup-password"]
            self.ready.append(
                postgresql.Role(
                    f"{name}-backup-role", name="backup", login=True, replication=True, password=password, opts=there
                )
            )
        self.register_outputs({"virtual_address": str(settings.database.address), "members": list(args.servers)})


def _database(
    name: str, service: str, password: pulumi.Input[str], opts: pulumi.ResourceOptions, *, protect: bool
) -> postgresql.Database:
    """Make the role and the database of one service."""
    role = postgresql.Role(f"{name}-role", name=service, login=True, password=password, opts=opts)
    return postgresql.Database(
        f"{name}-database",
        name=service,
        owner=role.name,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=protect)),
    )
