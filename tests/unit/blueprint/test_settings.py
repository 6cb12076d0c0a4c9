"""Every mistake in a stack file gets one message that names field, value and remedy."""

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from blueprint import loading
from blueprint.mistakes import StackFileError
from blueprint.settings import Settings
from blueprint.terms import Role

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def config() -> dict[str, Any]:
    """The configuration of dev, free to be changed."""
    return copy.deepcopy(loading.config_of(PROJECT / "Pulumi.dev.yaml"))


def put(config: dict[str, Any], path: str, value: object) -> None:
    """Set the value at a dotted path; None removes it."""
    *parents, last = f"perenne:{path}".split(".")
    node = config
    for part in parents:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value


def test_a_file_in_another_order_is_the_same_site(config: dict[str, Any]) -> None:
    """Pulumi hands a program its configuration by name: who is first must not depend on who reads."""

    def turned_round(node: object) -> object:
        return {key: turned_round(node[key]) for key in reversed(node)} if isinstance(node, dict) else node

    settings = loading.settings_from_config(config, "test")
    other = loading.settings_from_config({key: turned_round(value) for key, value in config.items()}, "test")
    assert list(other.hosts) == list(settings.hosts)
    assert list(other.networks.storage) == list(settings.networks.storage)
    for role in Role:
        assert list(other.servers_of(role)) == list(settings.servers_of(role))


def test_a_number_that_nobody_can_write_out_is_a_mistake(config: dict[str, Any]) -> None:
    with pytest.raises(StackFileError, match="has a value that is none"):
        loading.settings_from_config(config | {"perenne:domain": int("f" * 5000, 16)}, "test")


@pytest.mark.parametrize("depth", [300, 5000])
def test_lists_in_one_another_are_a_mistake(config: dict[str, Any], depth: int) -> None:
    nested: list[Any] = functools.reduce(lambda inner, _: [inner], range(depth), [])
    with pytest.raises(StackFileError, match="deeper than any setting"):
        loading.settings_from_config(config | {"perenne:domain": nested}, "test")


@pytest.mark.parametrize("stack", sorted(PROJECT.glob("Pulumi.*.yaml")), ids=lambda file: file.name)
def test_committed_stack_files_are_sound(stack: Path) -> None:
    settings = loading.settings_from_file(stack)
    assert len(settings.quorum) % 2 == 1
    assert len({server.host for server in settings.quorum.values()}) == len(settings.quorum)


MISTAKES = [
    ("vcenter.password", "S3cret", "vcenter.password", "unknown key"),
    ("colour", "blue", "colour", "unknown key"),
    ("servers.lb01.cpu", 2, "servers.lb01.cpu", "did you mean cpus?"),
    ("servers.lb01.cpus", None, "servers.lb01.cpus", "is missing"),
    ("servers.lb01.cpus", "one", "servers.lb01.cpus", "whole number"),
    ("servers.lb01.cpus", 0, "servers.lb01.cpus", "write at least 1"),
    ("servers.lb01.role", "firewall", "servers.lb01.role", "balancer"),
    ("servers.lb01.address", "198.18.21.11", "servers.lb01.address", "outside networks.guests.cidr"),
    ("servers.lb01.address", "198.18.20.12", "servers.lb02.address", "already the address of servers.lb01.address"),
    ("servers.lb01.address", "198.18.20.255", "servers.lb01.address", "broadcast"),
    ("servers.lb01.address", "lb01", "servers.lb01.address", "an address like"),
    ("servers.lb01.host", "psexi09", "servers.lb01.host", "use one of: psexi02, psexi03, psexi04"),
    ("servers.lb02.host", "psexi02", "servers.lb02.host", "also runs lb01"),
    ("servers.wit01.host", "psexi04", "servers.wit01.host", "etcd quorum"),
    ("servers.db01.datastore", "datastore09", "servers.db01.datastore", "no array has a LUN of that name"),
    ("servers.db01.datastore", "datastore02", "servers.db02.datastore", "also holds db01"),
    ("servers.db02", None, "servers", "the database tier has 1 servers"),
    ("servers.wit01", None, "servers", "2 votes, an even number"),
    ("hosts.psexi04", None, "hosts", "a quorum needs three hosts"),
    ("hosts.psexi02.storage.b", None, "hosts.psexi02.storage", "no address on network b"),
    ("hosts.psexi02.storage.a", "198.18.99.80", "hosts.psexi02.storage.a", "outside networks.storage.a.cidr"),
    ("hosts.psexi02.thumbprint", "AB:CD", "hosts.psexi02.thumbprint", "wrong form"),
    ("networks.guests.cidr", "198.18.20.1/24", "networks.guests.cidr", "host bits"),
    ("networks.guests.cidr", "guests", "networks.guests.cidr", "without host bits"),
    ("networks.guests.vlan", 4095, "networks.guests.vlan", "4094"),
    ("networks.storage.b.cidr", "198.18.31.0/25", "networks.storage.b.cidr", "overlaps"),
    ("storage.san01.portals.b", None, "storage.san01.portals", "write at least 2"),
    ("storage.san01.iqn", "san01", "storage.san01.iqn", "wrong form"),
    ("storage.san01.luns.datastore02.naa", "naa.3000000100000001", "luns.datastore02.naa", "already the id"),
    ("vcenter.datacenter", "vmlabs", "vcenter.datacenter", "begins with vm"),
    ("vcenter.datacenter", "hosting", "vcenter.datacenter", "begins with host"),
    ("vcenter.edition", "standard", "vcenter.edition", "enterprise-plus"),
    ("database.loop_wait", 30, "database.ttl", "loop_wait + 2 * retry_timeout"),
    ("database.vrrp.router_id", 51, "database.vrrp.router_id", "site.vrrp.router_id"),
    ("site.address", "198.18.20.11", "site.address", "already the address of servers.lb01.address"),
    ("backup.servers", ["bak01"], "backup.servers.0", "no such server under servers"),
    ("backup.keep", 0, "backup.keep", "write at least 1"),
    ("services.pnp-manager.health_path", "/health", "services.pnp-manager.health_path", "context_path"),
    ("services.pnp-manager.artifact", "https://a.example/p.war", "services.pnp-manager.sha256", "checksum"),
    ("services.pnp-manager.artifact", "http://a.example/p.war", "services.pnp-manager.artifact", "in clear"),
    ("services.pnp-manager.sha256", "abc", "services.pnp-manager.sha256", "wrong form"),
    ("services.pnp-manager.context_path", "pnp", "services.pnp-manager.context_path", "wrong form"),
    ("host_keys", {"psexi09": "ssh-ed25519 AAAA"}, "host_keys.psexi09", "no such host"),
    ("protect", None, "protect", "is missing"),
]


@pytest.mark.parametrize(("path", "value", "field", "said"), MISTAKES, ids=[f"{m[0]}={m[1]}" for m in MISTAKES])
def test_mistake_is_named(config: dict[str, Any], path: str, value: object, field: str, said: str) -> None:
    put(config, path, value)
    with pytest.raises(StackFileError) as caught:
        loading.settings_from_config(config, "Pulumi.dev.yaml")
    lines = [str(line) for line in str(caught.value).splitlines()]
    assert all(line.startswith("Pulumi.dev.yaml: perenne:") for line in lines)
    assert any(field in line and said in line for line in lines), lines


@pytest.mark.parametrize("text", ["", "config: [", "config: 3", "\x00", "- a"])
def test_what_is_no_stack_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(text)
    with pytest.raises(StackFileError, match=r"Pulumi\.x\.yaml"):
        loading.settings_from_file(file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match="no such file"):
        loading.settings_from_file(tmp_path / "Pulumi.x.yaml")


def test_configuration_as_the_engine_gives_it(config: dict[str, Any]) -> None:
    """Structured values reach a program as JSON text, scalars as strings."""
    as_text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
    from_text = loading.settings_from_config(as_text, "x")
    assert from_text == loading.settings_from_config(config, "x")
    assert isinstance(from_text, Settings)
    assert list(from_text.servers_of(Role.BALANCER)) == ["lb01", "lb02"]


@pytest.fixture
def prod() -> dict[str, Any]:
    """The configuration of prod, whose third vote is on its host's own disk."""
    return copy.deepcopy(loading.config_of(PROJECT / "Pulumi.prod.yaml"))


@pytest.mark.parametrize(
    ("path", "value", "field", "remedy"),
    [
        ("servers.lb02.datastore", "psexi03-local", "servers.lb02.datastore", "name the datastore of a LUN"),
        ("servers.wit01.host", "psexi04", "servers.wit01.datastore", "put both on one host"),
        ("backup.servers", ["bak01", "wit01"], "servers.wit01.datastore", "have another server keep them"),
        ("hosts.psexi03.local_datastore", None, "servers.wit01.datastore", "no array has a LUN of that name"),
        ("hosts.psexi02.local_datastore", "psexi03-local", "hosts.psexi03.local_datastore", "rename it"),
        ("servers.db01.role", "witness", "servers", "the database tier has 1 servers"),
    ],
)
def test_only_a_vote_that_others_can_do_without_is_on_a_hosts_own_disk(
    prod: dict[str, Any], path: str, value: object, field: str, remedy: str
) -> None:
    put(prod, path, value)
    with pytest.raises(StackFileError) as caught:
        loading.settings_from_config(prod, "test")
    assert f"perenne:{field}" in str(caught.value)
    assert remedy in str(caught.value)


def test_votes_on_hosts_own_disks_are_fewer_than_those_that_can_start_elsewhere(prod: dict[str, Any]) -> None:
    """Three witnesses on own disks beside two databases: the two on LUNs are no majority of five."""
    addresses = {"psexi02": "172.16.110.163", "psexi04": "172.16.110.164"}
    for number, (host, address) in enumerate(addresses.items(), start=2):
        prod["perenne:hosts"][host]["local_datastore"] = f"{host}-local"
        witness = {"host": host, "datastore": f"{host}-local", "address": address}
        prod["perenne:servers"][f"wit0{number}"] = prod["perenne:servers"]["wit01"] | witness
    with pytest.raises(StackFileError, match="leaves 2 of 5 votes where vSphere HA can restart them"):
        loading.settings_from_config(prod, "test")


@pytest.mark.parametrize(
    ("path", "value", "field", "remedy"),
    [
        ("hosts.psexi02.vmotion", None, "hosts.psexi02.vmotion", "add an address in 172.16.112.0/24"),
        ("networks.vmotion", None, "hosts.psexi02.vmotion", "describe it"),
        ("hosts.psexi02.vmotion", "172.16.113.80", "hosts.psexi02.vmotion", "choose an address inside it"),
        ("networks.vmotion.cidr", "172.16.110.0/24", "networks.vmotion.cidr", "give each network its own range"),
        ("template.library", "golden", "template.ova", "not both"),
        ("template.ova", None, "template.ova", "name an OVA"),
        ("cluster.apd_response", "none", "cluster.apd_response", "restartConservative"),
    ],
)
def test_vmotion_template_and_responses(
    prod: dict[str, Any], path: str, value: object, field: str, remedy: str
) -> None:
    put(prod, path, value)
    with pytest.raises(StackFileError) as caught:
        loading.settings_from_config(prod, "test")
    assert f"perenne:{field}" in str(caught.value)
    assert remedy in str(caught.value)
