"""Servers and hosts alike: what `./perenne drain` and `undrain` take."""

from machine.failure import Failure
from moves.host import drain_host, undrain_host
from moves.server import drain_server, undrain_server
from moves.site import Site


async def drain(site: Site, name: str) -> None:
    """Take a server or a host out of use.

    Raises:
        Failure: There is none of that name, it may not be now, or it did not succeed.
    """
    if _is_host(site, name):
        await drain_host(site, name)
    else:
        await drain_server(site, name)


async def undrain(site: Site, name: str) -> None:
    """Put it back into service.

    Raises:
        Failure: There is none of that name, or it does not come back.
    """
    if _is_host(site, name):
        await undrain_host(site, name)
    else:
        await undrain_server(site, name)


def _is_host(site: Site, name: str) -> bool:
    settings = site.settings
    if name in settings.hosts or name in settings.servers:
        return name in settings.hosts
    known = ", ".join([*settings.servers, *settings.hosts])
    why = f"{site.stack.file.name} has no server or host of that name"
    raise Failure(f"{name} is unknown", why, f"One of: {known}")
