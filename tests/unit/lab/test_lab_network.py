"""The lab's networks and what else on the machine may have their addresses."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blueprint.loading import settings_from_file
from lab.errors import LabError
from lab.network import Route, check_free, network_of, networks_of, routes

SETTINGS = settings_from_file(Path(__file__).parents[3] / "Pulumi.dev.yaml")

TABLE = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
tun0	00000000	00000000	0001	0	0	0	00000080	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


def docker_with(*networks: tuple[str, str]) -> Any:  # noqa: ANN401  # stands in for a client of a library
    listed = [{"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}} for name, subnet in networks]
    listed.append({"Name": "host", "IPAM": {"Config": None}})
    return SimpleNamespace(api=SimpleNamespace(networks=lambda: listed))


def test_every_network_of_the_site_is_there() -> None:
    networks = {network.name: network for network in networks_of(SETTINGS)}

    assert list(networks) == ["management", "guests", "storage-a", "storage-b"]
    assert networks["storage-b"].cidr == IPv4Network("198.18.32.0/24")
    assert networks["storage-b"].gateway == IPv4Address("198.18.32.1")
    assert [network.name for network in networks.values() if not network.closed] == ["management", "guests"]
    without = SETTINGS.model_copy(update={"fencing": SETTINGS.fencing.model_copy(update={"user": ""})})
    assert [network.name for network in networks_of(without) if not network.closed] == ["guests"]


def test_an_address_tells_its_network() -> None:
    assert network_of(IPv4Address("198.18.31.10"), networks_of(SETTINGS)).name == "storage-a"


def test_routes_are_read_without_those_to_everything_else(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(TABLE)

    assert list(routes(tmp_path / "route")) == [
        Route("docker0", IPv4Network("172.17.0.0/16")),
        Route("eth0", IPv4Network("192.0.2.0/24")),
    ]


def test_the_machines_own_routes_can_be_read() -> None:
    assert all(route.interface for route in routes())


def test_free_ranges_are_fine() -> None:
    check_free(networks_of(SETTINGS), docker_with(("bridge", "172.17.0.0/16")), [])


def test_a_docker_network_in_the_way_is_named() -> None:
    with pytest.raises(LabError, match=r"network guests .* Docker network theirs has 198\.18\.20\.128/25"):
        check_free(networks_of(SETTINGS), docker_with(("theirs", "198.18.20.128/25")), [])


def test_a_route_in_the_way_is_named() -> None:
    route = Route("tun0", IPv4Network("198.18.0.0/15"))

    with pytest.raises(LabError, match=r"network management .* the route through tun0 has 198\.18\.0\.0/15"):
        check_free(networks_of(SETTINGS), docker_with(), [route])
