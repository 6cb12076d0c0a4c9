"""The package `command`: what it consists of."""

from __future__ import annotations

from typing import ClassVar

from offline.command.copy import CopyFile, CopyToRemote
from offline.command.local import LocalCommand, Run
from offline.command.remote import RemoteCommand
from offline.provider.servicer import Provider


class CommandProvider(Provider):
    """pulumi-command; it has no configuration."""

    name: ClassVar[str] = "command"
    version: ClassVar[str] = "1.2.1"

    def __init__(self) -> None:
        super().__init__([LocalCommand(), RemoteCommand(), CopyToRemote(), CopyFile()], [Run()])
