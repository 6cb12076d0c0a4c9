"""A twin is the same site with other numbers: nothing of it is the site's own, and nothing falls together."""

import copy
import random
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from blueprint import loading
from blueprint.mistakes import StackFileError
from blueprint.terms import Certificate, Edition
from blueprint.twin import AREA, Renumbering, equipment, networks_of, twin_of
from lab import equipment as lab_equipment

PROJECT = Path(__file__).parents[3]
SOURCE = "Pulumi.prod.yaml"
DEV_LAB = IPv4Network("198.18.0.0/17")


@pytest.fixture
def prod() -> dict[str, Any]:
    return copy.deepcopy(loading.config_of(PROJECT / SOURCE))


def networks(*cidrs: str) -> dict[str, Any]:
    """As much of a stack file as renumbering reads."""
    storage = {f"path{number}": {"cidr": cidr} for number, cidr in enumerate(cidrs[1:])}
    return {"perenne:networks": {"management": {"cidr": cidrs[0]}, "storage": storage}, "perenne:storage": {}}


@pytest.mark.parametrize("seed", range(200))
def test_renumbering_keeps_apart_what_is_apart(seed: int) -> None:
    """For random sites: distinct addresses stay distinct, networks stay apart, last octets stay the same."""
    chance = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    site: list[IPv4Network] = []
    while len(site) < chance.randint(2, 7):
        candidate = IPv4Network((chance.getrandbits(32), chance.randint(20, 28)), strict=False)
        if not any(candidate.overlaps(other) for other in site):
            site.append(candidate)
    numbers = Renumbering.of([networks(*map(str, site))], SOURCE)

    twins = [numbers.network(network) for network in site]
    assert all(twin.subnet_of(AREA) and not twin.overlaps(DEV_LAB) for twin in twins)
    assert [twin.prefixlen for twin in twins] == [network.prefixlen for network in site]
    assert not any(one.overlaps(other) for one in twins for other in twins if one is not other)
    for network, twin in zip(site, twins, strict=True):
        sample = {network[chance.randrange(network.num_addresses)] for _ in range(20)}
        renumbered = {address: numbers.address(address) for address in sample}
        assert len(set(renumbered.values())) == len(sample)
        for address, other in renumbered.items():
            assert other is not None
            assert other in twin
            assert int(other) % 256 == int(address) % 256
            assert int(other) - int(twin[0]) == int(address) - int(network[0])


def test_a_network_added_at_the_end_renumbers_nothing() -> None:
    before = Renumbering.of([networks("10.1.0.0/24", "10.2.0.0/24")], SOURCE)
    both = Renumbering.of([networks("10.1.0.0/24", "10.2.0.0/24"), networks("10.9.0.0/22", "10.2.0.0/24")], SOURCE)
    for address in map(IPv4Address, ("10.1.0.7", "10.2.0.7")):
        assert both.address(address) == before.address(address)
    assert both.address(IPv4Address("10.9.3.7")) == IPv4Address("198.18.135.7")


@pytest.mark.parametrize(
    ("cidrs", "problem"),
    [
        (("10.0.0.0/16", "10.0.1.0/24"), "overlaps 10.0.0.0/16"),
        ([f"10.{number}.0.0/20" for number in range(9)], "one network more than 198.18.128.0/17 has room for"),
    ],
)
def test_sites_that_a_lab_has_no_room_for(cidrs: tuple[str, ...], problem: str) -> None:
    with pytest.raises(StackFileError, match=problem):
        Renumbering.of([networks(*cidrs)], SOURCE)


def test_prod_has_a_twin_that_a_lab_can_be(prod: dict[str, Any]) -> None:
    """Same hosts, servers, arrays, edition; no address of the site's is left anywhere."""
    numbers = Renumbering.of([prod], SOURCE)
    twin = twin_of(prod, numbers, SOURCE)
    settings, real = (loading.settings_from_config(config, SOURCE) for config in (twin.config, prod))
    lab_equipment.check(settings)
    assert settings.vcenter.edition is Edition.ESSENTIALS_PLUS
    assert settings.servers.keys() == real.servers.keys()
    assert {name: server.host for name, server in settings.servers.items()} == {
        name: server.host for name, server in real.servers.items()
    }
    text = str(twin.config)
    assert not [network for _, network in networks_of(prod) if str(network.network_address)[:10] in text]
    arrays = [{lun.naa[:12] for lun in array.luns.values()} for array in settings.storage.values()]
    assert len(set.union(*arrays)) == len(arrays) == 2
    assert prod == loading.config_of(PROJECT / SOURCE)  # it is not changed by the way


def test_twin_says_what_it_changes(prod: dict[str, Any]) -> None:
    """Whatever stands in both files with other values is in the list of differences, apart from machines' addresses."""
    prod["perenne:hosts"]["psexi02"]["thumbprint"] = ":".join(["AB"] * 20)
    prod["perenne:ntp"] = ["172.16.110.1", "time.example.org"]
    prod["perenne:site"]["certificate"] = "given"
    prod["perenne:wildfly"] |= {"url": "https://files.example.org/wildfly.zip", "sha256": "0" * 64}
    prod["perenne:services"]["crm"] = {
        "artifact": "https://files.example.org/crm.war", "sha256": "1" * 64,
        "context_path": "/crm", "health_path": "/crm/health", "database": True,
    }  # fmt: skip
    twin = twin_of(prod, Renumbering.of([prod], SOURCE), SOURCE)
    told = {one.what for one in twin.differences}
    assert {
        "certificate of psexi02",
        "certificate of the site",
        "time",
        "WildFly",
        "service crm",
        "vCenter",
        "Java heap",
        "template",
    } <= told
    settings = loading.settings_from_config(twin.config, SOURCE)
    assert [str(source) for source in settings.ntp] == ["198.18.128.1"]
    assert not settings.wildfly.url
    assert settings.site.certificate is Certificate.OWN
    assert settings.hosts["psexi02"].thumbprint == ""
    assert list(settings.services) == ["pnp-manager"]


def test_vcenter_outside_the_management_network_gets_a_free_address(prod: dict[str, Any]) -> None:
    prod["perenne:vcenter"] |= {"server": "vcenter.vmlabs.int", "address": "10.0.0.79"}
    twin = twin_of(prod, Renumbering.of([prod], SOURCE), SOURCE)
    settings = loading.settings_from_config(twin.config, SOURCE)
    address = lab_equipment.vcenter_address(settings)
    assert address not in {host.address for host in settings.hosts.values()}


def test_vcenter_keeps_its_place_among_the_addresses_also_if_it_has_a_name(prod: dict[str, Any]) -> None:
    assert prod["perenne:vcenter"]["address"] == "172.16.110.79"
    twin = twin_of(prod, Renumbering.of([prod], SOURCE), SOURCE)
    assert twin.config["perenne:vcenter"]["server"] == "198.18.128.79"
    assert "address" not in twin.config["perenne:vcenter"]


def test_services_that_are_all_fetched_from_outside_can_not_be_rehearsed(prod: dict[str, Any]) -> None:
    prod["perenne:services"]["pnp-manager"] |= {"artifact": "https://files.example.org/pnp.war", "sha256": "2" * 64}
    with pytest.raises(StackFileError, match="perenne:services: all are fetched from outside"):
        twin_of(prod, Renumbering.of([prod], SOURCE), SOURCE)


def test_a_twin_asks_no_name_server(prod: dict[str, Any]) -> None:
    prod["perenne:networks"]["guests"]["nameservers"] = ["192.0.2.53", "172.16.110.5"]
    made = twin_of(prod, Renumbering.of([prod], SOURCE), SOURCE)
    assert "nameservers" not in made.config["perenne:networks"]["guests"]
    assert [one.site for one in made.differences if one.what == "name servers"] == ["192.0.2.53, 172.16.110.5"]


def test_secrets_and_host_keys_of_the_site_stay_with_the_site(prod: dict[str, Any]) -> None:
    prod |= {"perenne:vcenter-password": {"secure": "v1:x"}, "perenne:host_keys": {"psexi02": "ssh-ed25519 AAAA"}}
    config = twin_of(prod, Renumbering.of([prod], SOURCE), SOURCE).config
    assert "perenne:vcenter-password" not in config
    assert "perenne:host_keys" not in config


def test_equipment_of_a_change_is_that_of_both(prod: dict[str, Any]) -> None:
    changed = copy.deepcopy(prod)
    changed["perenne:hosts"]["psexi05"] = changed["perenne:hosts"]["psexi04"] | {
        "address": "172.16.110.84",
        "storage": {"a": "172.16.111.84", "b": "172.16.111.184"},
    }
    del changed["perenne:storage"]["san01"]["luns"]["datastore01"]
    changed["perenne:storage"]["san01"]["luns"]["datastore03"] = {"naa": "naa." + "6" * 32, "size_gib": 64}
    numbers = Renumbering.of([prod, changed], SOURCE)
    assert numbers.naa("san01", "naa." + "6" * 32) == "naa.3000000100000002"
    both = equipment(*(twin_of(config, numbers, SOURCE).config for config in (prod, changed)))
    assert list(both["perenne:hosts"]) == ["psexi02", "psexi03", "psexi04", "psexi05"]
    assert list(both["perenne:storage"]["san01"]["luns"]) == ["datastore01", "datastore03"]


def with_bmcs(config: dict[str, Any], *addresses: str) -> dict[str, Any]:
    """The site with fencing, and these BMCs."""
    config["perenne:fencing"] = {"user": "fencing@vsphere.local"}
    for host, address in zip(config["perenne:hosts"].values(), addresses, strict=True):
        host["bmc"] = {"address": address, "port": 8443, "user": "fencing", "thumbprint": "ab" * 32}
    return config


@pytest.mark.parametrize(
    "addresses",
    [("172.16.110.20", "172.16.110.21", "172.16.110.22"), ("10.9.9.20", "10.9.9.21", "10.9.9.22")],
    ids=["in the management network", "in a network of their own"],
)
def test_bmcs_are_where_the_lab_can_have_them(prod: dict[str, Any], addresses: tuple[str, ...]) -> None:
    site = with_bmcs(prod, *addresses)
    twin = twin_of(site, Renumbering.of([site], SOURCE), SOURCE)
    settings = loading.settings_from_config(twin.config, SOURCE)
    lab_equipment.check(settings)
    assert len(set(lab_equipment.bmcs(settings).values())) == 3
    assert settings.has_fencing
    assert all(host.bmc.thumbprint is None for host in settings.hosts.values())
    told = {difference.what: difference.site for difference in twin.differences}
    assert [told[f"BMC of {host}"] for host in settings.hosts] == list(addresses)
