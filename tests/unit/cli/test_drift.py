"""What was changed by hand is found: recorded answers of the engine, and an SSH server in this process."""

import asyncio
import contextlib
import grp
import hashlib
import json
import os
import pwd
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cli import drift as command
from cli import drifted_files, drill, up
from cli.console import Display
from cli.drifted_files import Asked, Question, questions
from cli.drifted_resources import Cause, Drift, drifted
from cli.engine import Engine
from cli.toolchain import Pulumi
from drills.model import UNKNOWN
from machine.failure import Failure
from stack import ssh
from stack.crypter import Crypter
from stack.vault import Vault
from stack.workspace import Stack

RECORDINGS = json.loads((Path(__file__).parent / "recordings" / "drift.json").read_text())
"""A cluster in the simulated vCenter: the state, and previews after HA and DRS were switched off, and without it."""

PREFIX = "urn:pulumi:dev::perenne::perenne:index:VirtualMachine$"
VM = f"{PREFIX}vsphere:index/virtualMachine:VirtualMachine::db01-vm"
ROLE = f"{PREFIX}command:remote:Command::db01-database"
COPY = f"{PREFIX}command:remote:CopyToRemote::app01-pnp-manager.war"
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


def _found(recording: str) -> list[Drift]:
    recorded = {resource["urn"]: resource for resource in RECORDINGS["recorded"]}
    return list(drifted(RECORDINGS[recording], recorded))


def _update(urn: str, found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {
        "op": "update",
        "urn": urn,
        "diffReasons": list(wanted),
        "oldState": {"inputs": found},
        "newState": {"inputs": wanted},
    }


def test_what_was_switched_off_is_found_by_its_property() -> None:
    cluster = "ComputeCluster esxi-cluster"
    there = '{"das.respectVmVmAntiAffinityRules": "true"}'
    assert _found("ha-off") == [
        Drift("IscsiDatastores storage", "", "is not made yet", Cause.PROGRAM),
        Drift(cluster, "drsEnabled", "is false, the program says true", Cause.SITE),
        Drift(cluster, "haAdvancedOptions", f"is {{}}, the program says {there}", Cause.SITE),
        Drift(cluster, "haEnabled", "is false, the program says true", Cause.SITE),
    ]


def test_what_was_deleted_is_gone_and_not_merely_new() -> None:
    assert _found("cluster-gone") == [
        Drift("VmTemplate template", "", "is not made yet", Cause.PROGRAM),
        Drift("ComputeCluster esxi-cluster", "", "is gone", Cause.SITE),
    ]


def test_a_server_on_another_host_is_told_with_the_hosts_names() -> None:
    """Without DRS; with it, the program leaves the host to DRS, and the engine says nothing."""
    hosts: dict[str, Any] = {
        f"h{number}": {"id": f"host-{number}", "inputs": {"hostname": f"psexi0{number}"}} for number in (2, 4)
    }
    recorded = {**hosts, VM: {"inputs": {"hostSystemId": "host-4"}}}
    steps = [_update(VM, {"hostSystemId": "host-2"}, {"hostSystemId": "host-4"})]
    assert list(drifted(steps, recorded)) == [
        Drift("VirtualMachine db01-vm", "hostSystemId", "runs on psexi02, the program says psexi04", Cause.SITE)
    ]


def test_a_changed_stack_file_is_no_change_by_hand() -> None:
    found = drifted([_update(VM, {"memory": 1024}, {"memory": 2048})], {VM: {"inputs": {"memory": 1024}}})
    assert [one.cause for one in found] == [Cause.PROGRAM]


def test_servers_that_were_resized_by_hand_are_not_all_restarted_at_once() -> None:
    one, other = (
        Drift(f"VirtualMachine {name}-vm", "memory", "is 512, the program says 1024", Cause.SITE)
        for name in ("db01", "wit01")
    )
    elsewhere = Drift("ComputeCluster esxi-cluster", "haEnabled", "is false, the program says true", Cause.SITE)
    assert command.options_to_mend(command.Comparison([one, elsewhere], {})) == ["--refresh"]
    with pytest.raises(Failure, match="db01-vm and VirtualMachine wit01-vm have another size"):
        command.options_to_mend(command.Comparison([one, other], {}))


@pytest.mark.parametrize(
    ("urn", "key", "value"),
    [
        (
            VM,
            "password",
            {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": "hunter2"},
        ),
        (VM, "password", "[secret]"),
        (ROLE, "stdin", "hunter2"),
    ],
)
def test_no_secret_is_shown(urn: str, key: str, value: object) -> None:
    (found,) = drifted([_update(urn, {key: value}, {key: value})], {urn: {"inputs": {key: "hunter2"}}})
    assert found.cause is Cause.PROGRAM
    assert "hunter2" not in str(found)
    assert key in found.what


def test_every_server_is_asked_about_each_of_its_roles_and_copies() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"{\\"a\\": 1}"'}
    resources: list[dict[str, Any]] = [
        {"urn": ROLE, "type": "command:remote:Command", "inputs": {"stdin": secret}},
        {"urn": ROLE.replace("db01", "db01-b"), "type": "command:remote:Command", "inputs": {"stdin": "{}"}},
        {"urn": ROLE, "type": "command:remote:Command", "inputs": {"stdin": secret}, "delete": True},
        {"urn": ROLE.replace("database", "ready"), "type": "command:remote:Command", "inputs": {}},
        {"urn": COPY, "type": "command:remote:CopyToRemote", "inputs": {"remotePath": "/a", "source": {"hash": "ab"}}},
        {"urn": VM, "type": "vsphere:index/virtualMachine:VirtualMachine", "inputs": {}},
    ]
    found = questions(resources, ["db01", "db01-b", "app01"])
    assert {server: [each.urn for each in asked] for server, asked in found.items()} == {
        "db01": [ROLE],
        "db01-b": [ROLE.replace("db01", "db01-b")],
        "app01": [COPY],
    }
    assert found["db01"][0].stdin == '{"a": 1}'
    assert found["db01"][0].command.endswith(" database check")
    assert "ab  /a" in found["app01"][0].command


class Site:
    """Servers that are all this machine, as this user."""

    def __init__(self, port: int) -> None:
        self.port = port

    def login(self, _stack: Stack, _vault: Vault, name: str) -> object:
        """Log in, except on what is down."""
        port = 1 if name == "down" else self.port
        return asyncssh.connect("127.0.0.1", port, known_hosts=None, username="root", config=None, agent_path=None)


class _Open(asyncssh.SSHServer):
    """Lets everybody in; it listens on the loopback interface for the length of a test."""

    def begin_auth(self, username: str) -> bool:
        return username != "root"


async def _run(process: "asyncssh.SSHServerProcess[str]") -> None:
    shell = await asyncio.create_subprocess_exec("sh", "-c", process.command or "", stdin=-1, stdout=-1, stderr=-1)
    output, errors = await shell.communicate((await process.stdin.read()).encode())
    process.stdout.write(output.decode())
    process.stderr.write(errors.decode())
    process.exit(shell.returncode or 0)


@contextlib.asynccontextmanager
async def _site() -> AsyncIterator[Site]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with asyncssh.listen(
        "127.0.0.1", 0, server_factory=_Open, server_host_keys=[key], process_factory=_run
    ) as server:
        yield Site(server.get_port())


def _ask(stack: Stack, found: dict[str, list[Question]], monkeypatch: pytest.MonkeyPatch) -> Asked:
    async def ask() -> Asked:
        async with _site() as site:
            monkeypatch.setattr(ssh, "login", site.login)
            return await drifted_files._ask_all(stack, Vault(stack, {}, Crypter.new("x")), found)

    return asyncio.run(ask())


def test_servers_say_which_files_differ(dev: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {}
    for name in ("edited", "same"):
        file = tmp_path / name
        file.write_text(name)
        file.chmod(0o640)
        entries[str(file)] = {"content": name, "mode": 0o640, "owner": OWNER}
    (tmp_path / "edited").write_text("by hand")
    copied = tmp_path / "pnp-manager.war"
    copied.write_text("another")

    def state(checksum: str) -> list[dict[str, Any]]:
        copy = {"remotePath": str(copied), "source": {"hash": checksum}}
        return [
            {"urn": ROLE, "type": "command:remote:Command", "inputs": {"stdin": json.dumps(entries)}},
            {"urn": COPY, "type": "command:remote:CopyToRemote", "inputs": copy},
        ]

    servers = ["app01", "db01"]
    assert _ask(dev, questions(state("0" * 64), servers), monkeypatch) == Asked(
        [
            Drift("db01", str(tmp_path / "edited"), "has another content", Cause.SITE, ROLE),
            Drift("app01", str(copied), "is not the file that was copied", Cause.SITE, COPY),
        ],
        {},
    )
    (tmp_path / "edited").write_text("edited")
    as_it_is = hashlib.sha256(copied.read_bytes()).hexdigest()
    assert _ask(dev, questions(state(as_it_is), servers), monkeypatch) == Asked([], {})


def test_a_server_that_says_nothing_is_named_and_the_others_are_heard(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"down": [Question(ROLE, "true")], "broken": [Question(ROLE, "exit 7")], "up": [Question(ROLE, "echo {}")]}
    found = _ask(dev, asked, monkeypatch)
    assert found.drift == []
    assert found.silent.keys() == {"down", "broken"}
    assert "exit" in found.silent["broken"].lower()


class FakeEngine(Engine):
    """An engine that has looked."""

    resources: Any = ()
    found: Any = ()

    def state_in_clear(self) -> dict[str, Any]:
        """The state."""
        return {"deployment": {"resources": list(self.resources)}}

    state = state_in_clear

    def steps(self) -> list[dict[str, Any]]:
        """What it saw."""
        return list(self.found)


@pytest.fixture
def pulumi(dev: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine whose stack is deployed and as it should be."""
    made = FakeEngine(dev, Pulumi("offline", tmp_path, None, "a test"))
    made.resources = RECORDINGS["recorded"]
    monkeypatch.setattr(command, "previewing_engine", lambda _stack, _display: made)
    monkeypatch.setattr(Vault, "open", lambda stack: Vault(stack, {}, Crypter.new("x")))
    monkeypatch.setattr(drifted_files, "questions", lambda *_: {"db01": [Question(ROLE, "true")]})
    monkeypatch.setattr(drifted_files, "ask", lambda *_: Asked([], {}))
    return made


def test_a_site_that_is_as_it_should_be(pulumi: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.drift(pulumi.stack, as_json=False) == 0
    assert "the site is what the program says" in capsys.readouterr().out


def test_differences_are_told_with_what_mends_them(
    pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi.found = RECORDINGS["ha-off"]
    edited = Drift("db01", "/etc/hosts", "has another content", Cause.SITE, ROLE)
    monkeypatch.setattr(drifted_files, "ask", lambda *_: Asked([edited], {}))
    assert command.drift(pulumi.stack, as_json=False) == 3
    said = capsys.readouterr().out
    assert "ComputeCluster esxi-cluster haEnabled is false, the program says true (changed on the site)" in said
    assert "db01 /etc/hosts has another content (changed on the site)" in said
    assert "5 differences" in said
    assert "./perenne up dev --repair" in said
    assert command.drift(pulumi.stack, as_json=True) == 3
    data = json.loads(capsys.readouterr().out)
    assert data["stack"] == "dev"
    assert data["drift"][-1]["what"] == "/etc/hosts"
    assert up._to_mend(pulumi, Display(plain=True)) == ["--refresh", "--replace", ROLE]


def test_drills_note_differences_as_a_line(pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    display = Display(plain=True)
    assert drill.drift_of(pulumi, display) == ""
    pulumi.found = RECORDINGS["ha-off"]
    edited = Drift("db01", "/etc/hosts", "has another content", Cause.SITE, ROLE)
    monkeypatch.setattr(drifted_files, "ask", lambda *_: Asked([edited], {"app01": "no answer within 30 s"}))
    *others, last, silent = drill.drift_of(pulumi, display).split("; ")
    ha_off = "ComputeCluster esxi-cluster haEnabled is false, the program says true (changed on the site)"
    assert ha_off in others
    assert last == "db01 /etc/hosts has another content (changed on the site)"
    assert silent == "not known: files on app01: no answer within 30 s"
    pulumi.resources = []
    assert drill.drift_of(pulumi, display).startswith(f"{UNKNOWN}stack dev is not deployed: ")


def test_a_server_that_was_not_asked_is_an_error(pulumi: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifted_files, "ask", lambda *_: Asked([], {"db01": "no answer within 30 s"}))
    with pytest.raises(Failure, match="db01: no answer"):
        command.drift(pulumi.stack, as_json=False)


def test_a_stack_that_is_not_deployed_has_no_drift(pulumi: FakeEngine) -> None:
    pulumi.resources = []
    with pytest.raises(Failure, match="is not deployed"):
        command.drift(pulumi.stack, as_json=False)
    assert up._to_mend(pulumi, Display(plain=True)) == ()
