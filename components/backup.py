"""Backups of the database on servers of the site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from blueprint.guests import GuestRole
from components.virtual_machine import VirtualMachine


@dataclass(frozen=True)
class BackupArgs:
    """The servers that keep backups, by name; `database` is what must be there before the first one is made."""

    servers: Mapping[str, VirtualMachine]
    checksums: Mapping[str, str]
    database: Sequence[pulumi.Resource]


class Backup(pulumi.ComponentResource):
    """Base backups on a schedule and the WAL, streamed, taken from whoever is the primary."""

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:Backup", name, {}, opts)
        for server in args.servers.values():
            server.install(GuestRole.BACKUP, args.checksums, depends_on=args.database)
        self.register_outputs({"servers": list(args.servers)})
