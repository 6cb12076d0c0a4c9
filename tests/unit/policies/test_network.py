"""Rules about the network: switches, port groups and their uplinks."""

from typing import Any

import pytest

from policies.judging.resource import UNKNOWN, Resource
from policies.rules import network
from tests.unit.policies.servers import problems
from tests.unit.policies.stacks import vsphere


def group(name: str, **properties: Any) -> Resource:  # noqa: ANN401 (a property may be anything)
    return vsphere("DistributedPortGroup", name, name=name, **properties)


def adapter(name: str, port_group: Resource) -> Resource:
    return vsphere("Vnic", name, refers={"distributedPortGroup": [port_group]})


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"activeUplinks": UNKNOWN, "standbyUplinks": UNKNOWN},
        {"activeUplinks": [], "standbyUplinks": []},
        {"activeUplinks": ["one"], "standbyUplinks": ["two"]},
    ],
)
def test_groups_that_have_a_second_path(properties: dict[str, object]) -> None:
    assert problems(network.second_path, group("servers", **properties)) == []


def test_a_group_with_one_uplink() -> None:
    only = group("servers", activeUplinks=["one"], standbyUplinks=[])
    assert problems(network.second_path, only) == ["it has 1 uplink and no second path"]
    assert problems(network.second_path, only, adapter("vmk0", only)) == ["it has 1 uplink and no second path"]


def test_a_pair_for_storage_has_one_uplink_each() -> None:
    one, two = (group(f"iscsi-{uplink}", activeUplinks=[uplink]) for uplink in ("one", "two"))
    pair = [one, two, adapter("vmk1", one), adapter("vmk2", two)]
    assert problems(network.second_path, *pair) == []
    same = group("iscsi-two", activeUplinks=["one"])
    assert len(problems(network.second_path, one, same, adapter("vmk1", one), adapter("vmk2", same))) == 2
    assert problems(network.second_path, *pair, group("servers", activeUplinks=["one"])) != []


def test_a_distributed_switch_that_uses_one_uplink() -> None:
    hosts = [{"devices": ["vmnic1", "vmnic3"]}]
    switch = {"name": "office", "hosts": hosts, "uplinks": ["one", "two"]}
    assert problems(network.two_uplinks, vsphere("DistributedVirtualSwitch", "a", **switch)) == []  # type: ignore[arg-type]
    narrow = vsphere("DistributedVirtualSwitch", "a", **switch, activeUplinks=["one"], standbyUplinks=[])  # type: ignore[arg-type]
    assert problems(network.two_uplinks, narrow) == ["1 uplink is active or standby"]


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, []),
        # What the provider reads of a port group that inherits (`up --repair` judges what is there).
        ({"activeNics": [], "standbyNics": []}, []),
        ({"activeNics": ["vmnic1"], "standbyNics": ["vmnic4"]}, []),
        ({"activeNics": ["vmnic1"]}, ["it has 1 uplink and no second path"]),
        ({"activeNics": [], "standbyNics": ["vmnic4"]}, ["it has 1 uplink and no second path"]),
    ],
)
def test_a_port_group_without_an_order_of_its_own_has_its_switchs(own: dict[str, Any], found: list[str]) -> None:
    switch = vsphere("HostVirtualSwitch", "switch", activeNics=["vmnic1", "vmnic4"], standbyNics=[])
    guests = vsphere("HostPortGroup", "guests", refers={"virtualSwitchName": [switch]}, **own)
    assert problems(network.second_path, switch, guests) == found
