"""`./perenne drain` and `undrain`: a server or a host is taken out of use and back, and users notice nothing."""

import asyncio
from collections.abc import Callable

from cli.console import say
from cli.signals import Interrupted
from moves import node
from moves.hands import SshHands
from moves.site import Site
from moves.vcenter import VCenter
from stack.vault import Vault
from stack.workspace import Stack, only_command


def drain(stack: Stack, name: str) -> int:
    """Take a server or a host out of use; returns 0.

    Raises:
        Failure: There is none of that name, redundancy does not allow it now, or it did not succeed.
    """
    with only_command():
        say(f"Draining {name} …")
        try:
            asyncio.run(node.drain(site_of(stack, say), name))
        except KeyboardInterrupt:
            raise Interrupted(f"{name} may be drained; {stack.command('undrain', name)} takes it back") from None
    say(f"Back into service: {stack.command('undrain', name)}", "dim")
    return 0


def undrain(stack: Stack, name: str) -> int:
    """Put it back into service; returns 0.

    Raises:
        Failure: There is none of that name, or it does not come back.
    """
    with only_command():
        say(f"Bringing {name} back into service …")
        asyncio.run(node.undrain(site_of(stack, say), name))
    return 0


def site_of(stack: Stack, tell: Callable[[str], None]) -> Site:
    """Where moves are made: over SSH in the lab too, as on a real site.

    Raises:
        Failure: The stack's secrets can't be read.
    """
    vault = Vault.open(stack)
    return Site(stack, SshHands(stack, vault), VCenter(stack, vault), tell)
