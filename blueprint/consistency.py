"""Rules across the fields of a stack file: what each part says must hold together as one site."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import TYPE_CHECKING

from blueprint.mistakes import Mistake
from blueprint.terms import VMOTION_PORT_GROUP, Role, storage_port_group

if TYPE_CHECKING:
    from blueprint.settings import Network, Server, Settings


_RESERVED_ROLES = {"postgres", "superuser", "replicator", "replication", "rewind", "backup"}
"""A service's database role has the service's name, and its secret is named after it."""


def mistakes_of(settings: "Settings") -> Iterator[Mistake]:
    """Find everything in `settings` that no site can be, or that no site should be."""
    yield from _datacenter_mistakes(settings)
    yield from _vcenter_mistakes(settings)
    yield from _address_mistakes(settings)
    yield from _network_mistakes(settings)
    yield from _switch_mistakes(settings)
    yield from _reference_mistakes(settings)
    yield from _name_mistakes(settings)
    yield from _full_name_mistakes(settings)
    yield from _array_mistakes(settings)
    yield from _backup_mistakes(settings)
    yield from _path_mistakes(settings)
    yield from _vmotion_mistakes(settings)
    yield from _size_mistakes(settings)
    yield from _tier_mistakes(settings)
    yield from _database_mistakes(settings)
    yield from _fencing_mistakes(settings)
    yield from _download_mistakes(settings)
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
        if host.vmotion and networks.vmotion:
            yield f"hosts.{name}.vmotion", host.vmotion, "networks.vmotion", networks.vmotion
    for name, array in settings.storage.items():
        for path, address in array.portals.items():
            yield f"storage.{name}.portals.{path}", address, f"networks.storage.{path}", networks.storage.get(path)
    for name, server in settings.servers.items():
        yield f"servers.{name}.address", server.address, "networks.guests", networks.guests
    yield "site.address", settings.site.address, "networks.guests", networks.guests
    yield "database.address", settings.database.address, "networks.guests", networks.guests
    yield "networks.guests.gateway", networks.guests.gateway, "networks.guests", networks.guests


def _vcenter_mistakes(settings: "Settings") -> Iterator[Mistake]:
    vcenter = settings.vcenter
    if vcenter.address and not vcenter.is_named:
        problem = f"vcenter.server is an address already, {vcenter.host}"
        yield Mistake("vcenter.address", vcenter.address, problem, "remove it, or write vCenter's name as server")
    if settings.has_fencing and vcenter.known_address is None:
        problem = f"the fencing agents on servers, which ask no DNS, can't find {vcenter.host}"
        yield Mistake("vcenter.address", None, problem, "add vCenter's address, or remove fencing.user")


def _address_mistakes(settings: "Settings") -> Iterator[Mistake]:
    misplaced = dict(_misplaced_networks(settings))
    yield from misplaced.values()
    taken: dict[IPv4Address, str] = {}
    for field, address, where, network in _addresses(settings):
        if network is None:
            yield Mistake(field, address, f"there is no {where}", f"use one of: {', '.join(settings.networks.storage)}")
            continue
        if where in misplaced:
            pass  # of which its addresses are no mistakes
        elif address not in network.cidr:
            yield Mistake(field, address, f"is outside {where}.cidr, {network.cidr}", "choose an address inside it")
        elif address in (network.cidr.network_address, network.cidr.broadcast_address):
            yield Mistake(field, address, f"is the network or broadcast address of {network.cidr}", "choose another")
        if address in taken:
            yield Mistake(field, address, f"is already the address of {taken[address]}", "give each its own address")
        taken.setdefault(address, field)
    # vCenter and BMCs may be in networks of their own, of which the site knows nothing else.
    elsewhere = {"vcenter.address": settings.vcenter.address}
    elsewhere |= {f"hosts.{name}.bmc.address": host.bmc.address for name, host in settings.hosts.items()}
    for field, known in elsewhere.items():
        if known in taken:
            yield Mistake(field, known, f"is already the address of {taken[known]}", "give each its own address")
        elif known is not None:
            taken[known] = field


def _misplaced_networks(settings: "Settings") -> Iterator[tuple[str, Mistake]]:
    """Networks in which none of their addresses lies: one mistake, not as many as there are addresses."""
    members: dict[str, list[tuple[str, IPv4Address]]] = {}
    ranges: dict[str, IPv4Network] = {}
    for field, address, where, network in _addresses(settings):
        if network is not None:
            members.setdefault(where, []).append((field, address))
            ranges[where] = network.cidr
    for where, found in members.items():
        if not any(address in ranges[where] for _, address in found):
            field, address = found[0]
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            problem = f"has none of its addresses, {field} = {address}{more}"
            yield where, Mistake(f"{where}.cidr", ranges[where], problem, "correct the network, or the addresses")


def _network_mistakes(settings: "Settings") -> Iterator[Mistake]:
    networks = {"management": settings.networks.management, "guests": settings.networks.guests}
    networks |= {f"storage.{name}": network for name, network in settings.networks.storage.items()}
    if settings.networks.vmotion:
        networks["vmotion"] = settings.networks.vmotion
    for (name, network), (other_name, other) in combinations(networks.items(), 2):
        # Servers may be on the hosts' network. Storage may not: a portal there is reached from the management adapter.
        if (name != "management" or other_name.startswith("storage.")) and network.cidr.overlaps(other.cidr):
            field = f"networks.{other_name}.cidr"
            yield Mistake(
                field, other.cidr, f"overlaps networks.{name}.cidr, {network.cidr}", "give each network its own range"
            )
    (first, network), *others = settings.networks.storage.items()
    for name, other in others:
        if other.mtu != network.mtu:
            problem = f"differs from networks.storage.{first}.mtu, {network.mtu}; hosts use both paths in turn"
            yield Mistake(f"networks.storage.{name}.mtu", other.mtu, problem, "give every storage network the same")


def _switch_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """A physical adapter is an uplink of one switch only."""
    switches = {"guests": settings.switches.guests, "storage": settings.switches.storage}
    taken: dict[str, str] = {}
    for name, switch in switches.items():
        for position, uplink in enumerate(switch.uplinks):
            field = f"switches.{name}.uplinks.{position}"
            if uplink in taken:
                yield Mistake(field, uplink, f"is already {taken[uplink]}", "give every uplink its own adapter")
            taken.setdefault(uplink, field)
        if switch.name == _MANAGEMENT_SWITCH:
            yield Mistake(f"switches.{name}.name", switch.name, "is ESXi's own switch", "choose another name")
    if switches["guests"].name == switches["storage"].name:
        problem = "is already the name of switches.guests"
        yield Mistake("switches.storage.name", switches["storage"].name, problem, "choose another name")
    port_group = settings.networks.guests.port_group
    if port_group in {
        *_MANAGEMENT_PORT_GROUPS,
        VMOTION_PORT_GROUP,
        *map(storage_port_group, settings.networks.storage),
    }:
        problem = "is the name of another port group of every host"
        yield Mistake("networks.guests.port_group", port_group, problem, "choose another name")


_MANAGEMENT_SWITCH = "vSwitch0"
"""Made by ESXi's installer; it carries the host's management."""
_MANAGEMENT_PORT_GROUPS = ("Management Network", "VM Network")
"""Made by it, too; names of port groups are unique on a host."""


def _reference_mistakes(settings: "Settings") -> Iterator[Mistake]:
    luns = list(settings.luns)
    for name, server in settings.servers.items():
        if server.host not in settings.hosts:
            remedy = f"use one of: {', '.join(settings.hosts)}"
            yield Mistake(f"servers.{name}.host", server.host, "no such host under hosts", remedy)
        if server.datastore in settings.local_datastores.keys() - luns:
            yield from _local_disk_mistakes(settings, name)
        elif server.datastore not in luns:
            remedy = f"add the LUN to an array or use one of: {', '.join(luns)}"
            yield Mistake(f"servers.{name}.datastore", server.datastore, "no array has a LUN of that name", remedy)
    for name in settings.logins.keys() - settings.services.keys():
        yield Mistake(f"logins.{name}", name, "no such service", f"use one of: {', '.join(settings.services)}")
    for name, login in settings.logins.items():
        if login not in (name, f"{name}_b"):
            yield Mistake(f"logins.{name}", login, "no role of the service's", f"write {name} or {name}_b")
    yield from _host_key_mistakes(settings)


_MACHINES = ("servers", "hosts", "storage")
_TAKEN_NAMES = {
    "site": (_MACHINES[:1], "tls-site is the secret of the certificate that users see, not of a server's"),
    "authority": (_MACHINES[:1], "tls-authority is the secret of the authority that signs servers' certificates"),
    "database": (_MACHINES[:2], "is what hosts files call the virtual address of the primary"),
    "localhost": (_MACHINES[:2], "is every server's name for itself (RFC 6761, 6.3)"),
    "vcenter": (_MACHINES, "is what hosts files and the lab call vCenter"),
    "client": (_MACHINES, "is what the lab, in which every stack can be rehearsed, calls its client"),
}
"""Names that something else has: the parts of a stack file that can't use each, and why."""


def _name_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """No machine is called as something else is in hosts files, among the secrets or in the lab."""
    taken = dict(_TAKEN_NAMES)
    for host, described in settings.hosts.items():
        if described.bmc.address:
            problem = f"is what the lab, in which every stack can be rehearsed, calls the BMC of {host}"
            taken[f"{host}-bmc"] = (_MACHINES, problem)
    for name, (parts, problem) in taken.items():
        for part in parts:
            if name in getattr(settings, part):
                yield Mistake(f"{part}.{name}", name, problem, "choose another name")
    for name in settings.servers.keys() & settings.hosts.keys():
        yield Mistake(f"servers.{name}", name, "a host has the same name", "rename one of them")
    for name in settings.storage:
        if name in settings.servers or name in settings.hosts:
            problem = f"a {'server' if name in settings.servers else 'host'} has the same name"
            yield Mistake(f"storage.{name}", name, problem, "rename one of them")
        if f"mutual-{name}" in settings.storage:
            problem = f"its secret chap-mutual-{name} is also the one by which array {name} proves itself to the hosts"
            yield Mistake(f"storage.mutual-{name}", f"mutual-{name}", problem, "rename one of them")


def _full_name_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """The names that are given in full, the site's and vCenter's, belong to nothing else in the hosts files."""
    known = {settings.fqdn(name): f"servers.{name}" for name in settings.servers}
    known |= {settings.fqdn(name): f"hosts.{name}" for name in settings.hosts}
    known[settings.fqdn("database")] = "database.address"
    if settings.vcenter.is_named and settings.vcenter.host in known:
        problem = f"is the full name of {known[settings.vcenter.host]}"
        yield Mistake("vcenter.server", settings.vcenter.server, problem, "write vCenter's own name or address")
    known[settings.vcenter_name] = "vcenter.server"
    if settings.site.name in known:
        problem = f"is the full name of {known[settings.site.name]}, which has another address"
        yield Mistake("site.name", settings.site.name, problem, "choose a name of the site's own")


def _host_key_mistakes(settings: "Settings") -> Iterator[Mistake]:
    for name, key in settings.host_keys.items():
        if name not in settings.hosts:
            yield Mistake(f"host_keys.{name}", name, "no such host", f"use one of: {', '.join(settings.hosts)}")
        if key.startswith("ssh-rsa "):  # pulumi-command (1.2.1) offers no algorithm but the one that is named so
            problem = "by an RSA key the host would be asked for signatures with SHA-1, which ESXi refuses"
            yield Mistake(f"host_keys.{name}", key, problem, "take it out: ./perenne init asks for the ECDSA key")


def _local_disk_mistakes(settings: "Settings", name: str) -> Iterator[Mistake]:
    """On a host's own disk a server starts nowhere else: only a vote that others can do without may lie there."""
    server = settings.servers[name]
    field, host = f"servers.{name}.datastore", settings.local_datastores[server.datastore]
    if server.host != host:
        problem = f"is on {host}'s own disk, and the server runs on {server.host}"
        yield Mistake(field, server.datastore, problem, "put both on one host")
    elif server.role is not Role.WITNESS:
        problem = f"is on {server.host}'s own disk, where vSphere HA can't reach it: only a witness may lie there"
        yield Mistake(field, server.datastore, problem, "name the datastore of a LUN")
    elif name in settings.backup.servers:
        problem = f"is on {server.host}'s own disk, and {name} keeps backups"
        yield Mistake(field, server.datastore, problem, "have another server keep them, such as one of role: backup")
    votes = [vote.datastore for vote in settings.quorum.values()]
    shared = [datastore for datastore in votes if datastore not in settings.local_datastores]
    if 2 * len(shared) <= len(votes):
        problem = f"leaves {len(shared)} of {len(votes)} votes where vSphere HA can restart them"
        yield Mistake(field, server.datastore, problem, "put a majority of the votes on LUNs")


def _array_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """Nothing that tells one array or LUN from another is there twice."""
    targets: dict[str, str] = {}
    for name, array in settings.storage.items():
        field = f"storage.{name}.iqn"
        if array.iqn in targets:
            yield Mistake(field, array.iqn, f"is already {targets[array.iqn]}", "copy the name from the array")
        targets.setdefault(array.iqn, field)
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
    for host, described in settings.hosts.items():
        local, field = described.local_datastore, f"hosts.{host}.local_datastore"
        if local in seen:
            yield Mistake(field, local, f"the name is taken by {seen[local]}", "rename it in vCenter")
        if local:
            seen[local] = field


def _backup_mistakes(settings: "Settings") -> Iterator[Mistake]:
    for name in settings.servers_of(Role.BACKUP):
        if name not in settings.backup.servers:
            remedy = "add it to backup.servers, or remove the server"
            yield Mistake(f"servers.{name}.role", "backup", "keeps no backups: backup.servers does not name it", remedy)
    for position, name in enumerate(settings.backup.servers):
        if name in settings.backup.servers[:position]:
            yield Mistake(f"backup.servers.{position}", name, "is listed twice", "remove one of them")
        if name not in settings.servers:
            remedy = f"use one of: {', '.join(settings.servers)}"
            yield Mistake(f"backup.servers.{position}", name, "no such server under servers", remedy)


def _vmotion_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """Every host takes part in vMotion, or none does."""
    network = settings.networks.vmotion
    for name, host in settings.hosts.items():
        if network and not host.vmotion:
            remedy = f"add an address in {network.cidr}"
            yield Mistake(f"hosts.{name}.vmotion", None, "the host has no address in networks.vmotion", remedy)
        elif host.vmotion and not network:
            yield Mistake(f"hosts.{name}.vmotion", host.vmotion, "there is no networks.vmotion", "describe it")


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


def _size_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """A server fits into its host and its datastore, and a Java heap into its server."""
    for name, server in settings.servers.items():
        host, lun = settings.hosts.get(server.host), settings.luns.get(server.datastore)
        sizes = [("disk_gib", server.disk_gib, lun.size_gib, f"size_gib of {server.datastore}")] if lun else []
        if host:
            sizes += [
                ("cpus", server.cpus, host.cpus, f"cpus of {server.host}"),
                ("memory_mib", server.memory_mib, host.memory_gib * 1024, f"memory of {server.host}"),
            ]
        for key, wanted, there, what in sizes:
            if wanted > there:
                yield Mistake(f"servers.{name}.{key}", wanted, f"is more than the {what}, {there}", "lower it")
    for name, server in settings.servers_of(Role.APPLICATION).items():
        if settings.wildfly.heap_mib >= server.memory_mib:
            problem = f"leaves no memory to {name}, which has {server.memory_mib} MiB"
            yield Mistake("wildfly.heap_mib", settings.wildfly.heap_mib, problem, "lower it, or give the servers more")
            break


_TIERS = {
    Role.BALANCER: (2, 2),
    Role.APPLICATION: (2, 6),
    Role.DATABASE: (2, 3),
    Role.WITNESS: (0, 3),
    Role.BACKUP: (0, 2),
}
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


def _fencing_mistakes(settings: "Settings") -> Iterator[Mistake]:
    fencing = settings.fencing
    for name, host in settings.hosts.items():
        field = f"hosts.{name}.bmc"
        if host.bmc.address is not None and not host.bmc.user:
            yield Mistake(f"{field}.user", None, "the BMC lets nobody in without a user", "add the user")
        if settings.has_fencing and host.bmc.address is None:
            problem = "fencing can't make sure that a server on a lost host is off"
            yield Mistake(f"{field}.address", None, problem, "add the BMC's address, or remove fencing.user")
    if not settings.has_fencing:
        return
    if fencing.user == settings.vcenter.user:
        problem = "is vcenter.user too, who may do far more than power servers off"
        yield Mistake("fencing.user", fencing.user, problem, "give fencing an account of its own")
    if fencing.patience_seconds >= settings.database.ttl:
        problem = f"is not below database.ttl, {settings.database.ttl}, after which the lease has run out anyway"
        yield Mistake("fencing.patience_seconds", fencing.patience_seconds, problem, "lower it")
    if fencing.host_patience_seconds > fencing.patience_seconds:
        problem = f"is more than patience_seconds, {fencing.patience_seconds:g}, though a silent host is a surer sign"
        yield Mistake("fencing.host_patience_seconds", fencing.host_patience_seconds, problem, "lower it")


def _download_mistakes(settings: "Settings") -> Iterator[Mistake]:
    """What is fetched is encrypted on its way, and known by its checksum."""
    artifacts = [
        (f"services.{name}", "artifact", service.artifact, service.sha256)
        for name, service in settings.services.items()
    ]
    for field, key, address, checksum in [
        *artifacts,
        ("wildfly", "url", settings.wildfly.url, settings.wildfly.sha256),
    ]:
        if "://" not in address:
            continue
        if not address.startswith("https://"):
            yield Mistake(f"{field}.{key}", address, "is fetched in clear", "use an https URL or a path")
        elif checksum is None:
            yield Mistake(f"{field}.sha256", None, "a URL needs the checksum of what it must deliver", "add sha256")
    image = settings.template.ova
    if bool(image) == bool(settings.template.library):
        remedy = "name an OVA, or the content library that has the template, and not both"
        yield Mistake("template.ova", image, "is not the one source of the template", remedy)
    if "://" in image and not image.startswith("https://"):
        yield Mistake("template.ova", image, "is fetched in clear", "use an https URL or a path")


def _service_mistakes(settings: "Settings") -> Iterator[Mistake]:
    paths: dict[str, str] = {}
    for name, service in settings.services.items():
        field = f"services.{name}"
        if name in _RESERVED_ROLES:
            yield Mistake(field, name, "is the name of a database role of the platform's own", "choose another name")
        if service.context_path in paths:
            remedy = "give each service its own path"
            yield Mistake(
                f"{field}.context_path", service.context_path, f"is taken by {paths[service.context_path]}", remedy
            )
        paths.setdefault(service.context_path, name)
        if not f"{service.health_path}/".startswith(f"{service.context_path}/"):
            remedy = f"begin it with {service.context_path}"
            yield Mistake(
                f"{field}.health_path", service.health_path, "is not below the service's context_path", remedy
            )
