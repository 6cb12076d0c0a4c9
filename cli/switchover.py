"""`./perenne switchover`: the standby becomes the primary, as planned, with writes paused for about a second."""

import asyncio
import ssl
import time
from dataclasses import dataclass

import httpx

from blueprint.settings import Settings
from blueprint.terms import Role
from cli.console import say
from cli.signals import Interrupted
from machine.failure import Failure
from stack.status import PATRONI_PORT, SYNCHRONOUS, SiteStatus, members_of, status, trust
from stack.vault import Vault
from stack.workspace import Stack, only_command

_USER = "perenne"
_SWITCHOVER_SECONDS = 60.0
"""How long Patroni may take; it stops the old primary in good order first."""
_REDUNDANT_SECONDS = 120.0
_BEAT_SECONDS = 0.02


@dataclass(frozen=True)
class Moved:
    """What a switchover took."""

    without_primary: float
    """Seconds in which no server called itself the primary, at 50 questions a second."""
    redundant_after: float
    """Seconds until a synchronous standby was there again."""


def switchover(stack: Stack, to: str | None) -> int:
    """Make a standby the primary; returns 0.

    Args:
        stack: The stack.
        to: Which standby; None: the synchronous one.

    Raises:
        Failure: It would not be safe, or it did not succeed.
        StackFileError: The stack file can't be used.
    """
    with only_command():
        found = status(stack)
        primary, candidate = _agreed(stack, found, to)
        say(f"Switching the database over from {primary} to {candidate} …")
        vault = Vault.open(stack)
        try:
            moved = asyncio.run(_switch_over(stack, vault, trust(vault), primary, candidate))
        except KeyboardInterrupt:
            why = f"Patroni goes on with the switchover; {stack.command('status')} shows what became of it"
            raise Interrupted(why) from None
    say(
        f"{candidate} is the primary. No server called itself so for {moved.without_primary:.1f} s; clients wait a"
        f" little longer (./perenne drill switchover measures it). A synchronous standby was there again after"
        f" {moved.redundant_after:.1f} s.",
        "green",
    )
    return 0


def _agreed(stack: Stack, found: SiteStatus, to: str | None) -> tuple[str, str]:
    """The primary and who shall be it."""
    look = stack.command("status")
    if found.primary is None:
        raise Failure("there is nothing to switch over", "the database has no primary", f"See {look}.")
    if to == found.primary:
        raise Failure("there is nothing to switch over", f"{to} is the primary", f"See {look}.")
    if found.sync_standby is None:
        drained = [one.name for one in found.servers if one.drained and one.role == Role.DATABASE]
        remedy = f"Wait until {look} shows a synchronous standby; {stack.command('logs', 'NAME')} tells what keeps it."
        if drained:
            remedy = f"{drained[0]} is drained: {stack.command('undrain', drained[0])}"
        raise Failure("a switchover is not safe now", "no standby has every acknowledged write", remedy)
    if to not in (None, found.sync_standby):
        why = f"{to} is not the synchronous standby and may lack writes"
        raise Failure("a switchover is not safe now", why, f"The synchronous standby is {found.sync_standby}.")
    if found.votes < len([one for one in found.servers if one.vote is not None]):
        why = f"{found.votes} votes of the quorum answer"
        raise Failure("a switchover is not safe now", why, f"Bring the other votes back first: {look}.")
    return found.primary, found.sync_standby


async def _switch_over(stack: Stack, vault: Vault, context: ssl.SSLContext, primary: str, candidate: str) -> Moved:
    settings = stack.settings
    async with httpx.AsyncClient(verify=context, timeout=2.0, trust_env=False) as client:
        began = time.monotonic()
        watch = asyncio.create_task(_until_primary(client, settings, candidate))
        try:
            answer = await client.post(
                f"https://{settings.servers[primary].address}:{PATRONI_PORT}/switchover",
                json={"leader": primary, "candidate": candidate},
                auth=(_USER, vault.values["patroni-api-password"]),
                timeout=_SWITCHOVER_SECONDS,
            )
            if answer.status_code != httpx.codes.OK:
                raise Failure(
                    "the switchover was refused", answer.text.strip(), stack.command("logs", primary, "-u", "patroni")
                )
            without = await asyncio.wait_for(watch, _SWITCHOVER_SECONDS)
        except (httpx.HTTPError, TimeoutError) as error:
            why = f"{type(error).__name__} while Patroni was at it"
            raise Failure(
                "it isn't known whether the switchover succeeded", why, f"See {stack.command('status')}."
            ) from None
        finally:
            watch.cancel()
        await _until_redundant(client, stack)
        return Moved(without, time.monotonic() - began)


async def _until_primary(client: httpx.AsyncClient, settings: Settings, candidate: str) -> float:
    """Watch every database server until the candidate is the primary; the seconds in which none was."""
    last = time.monotonic()
    longest = 0.0
    while True:
        primaries = await _primaries(client, settings)
        now = time.monotonic()
        longest = max(longest, now - last)
        if primaries:
            last = now
        if candidate in primaries:
            return longest
        await asyncio.sleep(_BEAT_SECONDS)


async def _primaries(client: httpx.AsyncClient, settings: Settings) -> list[str]:
    servers = settings.servers_of(Role.DATABASE)
    answers = await asyncio.gather(*(_is_primary(client, str(one.address)) for one in servers.values()))
    return [name for name, is_primary in zip(servers, answers, strict=True) if is_primary]


async def _is_primary(client: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await client.get(f"https://{address}:{PATRONI_PORT}/primary")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def _until_redundant(client: httpx.AsyncClient, stack: Stack) -> None:
    end = time.monotonic() + _REDUNDANT_SECONDS
    while time.monotonic() < end:
        if any(member["role"] in SYNCHRONOUS for member in await members_of(client, stack.settings)):
            return
        await asyncio.sleep(_BEAT_SECONDS * 10)
    logs = f"{stack.command('logs', 'NAME')} of the old primary"
    remedy = f"{stack.command('status')}; {logs} tells what keeps it from following"
    raise Failure("the database has no synchronous standby yet", f"not within {_REDUNDANT_SECONDS:g} s", remedy)
