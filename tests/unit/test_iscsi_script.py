"""How a host is connected to the arrays: its script, run here with the simulated esxcli."""

from pathlib import Path

import pytest

from blueprint.settings import Settings
from tests.unit.blueprint.test_guests import settings_with
from tests.unit.esxi_host import Esxi

SECRETS = {"san01": ("opensesame12", "semasenepo21"), "san02": ("opensesame34", "semasenepo43")}
SAN02 = {
    "iqn": "iqn.2026-11.int.vmlabs:san02",
    "portals": {"a": "198.18.31.11", "b": "198.18.32.11"},
    "chap": {"user": "esx", "mutual_user": "san02"},
    "luns": {"datastore03": {"naa": "naa.3000000200000001", "size_gib": 64}},
}
PATHS = {
    **{f"naa.300000010000000{n}": [("vmk1", "198.18.31.10:3260"), ("vmk2", "198.18.32.10:3260")] for n in (1, 2)},
    "naa.3000000200000001": [("vmk1", "198.18.31.11:3260"), ("vmk2", "198.18.32.11:3260")],
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Dev, with a second array."""
    return settings_with(storage={"san02": SAN02})


@pytest.fixture
def host(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Esxi:
    """A host of it."""
    return Esxi(tmp_path, settings, "psexi02", SECRETS, monkeypatch)


def test_a_host_reaches_every_lun_on_every_path_and_a_second_time_changes_nothing(host: Esxi) -> None:
    for _time in range(2):
        done = host.set_up()
        assert done.returncode == 0, done.stderr
        assert host.paths == PATHS
    state = host.state
    assert len(state.targets) == 4
    assert {policy.psp for policy in state.policies.values()} == {"VMW_PSP_RR"}
    assert len(state.policies) == 3


def test_each_array_gets_its_own_chap_in_both_directions_and_is_not_asked_for_targets(host: Esxi) -> None:
    host.set_up()

    found = {
        (target.name, target.portal): (target.chap.uni, target.chap.mutual)
        for target in host.state.targets
        if target.chap
    }
    assert {
        (name, portal, uni.name, uni.secret, mutual.name, mutual.secret, uni.level, mutual.level)
        for (name, portal), (uni, mutual) in found.items()
    } == {
        *(
            ("iqn.2026-11.int.vmlabs:san01", f"198.18.3{n}.10:3260", "perenne", *_said("san01", "array"))
            for n in (1, 2)
        ),
        *(("iqn.2026-11.int.vmlabs:san02", f"198.18.3{n}.11:3260", "esx", *_said("san02", "san02")) for n in (1, 2)),
    }
    assert host.state.send_targets == {}


@pytest.mark.parametrize("has_discovery_chap", [False, True])
def test_send_targets_of_a_former_set_up_give_way(host: Esxi, *, has_discovery_chap: bool) -> None:
    """With CHAP on the send target, an array without CHAP for discovery named no targets, and one with it did."""
    for array, (secret, mutual_secret) in zip(host.arrays, SECRETS.values(), strict=True):
        array.has_discovery_chap = has_discovery_chap
        host.esxcli("iscsi software set -e true")
        for portal in array.portals:
            host.esxcli(f"iscsi adapter discovery sendtarget add -A vmhba64 -a {portal}")
            chap = f"iscsi adapter discovery sendtarget auth chap set -A vmhba64 -a {portal} -l required"
            host.esxcli(f"{chap} -d uni -N perenne -S {secret}")
            host.esxcli(f"{chap} -d mutual -N array -S {mutual_secret}")
    host.esxcli("storage core adapter rescan --all")
    assert bool(host.state.devices) == has_discovery_chap

    done = host.set_up()

    assert done.returncode == 0, done.stderr
    assert host.paths == PATHS
    assert host.state.send_targets == {}
    assert all(target.is_static for target in host.state.targets)


def test_a_former_binding_is_taken_away(host: Esxi) -> None:
    host.esxcli("iscsi software set -e true")
    for nic in host.vmkernels:
        host.esxcli(f"iscsi networkportal add -A vmhba64 -n {nic}")
    host.set_up()
    for nic in host.vmkernels:  # now it has sessions
        host.esxcli(f"iscsi networkportal add -A vmhba64 -n {nic}")
    host.esxcli("storage core adapter rescan --all")

    done = host.set_up()

    assert done.returncode == 0, done.stderr
    assert host.state.nics == []
    assert host.paths == PATHS
    assert "could not establish a network connection" not in done.stderr, "nothing tries what it can't reach"


def test_logins_that_come_late_are_waited_for(host: Esxi) -> None:
    host.arrays[1].late = 4

    done = host.set_up()

    assert done.returncode == 0, done.stderr
    assert host.paths == PATHS
    assert host.slept == [5, 5, 5]  # the rediscovery and the first rescan are the first two attempts
    assert {policy.psp for policy in host.state.policies.values()} == {"VMW_PSP_RR"}


def test_a_path_that_stays_away_is_told_after_a_minute(host: Esxi) -> None:
    host.arrays[0].portals.pop()

    done = host.set_up()

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "psexi02 has 1 active path(s) to LUN datastore01, not 2"
    assert sum(host.slept) == 60
    assert host.state.policies == {}


def test_a_secret_that_the_array_refuses_is_told_without_the_secret(host: Esxi) -> None:
    host.arrays[1].secret = "another-one1"  # noqa: S105

    done = host.set_up()

    assert done.returncode == 1
    assert sum(host.slept) == 60
    assert "psexi02 does not see LUN datastore03 (naa.3000000200000001)" in done.stderr
    assert not any(secret in done.stdout + done.stderr for pair in SECRETS.values() for secret in pair)


def test_a_host_without_a_vmkernel_adapter_is_told_of(host: Esxi) -> None:
    del host.vmkernels["vmk2"]

    done = host.set_up()

    assert (done.returncode, done.stderr) == (1, "no VMkernel adapter of psexi02 has 198.18.32.80\n")


def _said(array: str, mutual_user: str) -> tuple[str, str, str, str, str]:
    secret, mutual_secret = SECRETS[array]
    return secret, mutual_user, mutual_secret, "required", "required"
