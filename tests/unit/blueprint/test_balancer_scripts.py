"""What a balancer's scripts do, really run, with a folder for its disk and stand-ins for what they call."""

import fcntl
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

BALANCER = Path(__file__).parents[3] / "components" / "guest" / "balancer"
ADDRESS = "198.18.20.100"
NAME = "pnp.test"


class Server:
    """A folder that plays the server's disk, with programs that are found first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("bin", "etc/perenne", "run/perenne", "var/lib/perenne", "usr/local/lib/perenne"):
            (root / folder).mkdir(parents=True)
        self.environment()
        self.answering()
        self.program("bin/ip", f"[[ ! -e {root}/holds ]] || echo 2: eth0 inet {ADDRESS}/24")
        self.program("bin/sync", "true")

    def answering(self, *addresses: str) -> None:
        """Where httpd answers."""
        asked = f"https://{NAME}/perenne/health"
        patterns = "|".join(f"*/site-ca.pem*::{address}:443*{asked}" for address in addresses) or "nowhere"
        self.program("bin/curl", f'case "$*" in {patterns}) exit 0 ;; *) exit 7 ;; esac')

    def environment(self, applications: str = "") -> None:
        """What the role's env file says."""
        text = f'site_name={NAME}\nsite_address={ADDRESS}\napplications="{applications}"\n'
        (self.root / "etc/perenne/balancer.env").write_text(text)

    def program(self, path: str, code: str) -> None:
        """A program, by its path below the root."""
        file = self.root / path
        file.write_text(f"#!/bin/bash\n{code}\n")
        file.chmod(0o755)

    def touch(self, path: str) -> Path:
        """Make a file below the root; returns it."""
        (self.root / path).touch()
        return self.root / path

    def run(
        self, script: str, replaced: dict[str, str] | None = None, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the balancer's scripts, with some of its text replaced."""
        text = (BALANCER / f"{script}.sh").read_text()
        for old, new in (replaced or {}).items():
            assert old in text
            text = text.replace(old, new)
        for folder in ("/etc/perenne", "/run/perenne", "/var/lib/perenne", "/usr/local/lib/perenne"):
            text = text.replace(folder, f"{self.root}{folder}")
        shell = text.splitlines()[0].removeprefix("#!")
        environment = os.environ | {"PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        command = [shell, "-c", text, script, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=30)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A balancer."""
    return Server(tmp_path)


def listening() -> socket.socket:
    """A socket on a port of 127.0.0.1 that takes connections."""
    return socket.create_server(("127.0.0.1", 0))


LOST = "192.0.2.1"
"""An address that nobody has (TEST-NET-1)."""


def may_hold(server: Server, *peers: str, peer_port: int = 1, application_port: int = 1) -> bool:
    """Whether check-httpd lets keepalived hold the address; packets to `LOST` get lost."""
    server.program("bin/timeout", f'[[ "$*" != *{LOST}* ]] || exit 124\nexec /usr/bin/timeout "$@"')
    replaced = {'reaches "$peer" 443': f'reaches "$peer" {peer_port}'}
    replaced |= {'reaches "$application" 8443': f'reaches "$application" {application_port}'}
    # A busy machine is no lost packet.
    replaced |= {"timeout 0.6": "timeout 20"}
    return server.run("check-httpd", replaced, *peers).returncode == 0


def test_a_balancer_that_serves_and_reaches_another_one_may_hold_the_address(server: Server) -> None:
    server.answering("127.0.0.1")
    server.environment(applications=LOST)
    with listening() as peer:
        assert may_hold(server, LOST, "127.0.0.1", peer_port=peer.getsockname()[1])


def test_without_other_balancers_an_application_server_is_enough(server: Server) -> None:
    server.answering("127.0.0.1")
    server.environment(applications=f"{LOST} 127.0.0.1")
    with listening() as application:
        assert may_hold(server, LOST, application_port=application.getsockname()[1])


def test_a_machine_that_refuses_connections_is_reached_too(server: Server) -> None:
    server.answering("127.0.0.1")
    server.environment(applications="127.0.0.1")
    with listening() as application:
        port = application.getsockname()[1]
    assert may_hold(server, LOST, application_port=port)


def test_a_balancer_that_reaches_nobody_gives_the_address_up_whether_it_serves_or_not(server: Server) -> None:
    server.environment(applications=f"{LOST} {LOST}")
    assert not may_hold(server, LOST)
    server.answering("127.0.0.1")
    assert not may_hold(server, LOST)


def test_a_network_that_is_gone_is_not_a_machine_that_refuses(server: Server) -> None:
    server.answering("127.0.0.1")
    server.environment(applications=LOST)
    replaced = {"timeout 0.6 bash": "echo 'bash: connect: Network is unreachable' >&2; false"}
    assert server.run("check-httpd", replaced, LOST).returncode == 1


def test_a_balancer_that_does_not_serve_gives_the_address_to_one_that_does(server: Server) -> None:
    server.answering("192.0.2.2")
    assert not may_hold(server, "127.0.0.1", "192.0.2.2")


def test_where_no_balancer_serves_the_address_stays(server: Server) -> None:
    with listening() as peer:
        assert may_hold(server, "127.0.0.1", peer_port=peer.getsockname()[1])


@pytest.mark.parametrize("serves", [True, False])
def test_without_arguments_only_httpd_is_asked(server: Server, serves: bool) -> None:
    server.answering(*["127.0.0.1"] * serves)
    server.touch("var/lib/perenne/drained")
    assert may_hold(server) is serves


@pytest.mark.parametrize(
    ("drained", "holds", "elsewhere", "may"),
    [
        (False, False, True, True),
        (True, False, True, False),
        (True, False, False, True),
        (True, True, True, True),
    ],
)
def test_a_drained_balancer_takes_the_address_only_where_nobody_else_serves(
    server: Server, drained: bool, holds: bool, elsewhere: bool, may: bool
) -> None:
    server.answering("127.0.0.1", *[ADDRESS] * elsewhere)
    for there, path in ((drained, "var/lib/perenne/drained"), (holds, "holds")):
        if there:
            server.touch(path)
    with listening() as peer:
        assert may_hold(server, "127.0.0.1", peer_port=peer.getsockname()[1]) is may


def test_a_drained_balancer_has_handed_the_address_over_and_is_no_reserve(server: Server) -> None:
    server.program("bin/curl", "true")
    standby = server.touch("run/perenne/standby")
    mark = server.root / "var/lib/perenne/drained"
    server.program("usr/local/lib/perenne/hand-over", f"[[ ! -e {mark} ]] && touch {server.root}/handed-over")
    # keepalived, which finds the mark with its next check.
    server.program("bin/sync", f"rm {standby}")
    done = server.run("drain")
    assert done.returncode == 0, done.stderr
    assert "is drained" in done.stdout
    assert mark.exists()
    assert (server.root / "handed-over").exists()


def test_a_balancer_whose_users_have_nowhere_to_go_stays_in_service(server: Server) -> None:
    server.program("bin/curl", "true")
    server.program("usr/local/lib/perenne/hand-over", "echo 'perenne: no other balancer can' >&2; exit 1")
    done = server.run("drain")
    assert done.returncode == 1
    assert "no other balancer can" in done.stderr
    assert "stays in service" in done.stderr
    assert not (server.root / "var/lib/perenne/drained").exists()


def test_the_last_balancer_is_not_drained_while_nobody_holds_the_address(server: Server) -> None:
    server.program("usr/local/lib/perenne/hand-over", "exit 0")
    done = server.run("drain")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert not (server.root / "var/lib/perenne/drained").exists()


def test_drained_again_nothing_changes(server: Server) -> None:
    server.program("bin/curl", "true")
    mark = server.touch("var/lib/perenne/drained")
    server.program("usr/local/lib/perenne/hand-over", "exit 0")
    assert server.run("drain").returncode == 0
    assert mark.exists()


def test_a_balancer_is_in_service_again_once_keepalived_says_so(server: Server) -> None:
    mark = server.touch("var/lib/perenne/drained")
    standby = server.root / "run/perenne/standby"
    # keepalived, seen from the loop that waits for it.
    server.program("bin/sleep", f"[[ -e {mark} ]] || touch {standby}")
    done = server.run("undrain")
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
    assert standby.exists()


def test_a_drain_that_nobody_waits_for_any_more_does_not_overtake_the_undrain(server: Server) -> None:
    server.program("bin/curl", "true")
    server.touch("holds")
    begun, mark = server.root / "begun", server.root / "var/lib/perenne/drained"
    server.program("usr/local/lib/perenne/hand-over", f"touch {begun}; sleep 0.5")
    with ThreadPoolExecutor() as pool:
        lost = pool.submit(server.run, "drain")
        while not begun.exists():
            assert not lost.done()
        done = server.run("undrain")
    assert (lost.result().returncode, done.returncode) == (0, 0), done.stderr
    assert not mark.exists()


@pytest.mark.parametrize("script", ["drain", "undrain"])
def test_a_drain_that_does_not_end_is_waited_for_and_told(server: Server, script: str) -> None:
    with (server.root / "run/perenne-drain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = server.run(script, {"--wait 90": "--wait 0"})
    assert done.returncode == 1
    assert "another drain or undrain" in done.stderr


def test_a_balancer_that_can_t_serve_is_not_called_back_in_service(server: Server) -> None:
    done = server.run("undrain", {"SECONDS + 30": "SECONDS + 1"})
    assert done.returncode == 1
    assert "can't take the site's address yet" in done.stderr


class Httpd:
    """A stand-in for httpd, whose generation is in a file."""

    def __init__(self, server: Server, *, configuration: bool = True, reloads: bool = True) -> None:
        self.root = server.root
        (self.root / "generation").write_text("ParentServerMPMGeneration: 3\n")
        raised = f"echo 'ParentServerMPMGeneration: 4' >{self.root}/generation" if reloads else "true"
        reloading = self.root / "run/perenne/reloading"
        server.program("bin/curl", f"cat {self.root}/generation")
        server.program(
            "bin/apachectl",
            f'echo "apachectl $1" >>{self.root}/calls\n'
            f"case $1 in configtest) {'true' if configuration else 'exit 1'} ;;\n"
            f"graceful) [[ -e {reloading} ]] || exit 9; {raised} ;; esac",
        )

    @property
    def calls(self) -> list[str]:
        """What has been called, in order."""
        return (self.root / "calls").read_text().splitlines()


def handing_over(server: Server, status: int = 0) -> None:
    """A stand-in for the hand-over."""
    server.program("usr/local/lib/perenne/hand-over", f"echo hand-over >>{server.root}/calls; exit {status}")


def test_httpd_reloads_once_its_users_are_elsewhere(server: Server) -> None:
    httpd = Httpd(server)
    handing_over(server)
    done = server.run("reload-httpd")
    assert done.returncode == 0, done.stderr
    assert httpd.calls == ["apachectl configtest", "hand-over", "apachectl graceful"]
    assert not (server.root / "run/perenne/reloading").exists()


def test_a_configuration_that_httpd_refuses_moves_nobody(server: Server) -> None:
    httpd = Httpd(server, configuration=False)
    handing_over(server)
    assert server.run("reload-httpd").returncode != 0
    assert httpd.calls == ["apachectl configtest"]


def test_httpd_reloads_under_its_users_where_nobody_can_take_them(server: Server) -> None:
    httpd = Httpd(server)
    handing_over(server, status=1)
    done = server.run("reload-httpd")
    assert done.returncode == 0
    assert "reloads under its users" in done.stderr
    assert httpd.calls[-1] == "apachectl graceful"


def test_a_reload_that_never_happens_is_a_failure_and_ends(server: Server) -> None:
    Httpd(server, reloads=False)
    handing_over(server)
    done = server.run("reload-httpd", {"SECONDS + 15": "SECONDS + 1"})
    assert done.returncode == 1
    assert "has not reloaded" in done.stderr
    assert not (server.root / "run/perenne/reloading").exists()
