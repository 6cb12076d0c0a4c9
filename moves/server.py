"""A server is taken out of use, so that it can be stopped, and back; it knows itself how (components/guest/*/drain)."""

from blueprint.terms import Role
from machine.failure import Failure
from moves.site import Site, allow, until_whole
from stack import drained_servers

DRAIN = "/usr/local/lib/perenne/drain"
UNDRAIN = "/usr/local/lib/perenne/undrain"

DRAIN_SECONDS = 300.0
"""How long either may take: requests end, a former primary follows, a standby catches up."""

_BACKUP_RUNS = "systemctl show --property=ActiveState --value perenne-backup.service"
_RISK = {
    Role.BALANCER: "the other balancer is alone: without it nobody reaches the site",
    Role.APPLICATION: "the others carry all requests: with two servers, one is alone",
    Role.DATABASE: "no standby takes over: without the primary the database stops, and nothing acknowledged is lost",
    Role.BACKUP: "no user needs it, and nothing is backed up",
    Role.WITNESS: "every vote of etcd that is left is needed: without one more there is no primary",
}
"""What one more failure would do while a server of a role is drained."""


async def drain_server(site: Site, name: str) -> None:
    """Take a server out of use.

    Raises:
        Failure: Redundancy does not allow it, or it did not succeed.
    """
    await allow(site, name)
    await take_out(site, name)
    found = await until_whole(site, away=(name,))
    if name not in found.drained:
        raise _not_so(site, name, f"{name} does not say that it is drained")
    if missing := found.missing((name,)):
        raise _not_so(site, name, "; ".join(missing))
    site.say(f"{name} is drained: it may be stopped. Meanwhile {_RISK[site.settings.servers[name].role]}.")


async def undrain_server(site: Site, name: str) -> None:
    """Put a server back into service; does nothing to one that is in service.

    Raises:
        Failure: It does not come back.
    """
    await bring_back(site, name)
    found = await until_whole(site)
    if name in found.drained:
        raise Failure(
            f"{name} is still drained", "it says so", f"{site.stack.command('logs', name)} shows what it did."
        )
    if missing := found.missing():
        why = f"{name} is back, but the site is not whole: {'; '.join(missing)}"
        raise Failure("redundancy is not back yet", why, f"Look at {site.stack.command('status')}")
    site.say(f"{name} is in service again, and the site is whole.")


async def take_out(site: Site, name: str) -> None:
    """Have a server take itself out of use; whether that is allowed has been looked at.

    Raises:
        Failure: It can't, or a base backup is being taken there.
    """
    if name in site.settings.backup.servers:
        await _check_backup(site, name)
    remedy = f"Mend that and run this again, or take back what was begun: {site.stack.command('undrain', name)}"
    drained_servers.note(site.stack, name)  # before: a drain whose end nobody sees may succeed
    await _run(site, name, DRAIN, f"{name} is not drained", remedy)


async def bring_back(site: Site, name: str) -> None:
    """Have a server put itself back into service.

    Raises:
        Failure: It can't.
    """
    remedy = f"See {site.stack.command('logs', name)}, then run this again."
    await _run(site, name, UNDRAIN, f"{name} is not in service yet", remedy)
    drained_servers.forget(site.stack, name)


async def _run(site: Site, name: str, program: str, what: str, remedy: str) -> None:
    """Run a server's own program, and tell what it says.

    Raises:
        Failure: With `what` and `remedy`; why, the program or the connection says.
    """
    try:
        said = await site.hands.shell(name, program, seconds=DRAIN_SECONDS)
    except Failure as failure:
        raise Failure(what, failure.why, remedy) from failure
    for line in said.splitlines():
        site.say(f"{name}: {line}")


async def _check_backup(site: Site, name: str) -> None:
    """A base backup takes hours, and would be lost; the log is fetched afterwards.

    Raises:
        Failure: One is being taken.
    """
    if await site.hands.shell(name, _BACKUP_RUNS) == "activating":
        remedy = f"Wait for it: {site.stack.command('logs', name, '-u', 'perenne-backup', '-f')}"
        raise Failure(f"{name} can't be drained now", "a base backup is being taken there, and would be lost", remedy)
    site.say(
        f"{name} keeps backups: while it is off it receives no log of PostgreSQL's; afterwards it fetches that, as far"
        " back as wal_keep_size lasts, and takes a base backup that it missed."
    )


def _not_so(site: Site, name: str, why: str) -> Failure:
    remedy = f"Don't stop it. Back into service: {site.stack.command('undrain', name)}"
    return Failure(f"{name} is not drained as it should be", why, remedy)
