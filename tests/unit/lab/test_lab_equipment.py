"""What the lab's containers are made from."""

import json
import re
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from blueprint.loading import config_of, settings_from_config, settings_from_file
from blueprint.settings import Settings
from lab import equipment
from lab.equipment import LabSecrets, Plan, client_address, machines
from lab.errors import LabError
from lab.images.build import Images
from lab.label import Kind, Label
from lab.machine import Machine

STACK = Path(__file__).parents[3] / "Pulumi.dev.yaml"
SECRETS = LabSecrets(
    "vcenter-secret",
    "esxi-secret",
    {"san01": ("chap-secret", "mutual-secret")},
    "ecdsa-sha2-nistp256 AAAA me",
    fencing_password="fencing-secret",  # noqa: S106 (made up)
    bmc_passwords={host: f"bmc-secret of {host}" for host in ("psexi02", "psexi03", "psexi04")},
)
IMAGES = Images(guest="guest:1", esxi="esxi:1", san="san:1", client="client:1", vcenter="vcenter:1")


def site(**changes: dict[str, Any]) -> Settings:
    config = config_of(STACK)
    for key, values in changes.items():
        config[f"perenne:{key}"] |= values
    return settings_from_config(config, STACK.name)


def plan(settings: Settings) -> Plan:
    return Plan(
        settings=settings,
        secrets=SECRETS,
        images=IMAGES,
        lab="perenne",
        port=8443,
        ha_speed=2.5,
        docker_socket="/var/run/docker.sock",
        vcenter_certificate=b"certificate",
        vcenter_key=b"key",
        host_keys={name: {"ssh_host_ecdsa_key": f"key of {name}".encode()} for name in settings.hosts},
        bmc_certificates={name: (b"certificate", f"bmc key of {name}".encode()) for name in settings.hosts},
    )


@pytest.fixture
def layout() -> dict[str, Machine]:
    return {machine.name: machine for machine in machines(plan(settings_from_file(STACK)))}


def test_every_machine_of_the_site_is_there(layout: dict[str, Machine]) -> None:
    assert {name: machine.kind for name, machine in layout.items()} == equipment.names(settings_from_file(STACK))
    assert layout["psexi03"].addresses == (IPv4Address("198.18.10.82"),)
    assert layout["san01"].addresses == (IPv4Address("198.18.31.10"), IPv4Address("198.18.32.10"))
    assert [machine.name for machine in layout.values() if machine.port] == ["client"]


def test_vcenter_is_told_what_the_stack_file_says(layout: dict[str, Machine]) -> None:
    command = layout["vcenter"].command

    assert {"-listen=198.18.10.10:443", "-image=debian-12=guest:1", "-ha-speed=2.5", "-host-cpus=8"} <= set(command)
    files = {match[1] for flag in command if (match := re.search("=/run/lab/(.+)", flag))}
    assert files == set(layout["vcenter"].files)


def test_an_array_is_told_its_luns_and_chap(layout: dict[str, Machine]) -> None:
    told = json.loads(layout["san01"].files["san.json"])

    assert told["luns"][1] == {"name": "datastore02", "naa": "naa.3000000100000002", "size_gib": 64}
    accounts = json.loads(layout["san01"].live_files["chap.json"])
    assert accounts["chap"] == {"user": "perenne", "secret": "chap-secret"}
    assert accounts["chap_mutual"] == {"user": "array", "secret": "mutual-secret"}


def test_a_host_has_its_own_key_and_lets_perenne_in(layout: dict[str, Machine]) -> None:
    assert layout["psexi04"].files["ssh_host_ecdsa_key"] == b"key of psexi04"
    assert layout["psexi04"].first_files["authorized_keys"] == b"ecdsa-sha2-nistp256 AAAA me\n"
    assert layout["psexi04"].environment == {"LAB_API": "http://198.18.10.10:8080", "LAB_HOST": "psexi04"}


def test_secrets_are_in_files_only(layout: dict[str, Machine]) -> None:
    for machine in layout.values():
        shown = repr(replace(machine, files={}, live_files={}))
        assert "secret" not in shown, machine.name
    assert "secret" not in repr(plan(settings_from_file(STACK))).replace("secrets=", "")


@pytest.mark.parametrize(
    "change",
    [
        {"image": "san:2"},
        {"command": ("other",)},
        {"environment": {"A": "b"}},
        {"files": {"san.json": b"{}"}},
        {"addresses": (IPv4Address("198.18.31.11"),)},
        {"capabilities": ("NET_ADMIN",)},
        {"mounts": {"/a": "/b"}},
    ],
)
def test_whatever_differs_shows_in_the_fingerprint(layout: dict[str, Machine], change: dict[str, Any]) -> None:
    machine = layout["san01"]
    changed = replace(machine, **change)

    assert machine.fingerprint(machine.image) == replace(machine).fingerprint(machine.image)
    assert changed.fingerprint(changed.image) != machine.fingerprint(machine.image)


def test_the_client_gives_way_to_servers() -> None:
    assert client_address(site()) == IPv4Address("198.18.20.200")
    assert client_address(site(site={"address": "198.18.20.200"})) == IPv4Address("198.18.20.199")


@pytest.mark.parametrize(
    "vcenter", [{"server": "vcenter.vmlabs.int", "address": "198.18.10.10"}, {"server": "198.18.20.10"}]
)
def test_vcenter_needs_an_address_of_the_labs(vcenter: dict[str, str]) -> None:
    with pytest.raises(LabError, match=f"perenne:vcenter.server = {vcenter['server']}") as caught:
        equipment.check(site(vcenter=vcenter))
    assert "198.18.10.0/24" in caught.value.remedy


def test_luns_of_one_array_share_its_number() -> None:
    array = config_of(STACK)["perenne:storage"]["san01"]
    luns = array["luns"] | {"datastore02": {"naa": "naa.3000000200000002", "size_gib": 64}}

    with pytest.raises(LabError, match="0000001 and 0000002, differ"):
        equipment.check(site(storage={"san01": array | {"luns": luns}}))


def test_a_lun_needs_an_identifier_that_the_labs_array_can_give() -> None:
    array = config_of(STACK)["perenne:storage"]["san01"]
    luns = array["luns"] | {"datastore02": {"naa": "naa.6000000100000002", "size_gib": 64}}

    with pytest.raises(LabError, match=r"san01\.luns.datastore02.naa = naa.6000000100000002"):
        equipment.check(site(storage={"san01": array | {"luns": luns}}))


def test_the_kinds_are_those_that_vcenter_knows() -> None:
    source = (Path(__file__).parents[3] / "lab" / "vcenter" / "engine.go").read_text()

    assert re.search(rf'kindESXi\s+= "{Kind.ESXI}"', source)
    for label in (Label.LAB, Label.KIND, Label.NAME):
        assert f'= "{label}"' in source


def test_what_a_running_machine_can_be_told_makes_no_other_machine_of_it(layout: dict[str, Machine]) -> None:
    array, host = layout["san01"], layout["psexi04"]
    assert replace(array, live_files={"chap.json": b"{}"}).fingerprint("san") == array.fingerprint("san")
    assert replace(host, first_files={"authorized_keys": b""}).fingerprint("esxi") == host.fingerprint("esxi")


def test_a_running_array_is_told_new_secrets_once(layout: dict[str, Machine], tmp_path: Path) -> None:
    array = layout["san01"]
    array.write_files(tmp_path)
    container = Mock()
    assert not array.tell(container, tmp_path)
    changed = replace(array, live_files={"chap.json": b"{}"})
    assert changed.tell(container, tmp_path)
    container.kill.assert_called_once_with("SIGHUP")
    assert (tmp_path / "chap.json").read_bytes() == b"{}"
    assert not changed.tell(container, tmp_path)


def test_an_array_whose_message_was_interrupted_is_told_again(layout: dict[str, Machine], tmp_path: Path) -> None:
    array = layout["san01"]
    array.write_files(tmp_path)
    changed = replace(array, live_files={"chap.json": b"{}"})
    with pytest.raises(KeyboardInterrupt):
        changed.tell(Mock(kill=Mock(side_effect=KeyboardInterrupt)), tmp_path)
    container = Mock()
    assert changed.tell(container, tmp_path)
    container.kill.assert_called_once()


def test_every_host_has_a_bmc_that_outlives_it(layout: dict[str, Machine]) -> None:
    bmc = layout["psexi04-bmc"]
    assert bmc.addresses == (IPv4Address("198.18.10.183"),)
    assert bmc.command[0] == "bmc"
    assert "-host=psexi04" in bmc.command
    assert bmc.files["password"] == b"bmc-secret of psexi04"
    assert not any("secret" in part for part in bmc.command)


def test_a_site_without_fencing_has_neither_its_account_nor_what_belongs_to_it(layout: dict[str, Machine]) -> None:
    plain = site(fencing={"user": ""})
    without = {machine.name: machine for machine in machines(plan(plain))}
    assert any("fencing" in part for part in layout["vcenter"].command)
    assert not any("fencing" in part for part in without["vcenter"].command)
    assert "fencing-password" not in without["vcenter"].files


def test_a_bmc_outside_the_management_network_is_refused() -> None:
    hosts = config_of(STACK)["perenne:hosts"]
    hosts["psexi03"]["bmc"]["address"] = "198.18.40.1"
    with pytest.raises(LabError, match=r"BMC of psexi03 at 198\.18\.40\.1"):
        equipment.check(site(hosts=hosts))
