"""A stack's twin: the same site with addresses and sizes that a lab on one machine can have.

Addresses are renumbered by one rule. The site's networks get blocks of 198.18.128.0/17 in the order of the stack file,
of their own size, but at least a /24 and at most a /20. An address keeps its place in its block, so its last octet
stays the same. That range is set aside for tests (RFC 2544), and the lab of `dev` is in its other half.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from blueprint.loading import NAMESPACE
from blueprint.mistakes import Mistake, StackFileError
from blueprint.secrets import is_secret_name
from blueprint.terms import Certificate

AREA = IPv4Network("198.18.128.0/17")
SMALLEST_PREFIX, LARGEST_PREFIX = 20, 24
"""A block of more than a /20 would leave room for few networks; one below a /24 would change last octets."""

MEMORY_MIB = 1024
CPUS = 2
HEAP_MIB = 256
"""The most that a server of a twin gets: all of them share one machine."""

TEMPLATE = ".perenne/lab/template.ova"
"""Made by the lab (lab/ova.py), below the twin's own folder."""

_HTTPS = "https://"

Config = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """Something in which a twin is not the site."""

    what: str
    site: str
    twin: str


@dataclass(frozen=True)
class Renumbering:
    """What stands for what. Made from all stack files of a rehearsal, so that a change renumbers nothing.

    `blocks` has the twin's network for each of the site's; `arrays` the number of each array, `luns` that of each LUN
    by its id.
    """

    blocks: Mapping[IPv4Network, IPv4Network]
    arrays: Mapping[str, int]
    luns: Mapping[str, int]

    @classmethod
    def of(cls, configs: Sequence[Config], source: str) -> "Renumbering":
        """Number the networks, arrays and LUNs of stack files, each in the order in which they first appear.

        Raises:
            StackFileError: The networks overlap or need more room than there is.
        """
        networks = list(dict.fromkeys(network for config in configs for _, network in networks_of(config)))
        arrays = dict.fromkeys(name for config in configs for name in config[f"{NAMESPACE}storage"])
        luns = [dict.fromkeys(naa for config in configs for naa in _naas(config, array)) for array in arrays]
        return cls(
            _blocks(networks, source),
            {name: number for number, name in enumerate(arrays, start=1)},
            {naa: number for of_array in luns for number, naa in enumerate(of_array, start=1)},
        )

    def address(self, address: IPv4Address) -> IPv4Address | None:
        """The twin's address for one of the site's; None if it is in none of the site's networks."""
        for network, block in self.blocks.items():
            if address in network:
                place = self._offset(network) + int(address) - int(network.network_address)
                return block.network_address + place % block.num_addresses
        return None

    def network(self, network: IPv4Network) -> IPv4Network:
        """The twin's network for one of the site's: in its block, as far from its beginning as in its own /24."""
        block = self.blocks[network]
        prefix = max(network.prefixlen, SMALLEST_PREFIX)
        return IPv4Network((block.network_address + self._offset(network), prefix))

    def naa(self, array: str, naa: str) -> str:
        """The id that the lab's array gives a LUN: locally assigned, the array's number, its own (lab/equipment.py)."""
        return f"naa.3{self.arrays[array]:07x}{self.luns[naa]:08x}"

    def text(self, value: str) -> str:
        """A value of the stack file, renumbered if it is an address or network of the site's."""
        try:
            if "/" in value:
                network = IPv4Network(value)
                return str(self.network(network)) if network in self.blocks else value
            host, colon, port = value.partition(":")
            return f"{self.address(IPv4Address(host)) or host}{colon}{port}"
        except ValueError:
            return value

    @staticmethod
    def _offset(network: IPv4Network) -> int:
        """Where a network smaller than a /24 begins in the /24 that contains it."""
        return int(network.network_address) % 256 if network.prefixlen > LARGEST_PREFIX else 0


@dataclass(frozen=True)
class Twin:
    """A stack file's configuration for the lab, and in what it differs from the site's."""

    config: Config
    differences: tuple[Difference, ...]


def networks_of(config: Config) -> Iterator[tuple[str, IPv4Network]]:
    """Every network of a stack file with its key below `networks`, in the order of the file."""

    def found(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, IPv4Network]]:
        for key, value in node.items():
            if isinstance(value, Mapping):
                name = f"{path}.{key}" if path else key
                if "cidr" in value:
                    yield name, IPv4Network(value["cidr"])
                yield from found(value, name)

    yield from found(config[f"{NAMESPACE}networks"], "")


def twin_of(config: Config, numbers: Renumbering, source: str) -> Twin:
    """Make a stack's twin from its configuration, which must be a sound site's.

    Raises:
        StackFileError: Something of it can't be rehearsed in a lab.
    """
    site = {key: value for key, value in config.items() if not is_secret_name(key.removeprefix(NAMESPACE))}
    site.pop(f"{NAMESPACE}host_keys", None)
    twin = _renumbered(copy.deepcopy(site), numbers)
    differences = [
        *_networks(config, numbers),
        *_vcenter(site, twin, source),
        *_luns(twin, numbers),
        *_template(twin),
        *_sizes(twin),
        *_hosts(twin),
        *_bmcs(site, twin, source),
        *_certificate(twin),
        *_time(site, twin, numbers),
        *_resolvers(site, twin),
        *_downloads(twin, source),
    ]
    return Twin(twin, tuple(differences))


def equipment(present: Config, changed: Config) -> Config:
    """The changed stack file with the hosts, arrays and networks of both: what stands in the server room meanwhile."""
    both = dict(changed)
    for key in ("hosts", "storage", "networks"):
        both[NAMESPACE + key] = _merged(present[NAMESPACE + key], changed[NAMESPACE + key])
    return both


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        earlier = merged.get(key)
        if isinstance(earlier, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(earlier, value)
        else:
            merged[key] = value
    return merged


def _naas(config: Config, array: str) -> list[str]:
    described = config[f"{NAMESPACE}storage"].get(array)
    return [lun["naa"] for lun in described["luns"].values()] if described else []


def _blocks(networks: Sequence[IPv4Network], source: str) -> dict[IPv4Network, IPv4Network]:
    """Give every network a block of its own, one after the other, each at a multiple of its size."""
    blocks: dict[IPv4Network, IPv4Network] = {}
    free = int(AREA.network_address)
    for network in networks:
        overlapping = next((other for other in blocks if network.overlaps(other)), None)
        if overlapping:
            problem = f"overlaps {overlapping}, and the lab's networks are separate"
            raise StackFileError(source, [Mistake("networks", network, problem, "give each network its own range")])
        prefix = min(max(network.prefixlen, SMALLEST_PREFIX), LARGEST_PREFIX)
        size = 2 ** (32 - prefix)
        begin = -(-free // size) * size
        if begin + size - 1 > int(AREA.broadcast_address):
            problem = f"is one network more than {AREA} has room for"
            raise StackFileError(source, [Mistake("networks", network, problem, "rehearse with fewer networks")])
        blocks[network] = IPv4Network((begin, prefix))
        free = begin + size
    return blocks


def _renumbered(value: Any, numbers: Renumbering) -> Any:  # noqa: ANN401 (any part of a stack file)
    """Renumber every address and network in a part of a stack file, wherever it stands."""
    match value:
        case dict():
            return {key: _renumbered(part, numbers) for key, part in value.items()}
        case list():
            return [_renumbered(part, numbers) for part in value]
        case str():
            return numbers.text(value)
        case _:
            return value


def _networks(config: Config, numbers: Renumbering) -> Iterator[Difference]:
    for name, network in networks_of(config):
        yield Difference(f"network {name}", str(network), str(numbers.network(network)))


def _vcenter(site: Config, twin: Config, source: str) -> Iterator[Difference]:
    """The lab's vCenter has an address in the management network; where the site's has none there, a free one."""
    described = twin[f"{NAMESPACE}vcenter"]
    wanted = described.pop("address", None) or described["server"].partition(":")[0]
    described["server"] = _managed(wanted, twin, "vCenter", source)
    yield Difference("vCenter", site[f"{NAMESPACE}vcenter"]["server"], f"{described['server']}, simulated")


def _managed(wanted: str, twin: Config, what: str, source: str) -> str:
    """An address in the twin's management network: the one that is wanted, or a free one where that lies elsewhere."""
    management = IPv4Network(twin[f"{NAMESPACE}networks"]["management"]["cidr"])
    try:
        if IPv4Address(wanted) in management:
            return wanted
    except ValueError:
        pass  # a name
    taken = set(_texts(twin))
    free = (str(address) for address in reversed(list(management.hosts())[1:]) if str(address) not in taken)
    if address := next(free, ""):
        return address
    problem = f"the twin's {what} needs an address there, and all are taken"
    mistake = Mistake("networks.management.cidr", management, problem, "rehearse with a larger network")
    raise StackFileError(source, [mistake])


def _luns(twin: Config, numbers: Renumbering) -> Iterator[Difference]:
    for array, described in twin[f"{NAMESPACE}storage"].items():
        for name, lun in described["luns"].items():
            real, lun["naa"] = lun["naa"], numbers.naa(array, lun["naa"])
            yield Difference(f"LUN {name} of {array}", real, lun["naa"])


def _template(twin: Config) -> Iterator[Difference]:
    template = twin[f"{NAMESPACE}template"]
    library = template.pop("library", "")
    real, template["ova"] = template.get("ova") or f"content library {library}", TEMPLATE
    yield Difference("template", real, "the lab's own image")


def _sizes(twin: Config) -> Iterator[Difference]:
    """Servers get at most what many of them can have on one machine; hosts stay as they are, being simulated."""
    limits = {"memory_mib": MEMORY_MIB, "cpus": CPUS}
    for name, server in twin[f"{NAMESPACE}servers"].items():
        real = {key: server[key] for key in limits}
        server |= {key: min(server[key], limit) for key, limit in limits.items()}
        if any(server[key] != real[key] for key in limits):
            yield Difference(f"size of {name}", _size(real), _size(server))
    wildfly = twin.get(f"{NAMESPACE}wildfly", {})
    if wildfly.get("heap_mib", 0) > HEAP_MIB:
        yield Difference("Java heap", f"{wildfly['heap_mib']} MiB", f"{HEAP_MIB} MiB")
        twin[f"{NAMESPACE}wildfly"] = wildfly | {"heap_mib": HEAP_MIB}


def _size(server: Mapping[str, int]) -> str:
    return f"{server['cpus']} CPUs, {server['memory_mib']} MiB"


def _hosts(twin: Config) -> Iterator[Difference]:
    for name, host in twin[f"{NAMESPACE}hosts"].items():
        if host.pop("thumbprint", ""):
            yield Difference(f"certificate of {name}", "its own, by its thumbprint", "simulated, not checked")


def _bmcs(site: Config, twin: Config, source: str) -> Iterator[Difference]:
    """The lab's BMCs have addresses in the management network, and certificates of the lab's authority."""
    for name, host in twin[f"{NAMESPACE}hosts"].items():
        bmc = host.get("bmc", {})
        if not bmc.get("address"):
            continue
        bmc["address"] = _managed(bmc["address"], twin, f"BMC of {name}", source)
        bmc.pop("thumbprint", None)
        bmc.pop("port", None)
        real = site[f"{NAMESPACE}hosts"][name]["bmc"]["address"]
        yield Difference(f"BMC of {name}", real, f"{bmc['address']}, simulated")


def _certificate(twin: Config) -> Iterator[Difference]:
    """The key of a given certificate stays where the site is."""
    if twin[f"{NAMESPACE}site"].pop("certificate", Certificate.OWN) == Certificate.GIVEN:
        yield Difference("certificate of the site", "given", "signed by the twin's own authority")


def _time(site: Config, twin: Config, numbers: Renumbering) -> Iterator[Difference]:
    """Time sources outside the site's networks are not asked: a lab's traffic stays inside."""
    key = f"{NAMESPACE}ntp"
    sources = site.get(key, [])
    outside = [source for source in sources if not _is_inside(source, numbers)]
    twin[key] = [numbers.text(source) for source in sources if source not in outside]
    if sources:
        yield Difference("time", ", ".join(sources), "the machine's own clock; no time source answers")


def _resolvers(site: Config, twin: Config) -> Iterator[Difference]:
    """Name servers are where packages are, and a lab's servers fetch none."""
    twin[f"{NAMESPACE}networks"]["guests"].pop("nameservers", None)
    if resolvers := site[f"{NAMESPACE}networks"]["guests"].get("nameservers"):
        yield Difference("name servers", ", ".join(resolvers), "none: servers know one another by their hosts file")


def _is_inside(source: str, numbers: Renumbering) -> bool:
    try:
        return numbers.address(IPv4Address(source)) is not None
    except ValueError:
        return False


def _downloads(twin: Config, source: str) -> Iterator[Difference]:
    """Servers of a lab reach nothing outside: what they would fetch is in the image, or left out."""
    wildfly = twin.get(f"{NAMESPACE}wildfly", {})
    if wildfly.get("url"):
        yield Difference("WildFly", wildfly["url"], "in the lab's image")
        left = {key: value for key, value in wildfly.items() if key not in ("url", "sha256")}
        twin[f"{NAMESPACE}wildfly"] = left
    services = twin[f"{NAMESPACE}services"]
    for name in [name for name, service in services.items() if service["artifact"].startswith(_HTTPS)]:
        yield Difference(f"service {name}", services.pop(name)["artifact"], "left out: a lab's servers can't fetch it")
    if not services:
        problem = "all are fetched from outside, which a lab's servers can't reach"
        remedy = "download the artifact of one into the project, and name it by its path"
        raise StackFileError(source, [Mistake("services", None, problem, remedy)])


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 (any part of a stack file)
    match value:
        case dict():
            for part in value.values():
                yield from _texts(part)
        case list():
            for part in value:
                yield from _texts(part)
        case str():
            yield value.partition("/")[0]
