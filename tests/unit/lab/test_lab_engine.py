"""Finding, installing and starting Docker, with programs that only pretend."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import engine
from lab.engine import Engine, check_space
from lab.errors import LabError
from machine import processes

Program = Callable[[str, str], None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Nothing is installed but what a test makes; there is no Docker, and the user is root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Engine, "find", lambda _self: None)

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


@pytest.mark.usefixtures("programs")
def test_without_root_nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(LabError, match="only root") as caught:
        Engine(tmp_path).ensure(print)
    assert "sudo ./perenne" in caught.value.remedy


@pytest.mark.usefixtures("programs")
def test_without_apt_the_user_installs_docker(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no apt-get"):
        Engine(tmp_path).ensure(print)


def test_what_is_installed_is_said_and_recommends_are_left_out(tmp_path: Path, programs: Program) -> None:
    dockerd = f"{tmp_path}/bin/dockerd"
    failing = "#!/bin/sh\\nexit 3\\n"
    programs("apt-get", f"shift; echo \"$@\" >{tmp_path}/calls; printf '{failing}' >{dockerd}; /bin/chmod +x {dockerd}")
    said: list[str] = []

    with pytest.raises(LabError, match="dockerd ended with status 3"):
        Engine(tmp_path).ensure(said.append)
    assert (tmp_path / "calls").read_text() == "install --yes --no-install-recommends docker.io iptables\n"
    assert "docker.io and iptables" in said[0]


def test_a_daemon_that_ends_leaves_its_last_words(tmp_path: Path, programs: Program) -> None:
    programs("dockerd", "echo cannot do that; exit 3")

    with pytest.raises(LabError, match="status 3") as caught:
        Engine(tmp_path).ensure(print)
    assert "cannot do that" in caught.value.why
    assert str(tmp_path / ".perenne" / "dockerd.log") in caught.value.remedy


def test_docker_on_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://198.18.0.1:2375")

    with pytest.raises(LabError, match=r"DOCKER_HOST is tcp://198.18.0.1:2375"):
        Engine(tmp_path).find()


def test_a_socket_that_is_dead_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    with pytest.raises(LabError, match="nothing answers there"):
        Engine(tmp_path).find()


def test_a_socket_that_is_not_the_users_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker.sock").touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(LabError, match="may not use") as caught:
        Engine(tmp_path).find()
    assert "usermod -aG docker" in caught.value.remedy


@pytest.mark.parametrize(
    ("info", "form"),
    [
        ({"SecurityOptions": ["name=seccomp", "name=rootless"]}, "rootless"),
        ({"SecurityOptions": ["name=userns"]}, "userns-remap"),
        ({"OperatingSystem": "Docker Desktop"}, "Docker Desktop"),
    ],
)
def test_engines_that_a_lab_cant_use_are_named(info: dict[str, Any], form: str) -> None:
    with pytest.raises(LabError, match=form):
        engine._check_usable(info)


def test_the_usual_engine_is_fine() -> None:
    engine._check_usable(
        {"SecurityOptions": ["name=seccomp,profile=default"], "OperatingSystem": "Debian GNU/Linux 12"}
    )


def test_missing_space_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=4 * 2**30))
    client: Any = SimpleNamespace(info=lambda: {"DockerRootDir": str(tmp_path)})

    with pytest.raises(LabError, match=r"4\.0 GiB free of the 6") as caught:
        check_space(client, tmp_path / "cache" / "not" / "there")
    assert "2.0 GiB" in caught.value.remedy


def test_stop_ends_the_daemon_of_this_working_copy_and_its_children_only(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    daemons = [_pretend_daemon(clone) for clone in (ours, theirs)]
    try:
        child = processes.children(daemons[0].pid)
        assert len(child) == 1

        # Nobody listens on its socket, so there are no other containers to ask about.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Engine, "find", lambda _self: None)
            Engine(ours).stop(print)

        assert daemons[0].wait(timeout=5) is not None
        assert not Path(f"/proc/{child[0]}/cmdline").exists() or not Path(f"/proc/{child[0]}/cmdline").read_bytes()
        assert daemons[1].poll() is None
    finally:
        for daemon in daemons:
            for descendant in (*processes.children(daemon.pid), daemon.pid):
                subprocess.run(["kill", "-KILL", str(descendant)], check=False, capture_output=True)
            daemon.wait()


def _pretend_daemon(clone: Path) -> "subprocess.Popen[str]":
    """A process that looks like dockerd in the list of processes, with one child that ends after it."""
    program = "sleep 60 & trap 'kill $!; wait; exit 0' TERM; echo ready; wait"
    process = subprocess.Popen(
        ["dockerd", "-c", program, f"--label=perenne.clone={clone}"],
        executable="/bin/sh",
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process
