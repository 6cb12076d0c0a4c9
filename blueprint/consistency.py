"""Rules across the fields of a stack file: what each part says must hold together as one site."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import combinations
from typing import TYPE_CHECKING

from blueprint.mistakes import Mistake
from blueprint.terms import Role

if TYPE_CHECKING:
    from blueprint.settings import Network, Server, Settings


_RESERVED_ROLES = {"postgres", "superuser", "replicator", "replication", "rewind", "backup"}
"""A service's database role has the service's name, and its secret is named after it."""


def mistakes_of(settings: "Settings") -> Iterator[Mistake]:
    """Find everything in `settings` that no site can be, or that no site should be."""
    yield from _datacenter_mistakes(settings)
    yield from _address_mistakes(settings)
    yield from _network_mistakes(settings)
    yield from _reference_mistakes(settings)
    yield from _backup_mistakes(settings)
    yield from _path_mistakes(settings)
    yield from _tier_mistakes(settings)
    yield from _database_mistakes(settings)
    yield from _service_mistakes(settings)


_INVENTORY_FOLDERS = ("vm", "host", "datastore", "network")
"""The folders below every datacenter (vSphere API, `Datacenter`)."""


def _datacenter_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """The vSphere provider cuts a path such as `/vmlabs/vm/lb01` at the first `/vm`, the datacenter's own name."""
    name = settings.vcenter.datacenter
    for folder in _INVENTORY_FOLDERS:
        if name.startswith(folder):
            problem = (
                f"begins with {folder}, where the vSphere provider takes it for the folder: it would see a change in"
            )
            yield Mistake("vcenter.datacenter", name, f"{problem} every server at every run", "choose another name")


def _addresses(settings: "Settings") -> Iterator[tuple[str, IPv4Address, str, "Network | None"]]:
    """Yield every address of the stack file: field, address, and the network that it must lie in."""
    networks = settings.networks
    for name, host in settings.hosts.items():
        yield f"hosts.{name}.address", host.address, "networks.management", networks.management
        for path, address in host.storage.items():
            yield f"hosts.{name}.storage.{path}", address, f"networks.storage.{path}", networks.storage.get(path)
    for name, array in settings.storage.items():
        for path, address in array.portals.items():
            yield f"storage.{name}.portals.{path}", address, f"networks.storage.{path}", networks.storage.get(path)
    for name, server in settings.servers.items():
        yield f"servers.{name}.address", server.address, "networks.guests", networks.guests
    yield "site.address", settings.site.address, "networks.guests", networks.guests
    yield "database.address", settings.database.address, "networks.guests", networks.guests
    yield "networks.guests.gateway", networks.guests.gateway, "networks.guests", networks.guests


def _address_mistakes(settings: "Settings") -> Iterator[Mistake]:
    taken: dict[IPv4Address, str] = {}
    for field, address, where, network in _addresses(settings):
        if network is None:
            yield Mistake(field, address, f"there is no {where}", f"use one of: {', '.join(settings.networks.storage)}")
            continue
        if address not in network.cidr:
            yield Mistake(field, address, f"is outside {where}.cidr, {network.cidr}", "choose an address inside it")
        elif address in (network.cidr.network_address, network.cidr.broadcast_address):
            yield Mistake(field, address, f"is the network or broadcast address of {network.cidr}", "choose another")
        if address in taken:
            yield Mistake(field, address, f"is already the address of {taken[address]}", "give each its own address")
        taken.setdefault(address, field)


def _network_mistakes(settings: "Settings") -> Iterator[Mistake]:
    networks = {"management": settings.networks.management, "guests": settings.networks.guests}
    networks |= {f"storage.{name}": network for name, network in settings.networks.storage.items()}
    for (name, network), (other_name, other) in combinations(networks.items(), 2):
        if name != "management" and network.cidr.overlaps(other.cidr):
            field = f"networks.{other_name}.cidr"
            yield Mistake(
                field, other.cidr, f"overlaps networks.{name}.cidr, {network.cidr}", "give each network its own range"
            )


def _reference_mistakes(settings: "Settings") -> Iterator[Mistake]:
    luns = list(settings.luns)
    for name, server in settings.servers.items():
        if server.host not in settings.hosts:
            remedy = f"use one of: {', '.join(settings.hosts)}"
            yield Mistake(f"servers.{name}.host", server.host, "no such host under hosts", remedy)
        if server.datastore not in luns:
            remedy = f"add the LUN to an array or use one of: {', '.join(luns)}"
            yield Mistake(f"servers.{name}.datastore", server.datastore, "no array has a LUN of that name", remedy)
    seen: dict[str, str] = {}
    for array_name, array in settings.storage.items():
        for name, lun in array.luns.items():
            field = f"storage.{array_name}.luns.{name}"
            if name in seen:
                yield Mistake(field, name, f"the name is taken by {seen[name]}", "give every LUN its own name")
            if lun.naa in seen:
                yield Mistake(
                    f"{field}.naa", lun.naa, f"is already the id of {seen[lun.naa]}", "copy the id from the array"
                )
            seen |= {name: field, lun.naa: field}
    for name in settings.host_keys.keys() - settings.hosts.keys():
        yield Mistake(f"host_keys.{name}", name, "no such host", f"use one of: {', '.join(settings.hosts)}")
    for name in settings.servers.keys() & settings.hosts.keys():
        yield Mistake(f"servers.{name}", name, "a host has the same name", "rename one of them")


def _backup_mistakes(settings: "Settings") -> Iterator[Mistake]:
    for position, name in enumerate(settings.backup.servers):
        if name not in settings.servers:
            remedy = f"use one of: {', '.join(settings.servers)}"
            yield Mistake(f"backup.servers.{position}", name, "no such server under servers", remedy)


def _path_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """Every host and every array is on every storage network."""
    for path, network in settings.networks.storage.items():
        for name, host in settings.hosts.items():
            if path not in host.storage:
                remedy = f"add hosts.{name}.storage.{path} with an address in {network.cidr}"
                yield Mistake(f"hosts.{name}.storage", list(host.storage), f"has no address on network {path}", remedy)
        for name, array in settings.storage.items():
            if path not in array.portals:
                remedy = f"add storage.{name}.portals.{path} with an address in {network.cidr}"
                yield Mistake(
                    f"storage.{name}.portals", list(array.portals), f"has no portal on network {path}", remedy
                )


_TIERS = {Role.BALANCER: (2, 2), Role.APPLICATION: (2, 6), Role.DATABASE: (2, 3), Role.WITNESS: (1, 3)}
"""Fewest and most servers of a tier: VRRP needs no more than a pair; full session replication stays cheap up to six."""

_FEWEST_HOSTS = 3
"""With two hosts, one that is lost leaves no majority of three etcd votes kept on different hosts."""


def _tier_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """Tiers are large enough, and their servers kept apart."""
    if len(settings.hosts) < _FEWEST_HOSTS:
        yield Mistake("hosts", list(settings.hosts), "a quorum needs three hosts", "describe at least three hosts")
    for role, (fewest, most) in _TIERS.items():
        tier = settings.servers_of(role)
        if not fewest <= len(tier) <= most:
            number = f"{fewest} to {most} servers" if fewest < most else f"{fewest} servers"
            problem = f"the {role} tier has {len(tier)} servers"
            yield Mistake("servers", list(tier), problem, f"describe {number} with role: {role}")
        yield from _shared_host_mistakes(settings, tier, f"{role} tier")
    quorum = settings.quorum
    yield from _shared_host_mistakes(settings, quorum, "etcd quorum")
    if len(quorum) % 2 == 0:
        problem = f"give etcd {len(quorum)} votes, an even number"
        yield Mistake("servers", list(quorum), problem, "make it odd by one witness more or less")


def _shared_host_mistakes(settings: "Settings", servers: dict[str, "Server"], group: str) -> Iterator[Mistake]:
    if len(servers) > len(settings.hosts):
        return  # sharing can't be avoided; a quorum that large is refused by the number of its votes
    for (name, server), (other, twin) in combinations(servers.items(), 2):
        if server.host == twin.host:
            remedy = "place it on a host that has none"
            yield Mistake(f"servers.{other}.host", twin.host, f"also runs {name} of the same {group}", remedy)


def _database_mistakes(settings: "Settings") -> Iterator[Mistake]:
    database = settings.database
    if database.loop_wait + 2 * database.retry_timeout > database.ttl:
        problem = f"is less than loop_wait + 2 * retry_timeout = {database.loop_wait + 2 * database.retry_timeout}"
        yield Mistake("database.ttl", database.ttl, problem, "raise ttl or lower the other two")
    if settings.site.vrrp.router_id == database.vrrp.router_id:
        remedy = "give each virtual address its own id"
        yield Mistake("database.vrrp.router_id", database.vrrp.router_id, "is also site.vrrp.router_id", remedy)
    for (name, server), (other, twin) in combinations(settings.servers_of(Role.DATABASE).items(), 2):
        if server.datastore == twin.datastore:
            remedy = "put it on another LUN"
            yield Mistake(f"servers.{other}.datastore", twin.datastore, f"also holds {name} of the same tier", remedy)


def _service_mistakes(settings: "Settings") -> Iterator[Mistake]:
    paths: dict[str, str] = {}
    for name, service in settings.services.items():
        field = f"services.{name}"
        if name in _RESERVED_ROLES:
            yield Mistake(field, name, "is the name of a database role of the platform's own", "choose another name")
        if service.artifact.startswith("http://"):
            yield Mistake(f"{field}.artifact", service.artifact, "is fetched in clear", "use an https URL or a path")
        if service.artifact.startswith("https://") and service.sha256 is None:
            yield Mistake(f"{field}.sha256", None, "a URL needs the checksum of what it must deliver", "add sha256")
        if service.context_path in paths:
            remedy = "give each service its own path"
            yield Mistake(
                f"{field}.context_path", service.context_path, f"is taken by {paths[service.context_path]}", remedy
            )
        paths.setdefault(service.context_path, name)
        if not service.health_path.startswith(service.context_path):
            remedy = f"begin it with {service.context_path}"
            yield Mistake(
                f"{field}.health_path", service.health_path, "is not below the service's context_path", remedy
            )
