"""A site's logical and physical design as one page, made from its stack file: `./perenne describe STACK`."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address

from blueprint.forecast import forecast
from blueprint.settings import Network, Server, Settings
from blueprint.terms import VMOTION_PORT_GROUP, Certificate, Role, storage_port_group

_MANAGEMENT_SWITCH = "vSwitch0"
_ISCSI_PORT = 3260
_MIB_PER_GIB = 1024
_DOES = {
    Role.BALANCER: "Apache httpd with TLS; keepalived holds the site's address",
    Role.APPLICATION: "WildFly; sessions are kept on every node",
    Role.DATABASE: "PostgreSQL under Patroni, one primary and synchronous replication; an etcd vote",
    Role.WITNESS: "a further etcd vote",
    Role.BACKUP: "base backups of the database, and its WAL, streamed",
}


def description(settings: Settings, stack: str) -> str:
    """Return the page as Markdown; the same settings give the same page."""
    sections = [
        _head(settings, stack),
        _logical(settings),
        _networks(settings),
        _cabling(settings),
        _addresses(settings),
        _luns(settings),
        _placement(settings),
        _losses(settings),
        _implementation(stack),
        _tests(settings, stack),
        _monitoring(settings, stack),
    ]
    return "\n".join(sections)


def _head(settings: Settings, stack: str) -> str:
    return (
        f"# {settings.site.name}: the site of stack `{stack}`\n\n"
        f"Made from `Pulumi.{stack}.yaml` by `./perenne describe {stack}`.\n"
        "What was asked for is in docs/site/README.md.\n"
    )


def _logical(settings: Settings) -> str:
    tiers = [
        (role, ", ".join(f"`{name}`" for name in tier), does)
        for role, does in _DOES.items()
        if (tier := settings.servers_of(role))
    ]
    services = [
        (
            name,
            f"https://{settings.site.name}{service.context_path}/",
            "yes" if service.database else "no",
            f"`{service.health_path}`",
        )
        for name, service in settings.services.items()
    ]
    votes = len(settings.quorum)
    return _section(
        "Logical design",
        _table(("tier", "servers", "does"), tiers),
        _table(("service", "users reach it at", "database", "balancers ask"), services),
        f"One server of a tier may go: another one does the same. Of {votes} etcd votes {votes // 2 + 1} must be there"
        " for a primary to be elected.",
    )


def _networks(settings: Settings) -> str:
    networks = settings.networks
    guests = networks.guests
    rows = [
        ("management", networks.management, _MANAGEMENT_SWITCH, "ESXi's own", ""),
        ("guests", guests, settings.switches.guests.name, guests.port_group, guests.gateway),
        *(
            [("vMotion", networks.vmotion, settings.switches.guests.name, VMOTION_PORT_GROUP, "")]
            if networks.vmotion
            else []
        ),
        *(
            (f"storage {path}", network, settings.switches.storage.name, storage_port_group(path), "")
            for path, network in networks.storage.items()
        ),
    ]
    told = [
        (name, network.cidr, network.vlan or "untagged", network.mtu, switch, port_group, gateway)
        for name, network, switch, port_group, gateway in rows
    ]
    return _section(
        "Physical design: networks",
        _table(("network", "range", "VLAN", "MTU, bytes", "virtual switch", "port group", "gateway"), told),
    )


def _cabling(settings: Settings) -> str:
    paths = list(settings.networks.storage.items())
    rows: list[Sequence[object]] = []
    for host in settings.hosts:
        for number, uplink in enumerate(settings.switches.guests.uplinks):
            vmotion = settings.networks.vmotion
            carries = _carried("guests", settings.networks.guests) + (
                f", {_carried('vMotion', vmotion)}" if vmotion else ""
            )
            rows.append((host, uplink, settings.switches.guests.name, _letter(number), carries))
        uplinks = settings.switches.storage.uplinks
        for number, uplink in enumerate(uplinks):
            carried = [
                _carried(f"storage {path}", network)
                for position, (path, network) in enumerate(paths)
                if position % len(uplinks) == number
            ]
            rows.append(
                (host, uplink, settings.switches.storage.name, _letter(number), ", ".join(carried) or "nothing")
            )
    for array, described in settings.storage.items():
        for position, (path, network) in enumerate(paths):
            port = f"port with {described.portals[path]}"
            switch = _letter(position % len(settings.switches.storage.uplinks))
            rows.append((array, port, "", switch, _carried(f"storage {path}", network)))
    return _section(
        "Physical design: cabling",
        f"Each letter is a physical switch of its own. {_MANAGEMENT_SWITCH} and its uplinks are ESXi's own and not in"
        " the stack file: give it two, to different switches.",
        _table(("machine", "adapter", "virtual switch", "to switch", "carries"), rows),
    )


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _carried(name: str, network: Network) -> str:
    return f"{name} ({f'VLAN {network.vlan}' if network.vlan else 'untagged'})"


def _addresses(settings: Settings) -> str:
    rows = sorted(_taken(settings))
    return _section(
        "Physical design: addresses",
        "No DNS server: every server carries the same hosts file.",
        _table(("address", "name", "what"), rows),
    )


def _taken(settings: Settings) -> Iterator[tuple[IPv4Address, str, str]]:
    for name, host in settings.hosts.items():
        yield host.address, settings.fqdn(name), "ESXi host, management"
        for path, address in host.storage.items():
            yield address, settings.fqdn(name), f"ESXi host, VMkernel adapter on storage {path}"
        if host.vmotion:
            yield host.vmotion, settings.fqdn(name), "ESXi host, VMkernel adapter for vMotion"
    for name, array in settings.storage.items():
        for path, address in array.portals.items():
            yield address, name, f"array, portal on storage {path}, port {_ISCSI_PORT}"
    for name, server in settings.servers.items():
        yield server.address, settings.fqdn(name), str(server.role)
    if settings.vcenter.known_address:
        yield settings.vcenter.known_address, settings.vcenter_name, "vCenter"
    yield settings.networks.guests.gateway, "", "gateway of the servers"
    yield settings.site.address, settings.site.name, "virtual, at one of the balancers: what users reach"
    yield settings.database.address, settings.fqdn("database"), "virtual, at the primary"


def _luns(settings: Settings) -> str:
    arrays = [
        (name, f"`{array.iqn}`", array.chap.user, array.chap.mutual_user) for name, array in settings.storage.items()
    ]
    rows = []
    for array_name, array in settings.storage.items():
        for name, lun in array.luns.items():
            disks, swap = _needed(server for server in settings.servers.values() if server.datastore == name)
            on_it = ", ".join(server for server, described in settings.servers.items() if described.datastore == name)
            left = lun.size_gib - disks - swap
            rows.append((name, array_name, f"`{lun.naa}`", lun.size_gib, on_it, disks, swap, left))
    own = [
        (datastore, host, ", ".join(lying), *_needed(settings.servers[name] for name in lying))
        for datastore, host in settings.local_datastores.items()
        if (lying := [name for name, server in settings.servers.items() if server.datastore == datastore])
    ]
    return _section(
        "Physical design: LUNs",
        _table(("array", "target", "CHAP user of the hosts", "CHAP user of the array"), arrays),
        "A datastore per LUN, seen by every host on every path. Disks are counted as if they were full, and every"
        " server that runs has a swap file of its memory's size. The template lies on the first datastore, too.",
        _table(("datastore", "array", "LUN", "GiB", "servers", "their disks", "swap files", "left"), rows),
        *(
            (
                "On hosts' own disks, for votes that hold no data and need not start elsewhere:",
                _table(("datastore", "host", "servers", "their disks", "swap files"), own),
            )
            if own
            else ()
        ),
    )


def _needed(servers: Iterable[Server]) -> tuple[int, int]:
    """GiB of disk and of memory, rounded up."""
    found = list(servers)
    return sum(server.disk_gib for server in found), -(-sum(server.memory_mib for server in found) // _MIB_PER_GIB)


def _placement(settings: Settings) -> str:
    rows = []
    for name, host in settings.hosts.items():
        on_it = {server: found for server, found in settings.servers.items() if found.host == name}
        _, memory = _needed(on_it.values())
        cpus = sum(found.cpus for found in on_it.values())
        rows.append((name, ", ".join(on_it), f"{cpus} on {host.cpus}", f"{memory} of {host.memory_gib}"))
    _, memory = _needed(settings.servers.values())
    by_size = sorted((host.memory_gib for host in settings.hosts.values()), reverse=True)
    failures = settings.cluster.host_failures_to_tolerate
    servers = [
        (name, server.role, server.host, server.datastore, server.cpus, server.memory_mib, server.disk_gib)
        for name, server in settings.servers.items()
    ]
    apart = (
        "Anti-affinity rules keep a tier apart, and DRS follows them."
        if settings.vcenter.edition.has_drs
        else "There is no DRS: a server starts on its host, and stays where vSphere HA restarted it until it is moved."
    )
    lost = f"{failures} host{'s' if failures > 1 else ''}"
    return _section(
        "Physical design: placement",
        apart,
        _table(("server", "role", "host", "datastore", "vCPUs", "memory, MiB", "disk, GiB"), servers),
        _table(("host", "servers", "vCPUs on cores", "memory, GiB"), rows),
        f"Admission control keeps room for the loss of {lost}: then {sum(by_size[failures:])} GiB of memory are there"
        f" for {memory} GiB of servers.",
    )


def _losses(settings: Settings) -> str:
    """What is gone with each host and array: the servers that can't run, and the votes that are left."""
    quorum = settings.quorum
    majority = len(quorum) // 2 + 1
    array_of = {lun: name for name, array in settings.storage.items() for lun in array.luns}
    rows = []
    for kind, names in (("host", settings.hosts), ("array", settings.storage)):
        for name in names:
            gone = [
                server
                for server, found in settings.servers.items()
                if name in (found.host, array_of.get(found.datastore))
            ]
            left = len([vote for vote in quorum if vote not in gone])
            if left >= majority:
                then = "goes on"
            elif settings.servers_of(Role.DATABASE).keys() & set(gone):
                then = "**stops**: no majority"
            else:
                then = "goes on while all databases reach each other (Patroni's failsafe mode)"
            back = "vSphere HA starts them elsewhere" if kind == "host" else "nothing starts them until it is back"
            tied = [server for server in gone if settings.servers[server].datastore in settings.local_datastores]
            back += f", {', '.join(tied)} when {name} is back" if tied else ""
            rows.append((f"{kind} {name}", ", ".join(gone) or "nothing", back, f"{left} of {len(quorum)}", then))
    return _section(
        "What is lost with what",
        _table(("lost", "servers on it", "they", "votes left at once", "the database"), rows),
    )


def _implementation(stack: str) -> str:
    return _section(
        "Implementation",
        "In this order; the next one waits for what it needs of the one before.",
        "1. Datacenter, cluster, hosts, switches, port groups, VMkernel adapters.\n"
        "2. iSCSI on every host, over SSH; a VMFS datastore per LUN; a rescan on the other hosts.\n"
        "3. The template in a content library; every server, cloned from it.\n"
        "4. etcd, then PostgreSQL under Patroni; application servers, one after the other; then balancers.\n"
        "5. A role and a database per service; backups.",
        "Commands, from rehearsal to deployment (docs/real-vcenter.md has what must be there before):",
        f"    ./perenne check {stack} --simulated\n"
        f"    ./perenne twin {stack}\n"
        f"    ./perenne init {stack}\n"
        f"    ./perenne preview {stack}\n"
        f"    ./perenne up {stack}",
    )


def _tests(settings: Settings, stack: str) -> str:
    rows = [(f"`{one.fault}`", one.title, f"{one.bound:.1f} s", one.measure) for one in forecast(settings)]
    return _section(
        "Tests",
        "What each fault costs at most, computed from this stack's settings, not measured (`./perenne forecast"
        f" {stack}` shows what it is made of). A drill of the same name makes the fault in the lab and measures it"
        " (docs/drills).",
        _table(("drill", "fault", "at most", "of"), rows),
    )


def _monitoring(settings: Settings, stack: str) -> str:
    backup = settings.backup
    whole = (
        "every server serves, a primary, a synchronous standby, every vote; "
        "no certificate to renew, no disk nearly full, no unit failed"
    )
    rows = [
        (
            f"`./perenne status {stack}`",
            whole,
            "every 10 minutes (docs/runbooks/README.md has a line for cron)",
        ),
        (f"`./perenne drift {stack}`", "nothing was changed by hand", "daily"),
        (f"`./perenne check {stack} --state`", "no single point of failure in what is deployed", "after a change"),
        (
            f"`./perenne init {stack}`",
            "renews certificates with less than 30 days left; `up` puts them in place",
            "when `status` names one",
        ),
    ]
    if settings.site.certificate is Certificate.GIVEN:
        rows.append(
            (
                f"`./perenne rotate {stack} --only tls-site`",
                "asks for the company's new certificate",
                "when `status` names it",
            )
        )
    for name in backup.servers:
        rows += [
            (
                f"`./perenne ssh -s {stack} {name} systemctl list-timers perenne-backup.timer`",
                "the last base backup",
                "daily",
            ),
            (
                f"`./perenne ssh -s {stack} {name} /usr/local/sbin/perenne-restore --rehearse`",
                "a backup can be restored",
                "monthly",
            ),
        ]
    kept = (
        f"Base backups: {backup.schedule}, the last {backup.keep} are kept, on {', '.join(backup.servers)}."
        if backup.servers
        else "This stack has no backups."
    )
    return _section(
        "Monitoring",
        "Nothing sends a message by itself: somebody, or a scheduled job, asks.",
        _table(("ask", "to see", "how often"), rows),
        kept,
    )


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *parts]) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines).replace("|  |", "| |")
