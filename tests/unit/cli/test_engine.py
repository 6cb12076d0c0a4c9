"""The engine's environment, and going on after one that was killed. A shell script stands in for Pulumi."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli import engine
from cli.console import Display, Progress
from cli.engine import Engine, environment_of
from cli.events import Deployment, Stream
from cli.signals import Interrupted
from cli.toolchain import Pulumi
from machine import processes
from machine.failure import Failure
from stack import drained_servers, workspace
from stack.workspace import Stack

DEAD = 2**22 + 1
"""No process has this id: the kernel's largest is 2**22."""


@pytest.fixture
def pulumi(tmp_path: Path) -> Pulumi:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Pulumi("offline", folder, tmp_path / "home", "a test")


@pytest.fixture
def progress() -> Progress:
    return Progress(Display(plain=True), "test")


def _script(pulumi: Pulumi, text: str) -> None:
    pulumi.executable.write_text(f"#!/bin/sh\n{text}\n")
    pulumi.executable.chmod(0o755)


def _await(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} is not there"
        time.sleep(0.02)


def _state() -> Path:
    return workspace.PRIVATE / "state"


def _lock(stack: Stack, process: int, host: str = "") -> Path:
    folder = _state() / ".pulumi" / "locks" / "organization" / "perenne" / stack.name
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "5f1c.json"
    lock.write_text(json.dumps({"pid": process, "hostname": host or socket.gethostname()}))
    return lock


def test_a_lab_s_state_is_always_the_working_copy_s(
    dev: Stack, pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://somewhere.example")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of another stack")
    environment = Engine(dev, pulumi).environment
    assert environment["PULUMI_BACKEND_URL"] == f"{_state().as_uri()}?metadata=skip"
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(dev.passphrase_file)
    assert "PULUMI_CONFIG_PASSPHRASE" not in environment
    assert environment["PATH"].split(os.pathsep)[0] == str(pulumi.folder)


def test_a_real_stack_keeps_its_user_s_choices(clone: Path, pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clone.is_dir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://somewhere.example")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "chosen")
    added = environment_of(Stack("prod"), pulumi, {})
    assert "PULUMI_BACKEND_URL" not in added
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in added


def test_the_lab_s_networks_join_what_no_proxy_says(
    dev: Stack, pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert environment_of(dev, pulumi, {"NO_PROXY": "198.18.0.0/15"})["NO_PROXY"] == "localhost,198.18.0.0/15"
    monkeypatch.setenv("NO_PROXY", "localhost,198.18.0.0/15")
    assert environment_of(dev, pulumi, {"NO_PROXY": "198.18.0.0/15"})["NO_PROXY"] == "198.18.0.0/15"


def test_the_lock_of_a_dead_engine_is_taken_off(dev: Stack, pulumi: Pulumi, progress: Progress, tmp_path: Path) -> None:
    lock = _lock(dev, DEAD)
    _script(pulumi, f'echo "$@" >{tmp_path}/called')
    Engine(dev, pulumi).release(progress)
    assert lock.exists()  # it is Pulumi that takes it off
    assert (tmp_path / "called").read_text() == "cancel --yes dev\n"


def test_an_id_that_another_program_has_now_is_no_engine(
    dev: Stack, pulumi: Pulumi, progress: Progress, tmp_path: Path
) -> None:
    _lock(dev, os.getpid())
    _script(pulumi, f'echo "$@" >{tmp_path}/called')
    Engine(dev, pulumi).release(progress)
    assert (tmp_path / "called").read_text() == "cancel --yes dev\n"


def test_an_engine_that_still_works_is_waited_for(
    dev: Stack, pulumi: Pulumi, progress: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(pulumi, f'echo "$@" >{tmp_path}/called')
    with subprocess.Popen(["sleep", "600"]) as other:
        _lock(dev, other.pid)
        monkeypatch.setattr(processes, "is_alive", lambda process, _name: process == other.pid)
        monkeypatch.setattr(engine, "_ENDING_SECONDS", 0.05)
        with pytest.raises(Failure, match=f"process {other.pid} works on it"):
            Engine(dev, pulumi).release(progress)
        other.kill()
    assert not (tmp_path / "called").exists()


def test_what_a_killed_engine_has_half_written_beside_its_files_is_removed(
    pulumi: Pulumi, progress: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}?no_tmp_dir=true")
    folder = tmp_path / ".pulumi" / "stacks" / "perenne"
    folder.mkdir(parents=True)
    for name, content in (("prod.json", '{"version": 3}'), ("prod.json.attrs", ""), ("prod.pulumi-tags.attrs", "{}")):
        (folder / name).write_text(content)
    (tmp_path / ".pulumi" / "meta.yaml.attrs").write_text("")
    Engine(Stack("prod"), pulumi).release(progress)
    assert sorted(file.name for file in folder.iterdir()) == ["prod.json", "prod.pulumi-tags.attrs"]
    assert not (tmp_path / ".pulumi" / "meta.yaml.attrs").exists()


def test_what_no_run_of_the_stack_reads_is_left_as_it_is(
    pulumi: Pulumi, progress: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    history = tmp_path / ".pulumi" / "history" / "perenne" / "prod" / "prod-1.history.json.attrs"
    other = tmp_path / ".pulumi" / "stacks" / "perenne" / "prod.other.json.attrs"
    for file in (history, other):
        file.parent.mkdir(parents=True)
        file.write_text("")
    Engine(Stack("prod"), pulumi).release(progress)
    assert history.exists()
    assert other.exists()


def test_another_machine_s_lock_is_left_alone(dev: Stack, pulumi: Pulumi, progress: Progress) -> None:
    _lock(dev, DEAD, host="another-machine")
    with pytest.raises(Failure, match="another-machine"):
        Engine(dev, pulumi).release(progress)


def test_without_a_lock_pulumi_is_not_called(dev: Stack, pulumi: Pulumi, progress: Progress) -> None:
    Engine(dev, pulumi).release(progress)  # there is no executable


def test_state_goes_in_on_standard_input(dev: Stack, pulumi: Pulumi, tmp_path: Path) -> None:
    _script(pulumi, f'cat >{tmp_path}/state; echo "$@" >{tmp_path}/called')
    Engine(dev, pulumi).set_state({"deployment": {}})
    assert json.loads((tmp_path / "state").read_text()) == {"deployment": {}}
    assert (tmp_path / "called").read_text() == "stack import --stack dev\n"


def test_a_refusal_is_told_in_pulumi_s_words(dev: Stack, pulumi: Pulumi) -> None:
    _script(pulumi, "echo 'error: no such stack' >&2; exit 1")
    with pytest.raises(Failure, match="no such stack"):
        Engine(dev, pulumi).state()


def test_a_deployment_follows_the_stream(dev: Stack, pulumi: Pulumi, progress: Progress, tmp_path: Path) -> None:
    summary = json.dumps({"summaryEvent": {"resourceChanges": {"same": 3}, "isPreview": False}})
    _script(pulumi, f"echo \"$@\" >{tmp_path}/called; echo 'error: it broke'; echo '{summary}'; exit 255")
    deployment = Deployment()
    assert Engine(dev, pulumi).up(deployment, progress, tmp_path / "report") is False
    assert deployment.errors == ["it broke"]
    assert deployment.changes == {"same": 3}
    assert (
        tmp_path / "called"
    ).read_text() == f"up --yes --non-interactive --json --stack dev {' '.join(engine.POLICIES)}\n"


_FOLLOWS = """
import pathlib, sys
from cli.console import Display, Progress
from cli.engine import Engine
from cli.events import Deployment, Stream
from cli.toolchain import Pulumi
from stack.workspace import Stack
folder = pathlib.Path(sys.argv[1])
pulumi = Pulumi("offline", folder, folder, "a test")
Engine(Stack("prod"), pulumi).up(Deployment(), Progress(Display(plain=True), "test"), folder / "report")
"""


def test_an_engine_whose_perenne_was_killed_ends_in_good_order(pulumi: Pulumi) -> None:
    folder = pulumi.folder
    # More than any pipe takes, and then a word of the shell's own, which ends it where nobody could read that.
    last = f"seq 200000; echo the last word; touch {folder}/ended; exit"
    wait = f"for i in $(seq 1500); do echo; touch {folder}/begun; sleep 0.02; done"
    _script(pulumi, f"trap '{last}' INT\n{wait}")
    command = [sys.executable, "-c", _FOLLOWS, str(folder)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL) as perenne:
        _await(folder / "begun")
        perenne.kill()
    _await(folder / "ended")


class Interrupting(Deployment):
    """Ctrl-C comes while its first line is read."""

    def read(self, line: str) -> str | None:
        """Take a line."""
        self.messages.append(line)
        if len(self.messages) == 1:
            raise KeyboardInterrupt
        return super().read(line)


def test_an_interrupted_deployment_is_followed_to_its_end(
    dev: Stack, pulumi: Pulumi, progress: Progress, tmp_path: Path
) -> None:
    wait = "for i in $(seq 3000); do sleep 0.02; done"
    _script(pulumi, f"""trap 'echo "{{ending}}"; exit 255' INT\necho "{{beginning}}"\n{wait}""")
    deployment = Interrupting()
    with pytest.raises(Interrupted):
        Engine(dev, pulumi).up(deployment, progress, tmp_path / "report")
    assert deployment.messages == ["{beginning}", "{beginning}", "{ending}"]


def test_lines_are_followed_as_they_come_whole() -> None:
    with Stream() as stream:
        seen = []
        for part in (b"a\nb", b"c", b"\nd\n"):
            os.write(stream.fileno(), part)
            seen.append(list(stream.lines()))
    assert seen == [["a"], [], ["bc", "d"]]


def test_what_a_deployment_is_told_beside(dev: Stack, pulumi: Pulumi, progress: Progress, tmp_path: Path) -> None:
    _script(pulumi, f'echo "$@" >{tmp_path}/called')
    assert Engine(dev, pulumi).up(Deployment(), progress, tmp_path / "report", ["--refresh"])
    assert (tmp_path / "called").read_text().startswith("up --yes --refresh --non-interactive ")


def test_steps_are_those_after_a_look_at_the_site(dev: Stack, pulumi: Pulumi, tmp_path: Path) -> None:
    _script(pulumi, f"""echo "$@" >{tmp_path}/called; echo '{{"steps": [{{"op": "same"}}]}}'""")
    assert Engine(dev, pulumi).steps() == [{"op": "same"}]
    assert (tmp_path / "called").read_text() == "preview --refresh --stack dev --json --non-interactive\n"


@pytest.mark.parametrize(
    "script",
    [
        """echo '{"diagnostics": [{"severity": "error", "message": "vCenter is away"}]}'; exit 255""",
        "echo 'vCenter is away' >&2; exit 255",
    ],
    ids=["as an event", "as text"],
)
def test_a_look_that_fails_says_why(dev: Stack, pulumi: Pulumi, script: str) -> None:
    _script(pulumi, script)
    with pytest.raises(Failure) as failure:
        Engine(dev, pulumi).steps()
    assert failure.value.why == "vCenter is away"


@pytest.mark.parametrize("requests", [["TERM"], ["HUP"], ["HUP", "HUP"], ["TERM", "HUP"]], ids=" ".join)
def test_what_asks_perenne_to_end_interrupts_pulumi_once(
    dev: Stack, pulumi: Pulumi, tmp_path: Path, requests: list[str]
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    heard = f"for i in $(seq 3000); do [ ! -e {tmp_path}/told ] || break; sleep 0.02; done; sleep 0.1"
    asked = "\n".join(f"kill -{number} $PPID; {heard}" for number in requests)
    _script(pulumi, f"trap 'echo interrupted >>{tmp_path}/told' INT\n{asked}\nexit 3")
    assert Engine(dev, pulumi).attended("up") == 3
    assert (tmp_path / "told").read_text() == "interrupted\n"
    assert signal.signal(signal.SIGHUP, before) == signal.SIG_DFL


def test_a_ctrl_c_is_the_terminal_s_to_send(dev: Stack, pulumi: Pulumi, tmp_path: Path) -> None:
    _script(pulumi, f"trap 'touch {tmp_path}/told' INT\nkill -INT $PPID; sleep 0.1\nexit 3")
    assert Engine(dev, pulumi).attended("up") == 3
    assert not (tmp_path / "told").exists()


def test_pulumi_outlives_its_terminal(dev: Stack, pulumi: Pulumi) -> None:
    _script(pulumi, "kill -HUP $$; exit 3")
    assert Engine(dev, pulumi).attended("up") == 3


def test_forgotten_state_is_gone_and_other_stacks_stay(dev: Stack) -> None:
    stacks = _state() / ".pulumi" / "stacks" / "perenne"
    stacks.mkdir(parents=True)
    for name in ("dev.json", "dev.json.bak", "prod.json"):
        (stacks / name).touch()
    lock = _lock(dev, DEAD)
    dev.generation_file.write_text("a lab")
    drained_servers.note(dev, "app01")
    engine.forget_state(dev)
    assert [file.name for file in stacks.iterdir()] == ["prod.json"]
    assert not lock.exists()
    assert not dev.generation_file.exists()
    assert drained_servers.noted(dev) == []
