"""The lab's networks: Docker bridges, on whose first address the machine itself is reached."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from docker import DockerClient
from docker.types import IPAMConfig, IPAMPool

from blueprint.settings import Network, Settings
from lab.errors import LabError
from lab.label import Label

_WIDEST = 8
"""Routes with a shorter prefix stand for "everything else", as VPNs have them beside the default route."""


@dataclass(frozen=True)
class LabNetwork:
    """One bridge network.

    `closed` ones end at the machine. The guests' network is open as far as the machine, which publishes a port of it,
    and so is the management network where servers have business there (lab/routing.py). Nothing in the lab is
    translated to the outside, so its traffic stays inside.
    """

    name: str
    cidr: IPv4Network
    gateway: IPv4Address
    mtu: int
    closed: bool

    def create(self, client: DockerClient, labels: dict[str, str]) -> None:
        """Make the network in Docker."""
        client.networks.create(
            f"{labels[Label.LAB]}-{self.name}",
            driver="bridge",
            internal=self.closed,
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(self.cidr), gateway=str(self.gateway))]),
            options={
                "com.docker.network.driver.mtu": str(self.mtu),
                "com.docker.network.bridge.enable_ip_masquerade": "false",
                # Docker 28 and later drop what comes from another bridge before any rule of the lab's is asked.
                **({} if self.closed else {"com.docker.network.bridge.gateway_mode_ipv4": "nat-unprotected"}),
            },
            labels=labels | {Label.KIND: "network", Label.NAME: self.name, Label.FINGERPRINT: self.fingerprint},
        )

    @property
    def fingerprint(self) -> str:
        """All that makes the network what it is."""
        return f"{self.cidr} {self.gateway} {self.mtu} {'closed' if self.closed else 'open'}"


def networks_of(settings: Settings) -> list[LabNetwork]:
    """List the lab's networks, management first."""
    networks = settings.networks
    return [
        _network("management", networks.management, closed=not settings.has_fencing),
        _network("guests", networks.guests, networks.guests.gateway, closed=False),
        *([_network("vmotion", networks.vmotion)] if networks.vmotion else []),
        *(_network(f"storage-{path}", network) for path, network in networks.storage.items()),
    ]


def _network(name: str, network: Network, gateway: IPv4Address | None = None, *, closed: bool = True) -> LabNetwork:
    first = network.cidr.network_address + 1
    return LabNetwork(name, network.cidr, gateway or first, network.mtu, closed)


def network_of(address: IPv4Address, networks: Iterable[LabNetwork]) -> LabNetwork:
    """Find the network that contains an address; settings guarantee that there is one."""
    return next(network for network in networks if address in network.cidr)


def check_free(networks: Iterable[LabNetwork], client: DockerClient, routes: Iterable["Route"]) -> None:
    """Check that neither Docker nor the machine uses any of the ranges.

    Raises:
        LabError: One is taken; the message names it and who has it.
    """
    taken = {subnet: f"Docker network {name}" for name, subnet in _docker_subnets(client)}
    taken |= {route.cidr: f"the route through {route.interface}" for route in routes if route.cidr not in taken}
    for network in networks:
        for subnet, holder in taken.items():
            if network.cidr.overlaps(subnet):
                raise LabError(
                    f"network {network.name} of the lab can't be {network.cidr}",
                    f"{holder} has {subnet}",
                    "Remove that, or change the addresses under perenne:networks in the stack file.",
                )


def _docker_subnets(client: DockerClient) -> Iterator[tuple[str, IPv4Network]]:
    for network in client.api.networks():
        for pool in (network["IPAM"] or {}).get("Config") or []:
            if "." in pool.get("Subnet", ""):
                yield network["Name"], IPv4Network(pool["Subnet"], strict=False)


@dataclass(frozen=True)
class Route:
    """A route of the machine to less than everything."""

    interface: str
    cidr: IPv4Network


def routes(table: Path = Path("/proc/net/route")) -> Iterator[Route]:
    """Read the machine's IPv4 routes; those of its interfaces' own networks are among them (proc(5))."""
    for line in table.read_text().splitlines()[1:]:
        interface, destination, _gateway, _flags, _references, _use, _metric, mask, *_rest = line.split()
        cidr = IPv4Network((_address(destination), str(_address(mask))))
        if cidr.prefixlen >= _WIDEST:
            yield Route(interface, cidr)


def _address(text: str) -> IPv4Address:
    """Decode an address as the kernel prints it: hexadecimal, in the machine's byte order (little-endian)."""
    return IPv4Address(bytes.fromhex(text)[::-1])
