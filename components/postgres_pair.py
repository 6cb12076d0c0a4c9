"""PostgreSQL under Patroni, the etcd quorum that elects its primary, and the services' databases."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_postgresql as postgresql

from blueprint.guests import GuestRole
from blueprint.secrets import accepted, other_login, password_of
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
            _database(f"{name}-{service}", service, _logins(settings, service, args.secrets), there, settings)
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


def _logins(
    settings: Settings, service: str, values: Mapping[str, pulumi.Output[str]]
) -> dict[str, pulumi.Output[str]]:
    """The roles by which a service may log in, with their passwords, the one in use first."""
    login = settings.login_of(service)
    in_use, *others = accepted(values, password_of(service))
    return {login: in_use} | {other_login(service, login): other for other in others}


def _database(
    name: str,
    service: str,
    logins: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
    settings: Settings,
) -> postgresql.Database:
    """Make the database of one service, the role that owns it, and the one that stands in for it where there is one.

    A role has one password. So that application servers can take up a new one one after the other, the service then has
    two roles to log in by; what the second one makes belongs to the first.
    """
    in_use = next(iter(logins.values()))
    owner = postgresql.Role(
        f"{name}-role", name=service, login=service in logins, password=logins.get(service, in_use), opts=opts
    )
    second = other_login(service, service)
    if second in logins:
        postgresql.Role(
            f"{name}-second-role",
            name=second,
            login=True,
            password=logins[second],
            roles=[owner.name],
            assume_role=owner.name,
            opts=opts,
        )
    return postgresql.Database(
        f"{name}-database",
        name=service,
        owner=owner.name,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=settings.protect)),
    )
