"""A server that is drained is restarted, and waited for."""

import asyncio

from machine.failure import Failure
from moves.site import Site, clock

BOOT_SECONDS = 600.0
"""How long a server may take until it answers over SSH again; file systems may be checked meanwhile."""

_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 1.0

# A container has its machine's boot id, so that it is told by its first process.
_WHICH_BOOT = "cat /proc/sys/kernel/random/boot_id\nawk '{ print $22 }' /proc/1/stat\n"
# Not at once: this very command is to end well first.
_REBOOT = "systemd-run --quiet --on-active=1s systemctl reboot\n"
_STARTED = "until [[ $(systemctl is-system-running 2>&1) =~ ^(running|degraded)$ ]]; do sleep 0.2; done\n"
"""Waits for the units that start at boot; one that failed shows when the server is put back into service.

A container of the lab is entered before its systemd can be asked, which `--wait` takes for an answer."""


async def restart(site: Site, name: str) -> None:
    """Restart a server and wait until it has started.

    Raises:
        Failure: It can't be reached, or does not come back.
    """
    before = await site.hands.shell(name, _WHICH_BOOT)
    await site.hands.shell(name, _REBOOT)
    await started(site, name, before)


async def started(site: Site, name: str, before: str = "") -> None:
    """Wait until a server has started; `before` is the boot that does not count.

    Raises:
        Failure: It does not answer in time.
    """
    began = clock()
    while await _boot_of(site, name) in ("", before):
        if clock() - began > BOOT_SECONDS:
            remedy = f"Look at its console in vCenter. Once it runs: {site.stack.command('undrain', name)}"
            raise Failure(f"{name} did not come back", f"not within {BOOT_SECONDS:g} s of its start", remedy)
        await asyncio.sleep(_POLL_SECONDS)
    await site.hands.shell(name, _STARTED, seconds=BOOT_SECONDS)


async def _boot_of(site: Site, name: str) -> str:
    """Which boot a server is in; empty while it does not answer."""
    try:
        return await site.hands.shell(name, _WHICH_BOOT, seconds=_ANSWER_SECONDS)
    except Failure:
        return ""
