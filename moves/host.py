"""A host is emptied, so that it can be updated, and its servers come home; they run on all the while (vMotion).

A witness whose disk is the host's own is shut down instead, and started again.
"""

from machine.failure import Failure
from moves.placing import check_own, places, tied_to
from moves.restarting import started
from moves.server import bring_back, take_out
from moves.site import Look, Site, allow, look, until_whole
from moves.vcenter import HostState

EMPTY_SECONDS = 1800.0
"""How long vCenter may take to empty a host: the memory of every server crosses the vMotion network."""


async def drain_host(site: Site, name: str) -> None:
    """Move every server of a host away, and take it into maintenance mode.

    Raises:
        Failure: Redundancy or the other hosts do not allow it, or vCenter could not.
    """
    tied = tied_to(site.settings, name)
    found = await allow(site, name, tied)
    host = _state(found, name)
    if not host.in_maintenance:
        # Also with DRS: where there is no room, vCenter would only say so after its time is over.
        plan = places(site.stack, found.hosts, host)
        if not site.settings.vcenter.edition.has_drs:
            check_own(site.settings, host)
            for server, target in plan.items():
                site.say(f"{server} moves to {target}")
                await site.vcenter.migrate(server, target)
        for server in tied:
            if server in host.runs:
                await _stop(site, server)
        await site.vcenter.enter_maintenance(name, seconds=EMPTY_SECONDS, powered_off=False)
    found = await until_whole(site, away=(name, *tied))
    if missing := found.missing((name, *tied)):
        remedy = f"Back into service: {site.stack.command('undrain', name)}"
        raise Failure(f"{name} is empty, but the site is not whole", "; ".join(missing), remedy)
    gone = [server for server in host.runs if server in site.settings.servers and server not in tied]
    moved = [f"{server} to {found.host_of(server)}" for server in gone]
    if moved:
        site.say(f"moved: {', '.join(moved)}")
    site.say(f"{name} is in maintenance mode and empty. Meanwhile one more host must not fail.")


async def undrain_host(site: Site, name: str) -> None:
    """Take a host out of maintenance mode, and bring its servers home.

    Raises:
        Failure: vCenter could not.
    """
    found = await look(site)
    host = _state(found, name)
    if not host.connected:
        why = "it is not connected to vCenter"
        raise Failure(f"{name} can't go back into service", why, "Wait until it has started, or connect it in vCenter.")
    if host.in_maintenance:
        await site.vcenter.exit_maintenance(name)
    tied = tied_to(site.settings, name)
    for server in tied:
        site.say(f"{server} starts")
        await site.vcenter.power_on(server)
        await started(site, server)
        await bring_back(site, server)
    for server, described in site.settings.servers.items():
        if described.host == name and server not in tied and found.host_of(server) != name:
            site.say(f"{server} comes home from {found.host_of(server)}")
            await site.vcenter.migrate(server, name)
    found = await until_whole(site)
    if missing := found.missing():
        why = f"{name} is back, but the site is not whole: {'; '.join(missing)}"
        raise Failure("redundancy is not back yet", why, f"Look at {site.stack.command('status')}")
    site.say(f"{name} is in service again with its servers, and the site is whole.")


async def _stop(site: Site, server: str) -> None:
    """Shut a server down whose disk no other host has: in the tier of the votes, which the others outvote meanwhile."""
    site.say(f"{server} can't move, as its disk is the host's own: it is drained and shut down")
    await take_out(site, server)
    await site.vcenter.shut_down(server)


def _state(found: Look, name: str) -> HostState:
    for host in found.hosts:
        if host.name == name:
            return host
    remedy = f"Run {found.standing.stack.command('up')}."
    raise Failure(f"{name} is not in vCenter", "nothing there has that name", remedy)
