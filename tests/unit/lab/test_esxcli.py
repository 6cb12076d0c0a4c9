"""esxcli's command line, state and storage, with stand-ins for the initiator and the simulated vCenter."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.images.esxi.esxcli import __main__ as esxcli
from lab.images.esxi.esxcli import initiator
from lab.images.esxi.esxcli.errors import EsxcliError
from lab.images.esxi.esxcli.host import Chap, ChapPair, Device, Host, Policy, SatpRule, State, StoragePath, Target
from lab.images.esxi.esxcli.initiator import InitiatorError, Login, Lun
from lab.images.esxi.esxcli.labapi import LabApi

TARGET = "iqn.2026-11.int.vmlabs:san01"
PORTAL_A, PORTAL_B = "198.18.31.10:3260", "198.18.32.10:3260"
NAA = "naa.3000000100000001"
SECRET, MUTUAL_SECRET = "opensesame12", "semasenepo21"
VMKERNELS = [
    {"device": f"vmk{n}", "portgroup": f"storage-{n}", "ip": f"198.18.3{n}.80", "mask": "255.255.255.0", "mtu": 9000}
    for n in (1, 2)
]


@dataclass
class Site:
    """What surrounds the host: vCenter, and an array with one LUN."""

    vcenter_answers: bool = True
    secret: str = SECRET
    reports: list[dict[str, Any]] = field(default_factory=list)
    discoveries: list[Login] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)

    def call(self, method: str, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer as the lab's HTTP interface."""
        if not self.vcenter_answers:
            raise EsxcliError("The lab's vCenter does not answer")
        if method == "PUT":
            self.reports.append(json.loads(json.dumps(body)))
            return {}
        volume = {"name": "datastore01", "uuid": "u1", "naa": NAA, "mounted": True}
        return {"network": {"vmkernel": VMKERNELS}, "storage": {"vmfs": [volume]}}[what]

    def discover(self, login: Login) -> list[tuple[str, str]]:
        """Answer as an array that has no CHAP for discovery, and names the portal that was asked."""
        self.discoveries.append(login)
        if login.mutual_chap:
            raise InitiatorError("The target did not prove itself")
        return [(TARGET, login.portal)]

    def luns(self, login: Login, _target: str) -> list[Lun]:
        """Answer as an array that wants CHAP."""
        self.logins.append(login)
        if login.chap is None or login.chap.secret != self.secret:
            raise InitiatorError("Authentication failure(513)")
        return [Lun(1, NAA, "IET", "VIRTUAL-DISK", "0001", 64 * 2**30)]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site()
    monkeypatch.setattr(LabApi, "_call", site.call)
    monkeypatch.setattr(initiator, "discover", site.discover)
    monkeypatch.setattr(initiator, "luns", site.luns)
    monkeypatch.setattr(Host, "interface_of", lambda _, address: f"eth-{address}")
    monkeypatch.setattr("socket.gethostname", lambda: "psexi02.vmlabs.int")
    return site


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:  # noqa: ARG001
    """Return a function that runs esxcli and returns its status, output and errors."""

    def call(words: str) -> tuple[int, str, str]:
        status = esxcli.main(words.split(), tmp_path / "state.json")
        return status, *capsys.readouterr()

    return call


STATIC = "iscsi adapter discovery statictarget"
CHAP = f"iscsi adapter target portal auth chap set -A vmhba64 -n {TARGET}"


@pytest.fixture
def connected(run: Run) -> Run:
    """Return `run` of a host that is set up as Perenne does it."""
    for words in (
        "iscsi software set --enabled=true",
        f"{STATIC} add --adapter vmhba64 --address 198.18.31.10:3260 --name {TARGET}",
        f"{STATIC} add -A vmhba64 -a=198.18.32.10 -n {TARGET}",
        *(
            f"{CHAP} -a {portal} -d {direction} -l required -N perenne -S {secret}"
            for portal in (PORTAL_A, PORTAL_B)
            for direction, secret in (("uni", SECRET), ("mutual", MUTUAL_SECRET))
        ),
        "storage core adapter rescan --all",
    ):
        assert run(words)[0] == 0, words
    return run


def paths(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(path["vmk"], path["portal"]) for device in report["devices"] for path in device["paths"]]


def test_each_portal_is_reached_from_the_adapter_in_its_subnet(connected: Run, site: Site) -> None:
    status, output, _ = connected(f"--formatter=json storage core path list -d {NAA}")

    assert status == 0
    assert [path["RuntimeName"] for path in json.loads(output)] == ["vmhba64:C0:T0:L1", "vmhba64:C1:T0:L1"]
    assert [(login.interface, login.portal) for login in site.logins] == [
        ("eth-198.18.31.80", PORTAL_A),
        ("eth-198.18.32.80", PORTAL_B),
    ]
    assert all(login.mutual_chap and login.mutual_chap.secret == MUTUAL_SECRET for login in site.logins)
    assert site.discoveries == []


def test_without_binding_one_adapter_of_a_subnet_is_used(
    connected: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.VMKERNELS", [*VMKERNELS, {**VMKERNELS[0], "device": "vmk3", "ip": "198.18.31.81"}])

    connected("storage core adapter rescan --all")

    assert paths(site.reports[-1]) == [("vmk1", PORTAL_A), ("vmk2", PORTAL_B)]


def test_a_bound_adapter_also_tries_portals_that_it_cannot_reach(connected: Run, site: Site) -> None:
    for nic in ("vmk1", "vmk2"):
        assert connected(f"iscsi networkportal add -A vmhba64 -n {nic}")[0] == 0

    errors = connected("storage core adapter rescan --all")[2]

    assert paths(site.reports[-1]) == [("vmk1", PORTAL_A), ("vmk2", PORTAL_B)]
    assert [line for line in errors.splitlines() if line.startswith("Login to iSCSI target")] == [
        f"Login to iSCSI target {TARGET} at {portal} on vmhba64 @ {nic} failed. "
        "The iSCSI initiator could not establish a network connection to the target."
        for nic, portal in (("vmk2", PORTAL_A), ("vmk1", PORTAL_B))
    ]


def test_every_bound_adapter_of_a_shared_subnet_is_used(
    connected: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = [{**VMKERNELS[0], "device": f"vmk{n}", "ip": f"198.18.31.8{n}"} for n in (1, 2)]
    monkeypatch.setattr(f"{__name__}.VMKERNELS", shared)
    connected(f"{STATIC} remove -A vmhba64 -a {PORTAL_B} -n {TARGET}")
    for nic in ("vmk1", "vmk2"):
        connected(f"iscsi networkportal add -A vmhba64 -n {nic}")

    connected("storage core adapter rescan --all")

    assert paths(site.reports[-1]) == [("vmk1", PORTAL_A), ("vmk2", PORTAL_A)]


def test_a_send_target_names_targets_which_take_its_chap(run: Run, site: Site) -> None:
    run("iscsi software set -e true")
    run(f"iscsi adapter discovery sendtarget add -A vmhba64 -a {PORTAL_A}")
    chap = f"iscsi adapter discovery sendtarget auth chap set -A vmhba64 -a {PORTAL_A} -l required"
    run(f"{chap} -d uni -N perenne -S {SECRET}")

    assert run("iscsi adapter discovery rediscover")[0] == 0
    assert [login.chap and login.chap.secret for login in (*site.discoveries, *site.logins)] == [SECRET] * 2
    assert paths(site.reports[-1]) == [("vmk1", PORTAL_A)]

    run(f"{chap} -d mutual -N san01 -S {MUTUAL_SECRET}")
    errors = run("iscsi adapter discovery rediscover")[2]

    assert f"iSCSI discovery to {PORTAL_A} on vmhba64 @ vmk1 failed" in errors
    assert site.reports[-1]["targets"] == []
    assert site.reports[-1]["devices"] == []


def test_a_static_target_outlives_a_send_target_of_its_portal(connected: Run, site: Site) -> None:
    connected(f"iscsi adapter discovery sendtarget add -A vmhba64 -a {PORTAL_A}")
    connected("storage core adapter rescan --all")
    assert connected(f"iscsi adapter discovery sendtarget remove -A vmhba64 -a {PORTAL_A}")[0] == 0

    connected("storage core adapter rescan --all")

    assert paths(site.reports[-1]) == [("vmk1", PORTAL_A), ("vmk2", PORTAL_B)]
    assert "STATIC" in connected("iscsi adapter target list")[1]


def test_a_removed_static_target_takes_its_path_with_it(connected: Run, site: Site) -> None:
    assert connected(f"{STATIC} add -A vmhba64 -a {PORTAL_A} -n {TARGET}")[0] == 1
    assert connected(f"{STATIC} remove -A vmhba64 -a {PORTAL_A} -n {TARGET}")[0] == 0

    assert paths(site.reports[-1]) == [("vmk2", PORTAL_B)]
    assert connected(f"{STATIC} remove -A vmhba64 -a {PORTAL_A} -n {TARGET}")[0] == 1
    assert connected(f"{CHAP} -a {PORTAL_A} -d uni -l required -N perenne -S {SECRET}")[0] == 1


def test_a_target_that_inherits_has_the_adapters_chap(connected: Run) -> None:
    connected(f"{CHAP} -a {PORTAL_A} -d uni --inherit")

    shown = connected(f"iscsi adapter target portal auth chap get -A vmhba64 -n {TARGET} -a {PORTAL_A}")[1]

    assert shown.count("Level: prohibited") == 2


def test_vcenter_hears_what_the_host_sees(connected: Run, site: Site) -> None:
    assert connected(f"storage nmp device set -d {NAA} --psp=VMW_PSP_RR")[0] == 0

    report = site.reports[-1]
    assert report["adapter"]["name"] == "vmhba64"
    assert report["adapter"]["enabled"]
    assert report["adapter"]["iqn"].startswith("iqn.1998-01.com.vmware:psexi02-")
    assert report["targets"] == [{"iqn": TARGET, "portal": PORTAL_A}, {"iqn": TARGET, "portal": PORTAL_B}]
    assert report["devices"] == [
        {
            "naa": NAA,
            "vendor": "IET",
            "model": "VIRTUAL-DISK",
            "size_bytes": 68719476736,
            "psp": "VMW_PSP_RR",
            "paths": [
                {"vmk": "vmk1", "portal": PORTAL_A, "target": TARGET, "state": "active"},
                {"vmk": "vmk2", "portal": PORTAL_B, "target": TARGET, "state": "active"},
            ],
        }
    ]


def test_a_wrong_chap_secret_takes_the_devices_away_and_says_why(connected: Run, site: Site) -> None:
    site.secret = MUTUAL_SECRET

    status, _, errors = connected("storage core adapter rescan --adapter=vmhba64")

    assert status == 0
    assert f"Login to iSCSI target {TARGET} at {PORTAL_A} on vmhba64 @ vmk1 failed" in errors
    assert site.reports[-1]["devices"] == []
    assert connected(f"storage core device list -d {NAA}")[0] == 1


def test_secrets_are_kept_privately_and_never_printed(connected: Run, tmp_path: Path) -> None:
    shown = connected(f"iscsi adapter target portal auth chap get -A vmhba64 -n {TARGET} -a {PORTAL_A}")

    assert "Level: required" in shown[1]
    assert SECRET not in "".join(shown[1:])
    assert SECRET in (tmp_path / "state.json").read_text()
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_an_adapter_with_sessions_is_unbound_by_force_alone_and_takes_its_paths_with_it(
    connected: Run, site: Site
) -> None:
    for nic in ("vmk1", "vmk2"):
        connected(f"iscsi networkportal add -A vmhba64 -n {nic}")

    assert connected("iscsi networkportal remove -A vmhba64 -n vmk2")[0] == 1
    assert connected("iscsi networkportal remove -A vmhba64 -n vmk2 --force true")[0] == 0

    assert paths(site.reports[-1]) == [("vmk1", PORTAL_A)]


def test_a_portal_that_no_adapter_is_beside_is_not_reached(connected: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.VMKERNELS", VMKERNELS[:1])

    status, _, errors = connected("storage core adapter rescan --all")

    assert status == 0
    assert f"No VMkernel adapter is in the subnet of {PORTAL_B}" in errors


def test_without_vcenter_a_rescan_fails_and_changes_nothing_of_its_own_still_counts(connected: Run, site: Site) -> None:
    site.vcenter_answers = False

    assert connected("storage core adapter rescan --all")[0] == 1
    status, _, errors = connected(f"storage nmp device set -d {NAA} -P VMW_PSP_MRU")
    site.vcenter_answers = True

    assert (status, "vCenter was not told" in errors) == (0, True)
    assert "Path Selection Policy: VMW_PSP_MRU" in connected(f"storage nmp device list -d {NAA}")[1]


def test_a_rule_gives_an_arrays_devices_their_policy(connected: Run) -> None:
    connected("storage nmp satp rule add --satp=VMW_SATP_DEFAULT_AA --psp=VMW_PSP_RR --vendor=IET")

    assert "Path Selection Policy: VMW_PSP_RR" in connected("storage nmp device list")[1]
    assert connected("storage nmp satp rule add -s VMW_SATP_DEFAULT_AA -P VMW_PSP_RR -V IET")[0] == 1


def test_software_iscsi_that_is_off_has_no_adapter(run: Run) -> None:
    assert run("iscsi software get") == (0, "false\n", "")
    assert run("iscsi adapter list") == (0, "", "")
    assert run("iscsi networkportal add -A vmhba64 -n vmk1")[0] == 1


def test_the_adapter_list_is_esxis(run: Run) -> None:
    assert run("iscsi software set -e true") == (0, "Software iSCSI Enabled\n", "")

    header, rule, row = run("iscsi adapter list")[1].splitlines()

    assert header.split("  ")[0] == "Adapter"
    assert set(rule) == {"-", " "}
    assert row.split()[:3] == ["vmhba64", "iscsi_vmk", "online"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("iscsi nothing", "Error: Unknown command or namespace iscsi nothing"),
        ("iscsi adapter", "Available Namespaces and Commands:\n  auth\n  discovery"),
        ("iscsi adapter get", "Error: Missing required parameter -A|--adapter"),
        ("iscsi adapter get --adaptor=vmhba64", "Error: Invalid option --adaptor"),
        ("iscsi adapter get --adapter", "Error: Option -A|--adapter needs a value"),
        ("iscsi software set --enabled=maybe", "Error: Invalid boolean value: maybe"),
        ("storage core adapter rescan", "Error: Must specify one of --adapter or --all"),
        ("storage core device list -d naa.0", "Error: Unable to find device with name naa.0"),
        ("storage nmp device set -d naa.0 -P FASTEST", "Error: Invalid value for option -P|--psp"),
        ("--formatter=yaml system version get", "Error: Invalid formatter 'yaml'"),
    ],
)
def test_a_mistake_ends_with_status_1_and_a_message(run: Run, words: str, message: str) -> None:
    status, output, errors = run(words)

    assert (status, output) == (1, "")
    assert message in errors


@pytest.mark.parametrize(
    "options",
    [
        "-d mutual -l required -N san01 -S semasenepo21",  # uni is not required yet
        "-d uni -l required -N perenne",
        "-d uni -l required -S opensesame12",
        "-d uni -N perenne -S opensesame12",
    ],
)
def test_chap_that_cannot_work_is_refused(run: Run, options: str) -> None:
    run("iscsi software set -e true")

    assert run(f"iscsi adapter auth chap set -A vmhba64 {options}")[0] == 1
    assert run("iscsi adapter auth chap get -A vmhba64")[1].count("Level: prohibited") == 2


def test_both_chap_directions_with_one_secret_are_refused(run: Run) -> None:
    run("iscsi software set -e true")
    chap = "iscsi adapter auth chap set -A vmhba64 -l required -N perenne -S opensesame12 -d"

    assert run(f"{chap} uni")[0] == 0
    assert run(f"{chap} mutual")[0] == 1


def test_state_survives_writing_and_reading() -> None:
    pair = ChapPair(Chap("required", "perenne", SECRET), Chap("required", "san01", MUTUAL_SECRET))
    state = State(
        iscsi_enabled=True,
        nics=["vmk1"],
        chap=pair,
        send_targets={PORTAL_A: pair, PORTAL_B: None},
        targets=[Target(TARGET, PORTAL_A, is_static=True, chap=pair), Target(TARGET, PORTAL_B)],
        devices={NAA: Device("IET", "DISK", "1", 2**30, [StoragePath("vmk1", PORTAL_A, TARGET, 1)])},
        policies={NAA: Policy("VMW_PSP_RR", 1)},
        satp_rules=[SatpRule("VMW_SATP_DEFAULT_AA", "VMW_PSP_RR")],
        ntp_servers=["198.18.10.1"],
    )

    assert State.from_json(state.to_json()) == state


def test_a_failing_command_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with Host.open(file) as host:
        host.state.nics.append("vmk1")

    def fail() -> None:
        with Host.open(file) as host:
            host.state.nics.append("vmk2")
            raise EsxcliError("no")

    with pytest.raises(EsxcliError):
        fail()
    with Host.open(file) as host:
        assert host.state.nics == ["vmk1"]
