"""Every value of a stack file that concerns vCenter and its hosts reaches the resource that it is meant for."""

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from blueprint import loading
from mutation.program import resources_of
from policies.judging.resource import Resource
from policies.judging.stack import Stack
from tests.unit.components.conftest import PROJECT

Config = dict[str, Any]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxpalUoSKGptm8qOEuffNamf8pxuKOxrnX6lFUDQcn8"


def prod() -> Config:
    config = copy.deepcopy(loading.config_of(PROJECT / "Pulumi.prod.yaml"))
    return {**config, "perenne:host_keys": dict.fromkeys(config["perenne:hosts"], KEY)}


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Config], Stack]:
    def made(config: Config) -> Stack:
        for service in config["perenne:services"].values():
            artifact = tmp_path / service["artifact"]
            artifact.parent.mkdir(parents=True, exist_ok=True)
            artifact.touch()
        return resources_of(config, "prod", tmp_path)

    return made


def named(stack: Stack, kind: str, end: str) -> list[Mapping[str, Any]]:
    return [one.properties for one in stack.of_type(kind) if one.name.endswith(end)]


def test_vmotion_has_an_adapter_on_every_host_with_both_uplinks(run: Callable[[Config], Stack]) -> None:
    config = prod()
    stack = run(config)
    adapters = named(stack, "Vnic", "-vmotion")
    addresses = {host["vmotion"] for host in config["perenne:hosts"].values()}
    assert {adapter["ipv4"]["ip"] for adapter in adapters} == addresses
    for adapter in adapters:
        assert adapter["services"] == ["vmotion"]
        assert adapter["mtu"] == config["perenne:networks"]["vmotion"]["mtu"]
    for group in named(stack, "HostPortGroup", "-vmotion"):
        assert group["vlanId"] == config["perenne:networks"]["vmotion"]["vlan"]
        assert group.get("activeNics") is None, "it has its switch's"


def test_port_groups_have_physical_switches_told_of_a_move(run: Callable[[Config], Stack]) -> None:
    """Left open, the provider would send false, which overrides what the switch says."""
    groups = list(run(prod()).of_type("HostPortGroup"))
    assert {one.name.rpartition("psexi02-")[2] for one in groups if "psexi02" in one.name} == {
        "guests",
        "storage-a",
        "storage-b",
        "vmotion",
    }
    assert all(one.properties["notifySwitches"] for one in groups)


def test_without_a_network_of_its_own_vmotion_is_left_to_the_site(run: Callable[[Config], Stack]) -> None:
    config = prod()
    del config["perenne:networks"]["vmotion"]
    for host in config["perenne:hosts"].values():
        del host["vmotion"]
    assert named(run(config), "Vnic", "-vmotion") == []


@pytest.mark.parametrize(("guests", "vmotion", "switch"), [(1500, 1500, 1500), (9000, 1500, 9000), (1500, 9000, 9000)])
def test_the_switch_of_the_servers_carries_the_largest_frames(
    run: Callable[[Config], Stack], guests: int, vmotion: int, switch: int
) -> None:
    config = prod()
    config["perenne:networks"]["guests"]["mtu"] = guests
    config["perenne:networks"]["vmotion"]["mtu"] = vmotion
    stack = run(config)
    assert {one["mtu"] for one in named(stack, "HostVirtualSwitch", "-guests")} == {switch}


def test_a_host_s_services_are_no_change(run: Callable[[Config], Stack]) -> None:
    """The provider reads them back, whoever set them: hosts would differ at every run."""
    hosts = list(run(prod()).of_type("Host"))
    assert {one.ignore_changes for one in hosts} == {("services",)}


def test_hosts_take_their_time_from_the_sites_sources(run: Callable[[Config], Stack]) -> None:
    config = prod()
    scripts = [one["create"] for one in named(run(config), "command:remote:Command", "") if "ntp set" in one["create"]]
    assert len(scripts) == len(config["perenne:hosts"])
    for script in scripts:
        assert "--enabled=true --server=172.16.110.1 --server=172.16.110.2" in script
    config["perenne:ntp"] = []
    assert not [one for one in named(run(config), "command:remote:Command", "") if "ntp set" in one["create"]]


def test_responses_are_those_of_the_stack_file(run: Callable[[Config], Stack]) -> None:
    config = prod()
    config["perenne:cluster"] |= {
        "isolation_response": "shutdown",
        "pdl_response": "warning",
        "apd_response": "restartAggressive",
        "apd_delay_seconds": 60,
        "vm_failure_seconds": 45,
        "vm_minimum_uptime_seconds": 90,
    }
    (cluster,) = named(run(config), "ComputeCluster", "")
    assert cluster["haHostIsolationResponse"] == "shutdown"
    assert cluster["haDatastorePdlResponse"] == "warning"
    assert cluster["haDatastoreApdResponse"] == "restartAggressive"
    assert cluster["haDatastoreApdResponseDelay"] == 60
    assert cluster["haVmFailureInterval"] == 45
    assert cluster["haVmMinimumUptime"] == 90


def test_a_template_that_is_there_is_not_imported(run: Callable[[Config], Stack]) -> None:
    config = prod()
    config["perenne:template"] = {"name": "debian-12", "library": "golden-images"}
    stack = run(config)
    assert stack.of_type("ContentLibrary", "ContentLibraryItem") == []
    assert len(stack.of_type("VirtualMachine")) == len(config["perenne:servers"])


def test_a_template_is_found_by_the_same_path_on_every_machine(run: Callable[[Config], Stack]) -> None:
    """The provider makes the library's item anew when its path changes."""
    config = prod()
    (item,) = named(run(config), "ContentLibraryItem", "")
    assert item["fileUrl"] == config["perenne:template"]["ova"]


def test_what_holds_data_is_protected_and_nothing_else_among_servers(run: Callable[[Config], Stack]) -> None:
    stack = run(prod())
    assert {one.name for one in stack.of_type("VirtualMachine") if one.protect} == {"db01-vm", "db02-vm", "bak01-vm"}
    assert all(one.protect for one in stack.of_type("ComputeCluster", "Host", "VmfsDatastore"))


SIZES: dict[str, tuple[int, int, int, int]] = {
    "three hosts": (3, 2, 2, 1),
    "eight hosts, six application servers": (8, 6, 2, 1),
    "five votes": (5, 3, 2, 3),
    "three databases and no witness": (4, 2, 3, 0),
}
"""Hosts, application servers, database servers, witnesses."""


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_other_sizes_need_no_code(run: Callable[[Config], Stack], size: tuple[int, int, int, int]) -> None:
    config = sized(prod(), *size)
    stack = run(config)
    machines = {one.properties["name"]: one for one in stack.of_type("VirtualMachine")}
    assert set(machines) == set(config["perenne:servers"])
    assert len(stack.of_type("Host")) == size[0]
    members = {name for name, one in config["perenne:servers"].items() if one["role"] in ("database", "witness")}
    for name in members:
        assert members == {
            member.partition("=")[0] for member in file(stack, name, "quorum", "etcd-cluster").split(",")
        }
    nodes = [name for name, one in config["perenne:servers"].items() if one["role"] == "application"]
    httpd = file(stack, "lb01", "balancer", "apache2.conf")
    assert all(f"{node}.vmlabs.int" in httpd for node in nodes)
    assert "/second" in httpd


def file(stack: Stack, server: str, role: str, end: str) -> str:
    """What a role puts on a server; of etcd's members their list."""
    (command,) = [one for one in stack.of_type("command:remote:Command") if one.name == f"{server}-{role}"]
    text = _files(command)[next(path for path in _files(command) if path.endswith(end))]
    lines = [line.partition("=")[2] for line in text.splitlines() if line.startswith("ETCD_INITIAL_CLUSTER=")]
    return lines[0] if lines else text


def _files(command: Resource) -> dict[str, str]:
    return {path: one["content"] for path, one in json.loads(command.properties["stdin"]).items()}


def sized(config: Config, hosts: int, applications: int, databases: int, witnesses: int) -> Config:
    """Prod with as many of each, and a second service."""
    servers, described = config["perenne:servers"], config["perenne:hosts"]
    for number in range(len(described), hosts):
        name = f"psexi1{number}"
        storage = {"a": f"172.16.111.9{number}", "b": f"172.16.111.19{number}"}
        address = {"address": f"172.16.110.9{number}", "vmotion": f"172.16.112.9{number}", "storage": storage}
        described[name] = described["psexi02"] | address | {"local_datastore": f"{name}-local"}
        config["perenne:host_keys"][name] = KEY
    for array in ("san01", "san02"):
        lun = {"naa": f"naa.6001405{array[-1]}0000000000000000000000c{array[-1]}", "size_gib": 2048}
        config["perenne:storage"][array]["luns"][f"datastore1{array[-1]}"] = lun
    models = {"application": "app01", "database": "db01", "witness": "wit01"}
    last = 230
    for role, number in (("database", databases), ("witness", witnesses), ("application", applications)):
        tier = [name for name, one in servers.items() if one["role"] == role]
        for name in tier[number:]:
            del servers[name]
        for position in range(len(tier), number):
            last += 1
            server = copy.deepcopy(servers[models[role]]) | {"address": f"172.16.110.{last}"}
            same = {"database", "witness"} if role != "application" else {role}
            taken = {one["host"] for one in servers.values() if one["role"] in same}
            server["host"] = next(host for host in described if host not in taken)
            server["datastore"] = f"datastore1{1 + position % 2}"
            servers[models[role][:-1] + str(position + 1)] = server
    service = config["perenne:services"]["pnp-manager"]
    paths = {"context_path": "/second", "health_path": "/second/health/live"}
    config["perenne:services"]["second"] = service | paths
    return config
