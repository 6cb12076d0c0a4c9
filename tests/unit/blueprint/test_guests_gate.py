"""The gate before an application server's HTTPS port, executed, with stand-ins for what changes the kernel."""

import fcntl
import importlib.util
import os
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

APPLICATION = Path(__file__).parents[3] / "components" / "guest" / "application"


class Server:
    """A folder that plays the server's disk, with `nft` and `ss` that only tell what they were told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        self.rules = root / "rules"
        self.sockets = root / "sockets"
        self.sockets.write_text("")
        (root / "run").mkdir()
        (root / "env").write_text("longest_answer=1\n")
        self.stand_in("nft", f"case $1 in -f) cat >>{self.rules} ;; list) cat {self.root}/set ;; esac")
        self.stand_in("ss", f"cat {self.sockets}")
        self.install("gate")

    def stand_in(self, name: str, script: str) -> None:
        """Put a program on the PATH."""
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def install(self, name: str) -> Path:
        """Put one of the role's scripts on the disk, with the disk's paths."""
        text = (APPLICATION / f"{name}.sh").read_text()
        for path, here in (
            ("/usr/local/lib/perenne", "bin"),
            ("/run/perenne", "run"),
            ("/var/lib/perenne", "var"),
            ("/etc/perenne/application.env", "env"),
        ):
            text = text.replace(path, str(self.root / here))
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)
        return self.bin / name

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the disk."""
        path = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        return subprocess.run(
            [self.bin / command[0], *command[1:]], capture_output=True, text=True, check=False, env=path
        )

    def said(self) -> str:
        """What nft was told, and forget it."""
        text = self.rules.read_text() if self.rules.exists() else ""
        self.rules.write_text("")
        return text


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A server with its gate open."""
    return Server(tmp_path)


def test_a_closed_gate_says_why_and_an_open_one_that_it_is_open(server: Server) -> None:
    assert server.run("gate", "state").stdout == "open\n"
    server.run("gate", "close", "starting", "closed: WildFly is starting")
    server.run("gate", "close", "split", "stands still")
    assert server.run("gate", "state").stdout == "stands still\nclosed: WildFly is starting\n"
    server.run("gate", "release", "starting")
    server.run("gate", "release", "split")
    server.run("gate", "release", "split")
    assert server.run("gate", "state").stdout == "open\n"


def test_to_give_a_reason_closes_the_gate_at_once_and_refuses_new_connections_only(server: Server) -> None:
    assert server.run("gate", "close", "split", "text").returncode == 0
    rules = server.said()
    assert "{ 8443 timeout 10s }" in rules
    assert 'iifname != "lo" tcp dport @closed tcp flags & (fin | syn | rst | ack) == syn reject with tcp reset' in rules


def test_to_take_a_reason_away_leaves_the_opening_to_the_keeper(server: Server) -> None:
    server.run("gate", "close", "split", "text")
    server.said()
    server.run("gate", "release", "split")
    assert server.said() == ""


def test_a_gate_that_the_kernel_keeps_closed_is_not_open(server: Server) -> None:
    server.stand_in("nft", "echo 'set closed { elements = { 8443 } }'")
    assert server.run("gate", "is-open").returncode == 1
    server.stand_in("nft", "echo 'no such table' >&2; exit 1")
    assert server.run("gate", "is-open").returncode == 0
    server.run("gate", "close", "split", "text")
    assert server.run("gate", "is-open").returncode == 1


def test_a_gate_that_can_t_be_closed_is_an_error(server: Server) -> None:
    server.stand_in("nft", "exit 1")
    assert server.run("gate", "shut").returncode != 0
    assert server.run("gate", "close", "split", "text").returncode != 0


def test_only_connections_from_other_machines_are_waited_for(server: Server) -> None:
    server.sockets.write_text("0 0 198.18.20.21:8443 198.18.20.21:40000\n")
    assert server.run("gate", "empty", "0").returncode == 0
    server.sockets.write_text("0 0 198.18.20.21:8443 198.18.20.11:40000\n")
    assert server.run("gate", "empty", "200").returncode == 1


def test_waiting_ends_with_the_last_connection(server: Server) -> None:
    server.sockets.write_text("0 0 198.18.20.21:8443 198.18.20.11:40000\n")
    with subprocess.Popen(["bash", "-c", f"sleep 0.3; : >{server.sockets}"]):
        began = time.monotonic()
        assert server.run("gate", "empty", "20000").returncode == 0
    assert time.monotonic() - began < 10


def test_a_drain_outlives_a_restart_and_ends_when_nothing_is_in_progress(server: Server) -> None:
    server.install("drain")
    assert server.run("drain").returncode == 0
    assert "reject" in server.said()
    mark = server.root / "var" / "drained"
    since = mark.read_text()
    assert server.run("gate", "state").stdout == "drained\n"
    assert server.run("drain").returncode == 0
    assert mark.read_text() == since


def test_a_drain_that_can_t_end_says_why_and_stays(server: Server) -> None:
    server.install("drain")
    server.sockets.write_text("0 0 198.18.20.21:8443 198.18.20.11:40000\n")
    failed = server.run("drain")
    assert failed.returncode == 1
    assert "requests are still in progress after 1 s" in failed.stderr
    assert server.run("gate", "state").stdout == "drained\n"


def test_a_drain_without_a_gate_is_an_error(server: Server) -> None:
    server.install("drain")
    server.stand_in("nft", "exit 1")
    failed = server.run("drain")
    assert failed.returncode == 1
    assert "the gate can't be closed" in failed.stderr


def test_undrain_returns_once_the_server_serves(server: Server) -> None:
    server.install("drain")
    server.install("undrain")
    server.run("drain")
    (server.root / "set").write_text("")
    server.stand_in("curl", f"test -e {server.root}/ready")
    with subprocess.Popen(["bash", "-c", f"sleep 0.5; touch {server.root}/ready"]):
        assert server.run("undrain").returncode == 0
        assert (server.root / "ready").exists()
    assert server.run("gate", "state").stdout == "open\n"
    assert server.run("undrain").returncode == 0


@pytest.mark.parametrize("script", ["drain", "undrain"])
def test_a_drain_that_does_not_end_is_waited_for_and_told(server: Server, script: str) -> None:
    program = server.install(script)
    program.write_text(program.read_text().replace("--wait 60", "--wait 0"))
    with (server.root / "run-drain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failed = server.run(script)
    assert failed.returncode == 1
    assert "another drain or undrain" in failed.stderr


def test_undrain_that_does_not_serve_says_why(server: Server) -> None:
    undrain = server.install("undrain")
    undrain.write_text(undrain.read_text().replace("limit=120", "limit=0"))
    server.stand_in("curl", "exit 7")
    server.stand_in("systemctl", "echo inactive; exit 3")
    failed = server.run("undrain")
    assert failed.returncode == 1
    assert "the gate is open, WildFly is inactive" in failed.stderr


def module(name: str) -> ModuleType:
    """One of the role's programs, which are no package's modules: guests get them as text."""
    spec = importlib.util.spec_from_file_location(name, APPLICATION / f"{name}.py")
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def keeper(server: Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """keep_gate.py on the server's disk."""
    loaded = module("keep_gate")
    reasons = server.root / "run" / "closed"
    for name, value in (
        ("GATE", str(server.bin / "gate")),
        ("REASONS", reasons),
        ("STARTING", reasons / "starting"),
        ("MARK", server.root / "var" / "drained"),
    ):
        monkeypatch.setattr(loaded, name, value)
    monkeypatch.setenv("PATH", f"{server.bin}:{os.environ['PATH']}")
    return loaded


def test_every_reason_and_the_mark_keep_the_gate_closed(keeper: ModuleType, server: Server) -> None:
    assert not keeper.closed()
    server.run("gate", "close", "anything", "text")
    assert keeper.closed()
    server.run("gate", "release", "anything")
    assert not keeper.closed()
    keeper.MARK.parent.mkdir()
    keeper.MARK.touch()
    assert keeper.closed()


def test_a_start_is_over_when_wildfly_is_ready(
    keeper: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ready", lambda: True)
    assert not keeper.start_is_over()
    server.run("gate", "close", "starting", "text")
    assert keeper.start_is_over()
    monkeypatch.setattr(keeper, "ready", lambda: False)
    assert not keeper.start_is_over()


def test_a_start_is_not_over_because_the_one_before_was_ready(
    keeper: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WildFly says that it is ready, ends, and is started again while that is thought about."""

    def ready() -> bool:
        server.run("gate", "close", "starting", "text")
        return True

    server.run("gate", "close", "starting", "text")
    monkeypatch.setattr(keeper, "ready", ready)
    assert not keeper.start_is_over()


class Stopped(Exception):  # noqa: N818  # it is no error
    """Ends the keeper's loop."""


def looks(keeper: ModuleType, monkeypatch: pytest.MonkeyPatch, *between: object) -> None:
    """Let the keeper look once more than there are things to do in between."""
    steps = iter(between)

    def sleep(_seconds: float) -> None:
        step = next(steps, None)
        if step is None:
            raise Stopped
        assert callable(step)
        step()

    monkeypatch.setattr(keeper.time, "sleep", sleep)
    with pytest.raises(Stopped):
        keeper.main()


def test_the_keeper_follows_the_reasons(
    keeper: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks(
        keeper,
        monkeypatch,
        lambda: server.run("gate", "close", "split", "text"),
        lambda: server.run("gate", "release", "split"),
    )
    assert capsys.readouterr().out == "open\nclosed\nopen\n"
    assert server.said().rstrip().endswith("delete table inet perenne_gate")


def test_the_keeper_says_again_that_the_gate_is_closed_before_the_kernel_forgets_it(
    keeper: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run("gate", "close", "split", "text")
    server.said()
    now = iter((100.0, 100.0 + keeper.AGAIN_SECONDS / 2, 100.0 + keeper.AGAIN_SECONDS, 103.0))
    monkeypatch.setattr(keeper.time, "monotonic", lambda: next(now))
    looks(keeper, monkeypatch, lambda: None, lambda: None)
    assert server.said().count("add element") == 2
    assert keeper.AGAIN_SECONDS * 2 < 10


def test_a_keeper_that_can_t_open_the_gate_tries_again(
    keeper: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.stand_in("nft", "echo 'nft says no' >&2; exit 1")
    looks(keeper, monkeypatch, lambda: server.stand_in("nft", "exit 0"))
    said = capsys.readouterr()
    assert said.out == "open\n"
    assert "gate open failed: nft says no" in said.err


@pytest.fixture
def health(keeper: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """WildFly's health, on another port; the list's last number is the status it answers with."""
    statuses: list[int] = [503]

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses[-1] if self.path == "/health/ready" else 404)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    wildfly = HTTPServer(("127.0.0.1", 0), Health)
    connect = keeper.http.client.HTTPConnection
    monkeypatch.setattr(
        keeper.http.client, "HTTPConnection", lambda host, _port, timeout: connect(host, wildfly.server_port, timeout)
    )
    with wildfly:
        Thread(target=wildfly.serve_forever, daemon=True).start()
        yield statuses
        wildfly.shutdown()


def test_ready_is_what_wildfly_says(keeper: ModuleType, health: list[int]) -> None:
    assert not keeper.ready()
    health.append(200)
    assert keeper.ready()


def test_a_wildfly_that_does_not_answer_is_not_ready(keeper: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(keeper.http.client.HTTPConnection, "connect", refuse)
    assert not keeper.ready()
