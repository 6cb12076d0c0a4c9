"""Commands on hosts and servers over SSH: the one place that makes `remote.Command` resources."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

_DIAL_ERRORS = 40
_DIAL_TIMEOUT_SECONDS = 5
"""A guest answers some 10 s after it is powered on, a host up to minutes after it is restarted."""


@dataclass(frozen=True)
class Login:
    """How Perenne logs in on one machine: as root, with its own key, if the machine shows the expected host key."""

    address: pulumi.Input[str]
    private_key: pulumi.Input[str]
    host_key: pulumi.Input[str]

    def connection(self) -> remote.ConnectionArgs:
        """The login in the form that pulumi-command takes."""
        return remote.ConnectionArgs(
            host=self.address,
            user="root",
            private_key=self.private_key,
            host_key=self.host_key,
            dial_error_limit=_DIAL_ERRORS,
            per_dial_timeout=_DIAL_TIMEOUT_SECONDS,
        )


def run(
    name: str,
    login: Login,
    script: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    stdin: pulumi.Input[str] | None = None,
    triggers: list[Any] | None = None,
) -> remote.Command:
    """Run an idempotent `script` now, and again whenever it or what it reads on `stdin` changes.

    `stdin` is where secrets belong: it is encrypted in the state and never part of a command line. `triggers` are the
    identities (never the contents) of what the script was run on: when one changes, all is done afresh.
    """
    return remote.Command(
        name,
        connection=login.connection(),
        create=script,
        update=script,
        stdin=None if stdin is None else pulumi.Output.secret(stdin),
        triggers=triggers,
        logging=remote.Logging.STDERR,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout", "stderr"])),
    )


def copy(
    name: str,
    login: Login,
    source: pulumi.Asset,
    path: str,
    opts: pulumi.ResourceOptions,
    *,
    triggers: list[Any] | None = None,
) -> remote.CopyToRemote:
    """Copy a file to `path`; a changed content is copied again."""
    return remote.CopyToRemote(
        name, connection=login.connection(), source=source, remote_path=path, triggers=triggers, opts=opts
    )
