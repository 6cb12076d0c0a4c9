"""The hosts file, alike on every server: the site has no DNS server, so that none can fail."""

from collections.abc import Iterator

from blueprint.settings import Settings


def hosts_file(settings: Settings) -> str:
    """Render /etc/hosts with every host, server and virtual address of the site (hosts(5))."""
    return "".join(f"{address}\t{names}\n" for address, names in _entries(settings))


def _entries(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "127.0.0.1", "localhost"
    yield "::1", "localhost ip6-localhost ip6-loopback"
    if settings.vcenter.known_address:  # fencing agents ask vCenter, and verify its name
        yield str(settings.vcenter.known_address), f"{settings.vcenter_name} vcenter"
    for name, machine in (settings.hosts | settings.servers).items():
        yield str(machine.address), f"{settings.fqdn(name)} {name}"
    yield str(settings.site.address), settings.site.name
    yield str(settings.database.address), settings.fqdn("database")
