"""Who may log in on ESXi hosts: Perenne, with its key, and while that is rotated with both."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from blueprint import esxi, keys
from blueprint.secrets import keys_of
from components import remote


@dataclass(frozen=True)
class HostAccessArgs:
    """The hosts' logins, by name, and the values of `ssh-key` in the stages of a rotation."""

    logins: Mapping[str, remote.Login]
    secrets: Mapping[str, pulumi.Output[str]]


class HostAccess(pulumi.ComponentResource):
    """Perenne's key on every host, beside those of others. The first one was put there by hand."""

    def __init__(self, name: str, args: HostAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:HostAccess", name, {}, opts)
        known = {key: args.secrets[key] for key in keys_of(args.secrets, "ssh-key")}
        stdin = pulumi.Output.all(**known).apply(keys.host_access)
        for host, login in args.logins.items():
            child = pulumi.ResourceOptions(parent=self)
            remote.run(f"{name}-{host}", login, esxi.access_script(), child, stdin=stdin)
        self.register_outputs({"hosts": list(args.logins)})
