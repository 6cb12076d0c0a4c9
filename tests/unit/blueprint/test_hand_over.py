"""The hand-over of the site's address, and the scripts around it, with stand-ins for what they call."""

import importlib.util
import os
import socket
import subprocess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

BALANCER = Path(__file__).parents[3] / "components" / "guest" / "balancer"
ADDRESS = "198.18.20.100"


class Balancer:
    """A balancer that holds the address; what happens is written down, and time passes only when somebody waits."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.peers = ["198.18.20.12"]
        self.now = 0.0
        self.events: list[str] = []
        self.held_since: float | None = None
        self.has_address = True
        self.takes = True
        """Whether the other one takes the address once it is given up."""
        self.able: Callable[[], bool] = lambda: True
        self.present: Callable[[], set[str]] = set
        """Connections, by the time and by what has been done."""
        self.busy: Callable[[], bool] = lambda: False

    def holds(self) -> bool:
        """Until it is given up."""
        if self.module.GIVEN_UP.read_text() == "1\n" and self.takes:
            self.has_address = False
        return self.has_address

    def able_peer(self) -> str | None:
        """The only one, if it is able."""
        return self.peers[0] if self.able() else None

    def taken(self) -> bool:
        """At once."""
        return not self.holds()

    def connections(self) -> set[str]:
        """As the test says; none is added while new ones are held."""
        return self.present()

    def works(self) -> bool:
        """As the test says."""
        return self.busy()

    def hold(self) -> None:
        """Written down."""
        self.events.append("hold")
        self.held_since = self.now

    def release(self) -> None:
        """Written down, with how long they were held."""
        if self.held_since is not None:
            self.events.append(f"release after {self.now - self.held_since:.1f}")
        self.held_since = None


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """components/guest/balancer/hand_over.py with the files of a server."""
    spec = importlib.util.spec_from_file_location("hand_over", BALANCER / "hand_over.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("CLOSING", "GIVEN_UP", "SAID"):
        monkeypatch.setitem(module.__dict__, name, tmp_path / name.lower())
    (tmp_path / "given_up").write_text("0\n")
    return module


@pytest.fixture
def balancer(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Balancer:
    """It holds the address, and has no users."""
    balancer = Balancer(module)

    def sleep(seconds: float) -> None:
        balancer.now += seconds

    monkeypatch.setattr(module.time, "monotonic", lambda: balancer.now)
    monkeypatch.setattr(module.time, "sleep", sleep)
    return balancer


def taken_back(balancer: Balancer) -> bool:
    """Whether nothing is left of a hand-over."""
    module = balancer.module
    return balancer.held_since is None and module.GIVEN_UP.read_text() == "0\n" and not module.CLOSING.exists()


def run(balancer: Balancer) -> tuple[int, str]:
    """What the unit does; returns its status and what it says."""
    status: int = balancer.module._run_by_unit(balancer)
    code, _, said = balancer.module.SAID.read_text().partition(" ")
    assert int(code) == status
    return status, said


def test_an_address_that_is_elsewhere_is_left_there(balancer: Balancer) -> None:
    balancer.has_address = False
    assert run(balancer) == (0, "perenne: the site's address is not here: nothing to hand over\n")
    assert balancer.events == []


def test_without_users_the_address_moves_at_once(balancer: Balancer) -> None:
    status, said = run(balancer)
    assert (status, balancer.has_address) == (0, False)
    assert "held for 0.00 s" in said
    assert taken_back(balancer)


def test_no_connection_is_held_while_kept_ones_end(balancer: Balancer) -> None:
    """Answers close their connections meanwhile; the last idle one ends after 4 s."""
    balancer.present = lambda: {"a", "b"} if balancer.now < 4.0 else set()
    closing: list[bool] = []
    hold = balancer.hold

    def held() -> None:
        closing.append(balancer.module.CLOSING.exists())
        hold()

    balancer.__dict__["hold"] = held
    assert run(balancer)[0] == 0
    assert closing == [True]
    assert balancer.now == pytest.approx(4.0, abs=0.1)
    assert balancer.events == ["hold", "release after 0.0"]


def test_requests_in_progress_end_before_the_address_moves(balancer: Balancer) -> None:
    def present() -> set[str]:
        if balancer.held_since is None:
            return {f"a request of {balancer.now:.2f}"}
        assert balancer.has_address
        return {"the last"} if balancer.now < balancer.held_since + 0.3 else set()

    balancer.present = present
    assert run(balancer)[0] == 0
    assert balancer.events == ["hold", "release after 0.3"]
    assert not balancer.has_address


def test_a_long_request_is_waited_for_without_holding_others_for_longer_than_they_can_wait(balancer: Balancer) -> None:
    balancer.present = lambda: {"a report"} if balancer.now < 12.5 else set()
    balancer.busy = lambda: balancer.now < 12.5
    assert run(balancer)[0] == 0
    assert balancer.events == ["hold", "release after 0.6", "hold", "release after 0.6", "hold", "release after 0.0"]
    assert balancer.now == pytest.approx(12.5, abs=0.1)


def test_a_request_that_never_ends_is_cut_off_in_the_end_and_counted(balancer: Balancer) -> None:
    balancer.present = lambda: {"a stream"}
    balancer.busy = lambda: True
    status, said = run(balancer)
    assert (status, balancer.has_address) == (0, False)
    assert "1 connections were cut off" in said
    assert balancer.now < balancer.module.PATIENCE_SECONDS + balancer.module.KEPT_SECONDS + 10


def test_connections_that_browsers_opened_in_advance_are_not_waited_for(balancer: Balancer) -> None:
    balancer.present = lambda: {"opened in advance"}
    status, said = run(balancer)
    assert (status, balancer.has_address) == (0, False)
    assert "cut off" not in said
    assert balancer.now == pytest.approx(balancer.module.KEPT_SECONDS, abs=0.1)


def test_nothing_happens_to_users_while_no_other_balancer_can_take_the_address(balancer: Balancer) -> None:
    balancer.able = lambda: False
    status, said = run(balancer)
    assert status == 1
    assert "198.18.20.12 can't" in said
    assert balancer.events == []
    assert balancer.has_address
    assert taken_back(balancer)


def test_another_balancer_that_is_just_reloading_is_waited_for(balancer: Balancer) -> None:
    balancer.able = lambda: balancer.now > 3.0
    assert run(balancer)[0] == 0
    assert not balancer.has_address


def test_another_balancer_that_fails_meanwhile_gets_no_users(balancer: Balancer) -> None:
    balancer.present = lambda: {"kept"} if balancer.now < 2.0 else set()
    balancer.able = lambda: balancer.now < 1.0
    assert run(balancer)[0] == 1
    assert balancer.has_address
    assert taken_back(balancer)


def test_an_address_that_nobody_takes_is_taken_back(balancer: Balancer) -> None:
    balancer.takes = False
    status, said = run(balancer)
    assert status == 1
    assert "no other balancer has taken the site's address within 1.5 s" in said
    assert taken_back(balancer)


def test_without_a_keepalived_that_listens_nothing_is_given_up(balancer: Balancer) -> None:
    balancer.module.GIVEN_UP.unlink()
    balancer.holds = lambda: True  # type: ignore[method-assign]
    status, said = run(balancer)
    assert status == 1
    assert "keepalived does not know" in said
    assert balancer.events == []


def test_a_mistake_leaves_nothing_behind(balancer: Balancer) -> None:
    def broken() -> set[str]:
        raise subprocess.CalledProcessError(1, "ss")

    balancer.present = broken
    with pytest.raises(subprocess.CalledProcessError):
        run(balancer)
    assert taken_back(balancer)


def test_what_a_killed_hand_over_has_left_is_taken_back(balancer: Balancer) -> None:
    balancer.hold()
    balancer.module.CLOSING.touch()
    balancer.module.GIVEN_UP.write_text("1\n")
    balancer.module.undo(balancer)
    assert taken_back(balancer)


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs are found first; `calls` there has what was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def stand_in(folder: Path, name: str, code: str) -> None:
    """A program of that name."""
    program = folder / name
    program.write_text(f'#!/bin/bash\necho "{name} $*" >>{folder}/calls\n{code}\n')
    program.chmod(0o755)


@pytest.fixture
def site(module: ModuleType, tmp_path: Path) -> object:
    """The balancer as it finds itself."""
    environment = tmp_path / "balancer.env"
    environment.write_text(
        f'site_name=pnp.test\nsite_address={ADDRESS}\npeers="198.18.20.12 198.18.20.13"\napplications=""\n'
    )
    return module.Site(environment)


def test_connections_are_those_of_users_to_the_site_s_address(site: object, stand_ins: Path) -> None:
    rows = (
        f"ESTAB 0 0 {ADDRESS}:443 192.0.2.1:50001",
        f"CLOSE-WAIT 0 31 [::ffff:{ADDRESS}]:443 [::ffff:192.0.2.2]:50002",
        f"LAST-ACK 0 0 {ADDRESS}:80 192.0.2.3:50003",
        "ESTAB 0 0 198.18.20.11:443 198.18.20.12:50004",
        "ESTAB 0 0 [::ffff:198.18.20.10]:443 [::ffff:192.0.2.5]:50005",
    )
    stand_in(stand_ins, "ss", "\n".join(f"echo '{row}'" for row in rows))
    found = site.connections()  # type: ignore[attr-defined]
    assert found == {"192.0.2.1:50001", "[::ffff:192.0.2.2]:50002", "192.0.2.3:50003"}
    (call,) = (stand_ins / "calls").read_text().splitlines()
    assert call.endswith("state connected exclude fin-wait-2 exclude time-wait ( sport = :80 or sport = :443 )")


def test_the_first_balancer_that_is_able_is_found(site: object, stand_ins: Path) -> None:
    stand_in(
        stand_ins, "curl", 'case "$*" in *:198.18.20.13:443*//pnp.test/perenne/standby) exit 0 ;; *) exit 22 ;; esac'
    )
    assert site.able_peer() == "198.18.20.13"  # type: ignore[attr-defined]


def test_the_address_is_here_only_if_ip_says_so(site: object, stand_ins: Path) -> None:
    stand_in(stand_ins, "ip", f'[[ "$*" == *"to {ADDRESS}/32" ]] && cat {stand_ins}/addresses')
    (stand_ins / "addresses").write_text(f"2: eth0 inet {ADDRESS}/24 scope global secondary eth0\n")
    assert site.holds()  # type: ignore[attr-defined]
    (stand_ins / "addresses").write_text("")
    assert not site.holds()  # type: ignore[attr-defined]


def test_the_address_is_taken_once_another_server_listens_there(
    module: ModuleType, tmp_path: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "balancer.env"
    environment.write_text("site_name=pnp.test\nsite_address=127.0.0.1\npeers=\n")
    site = module.Site(environment)
    stand_in(stand_ins, "ip", f"[[ ! -e {tmp_path}/here ]] || echo 2: eth0 inet 127.0.0.1/24")
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(module, "PORTS", (80, other.getsockname()[1]))
        assert site.taken()
        (tmp_path / "here").touch()
        assert not site.taken()
        (tmp_path / "here").unlink()
    assert not site.taken()


def test_only_the_first_packet_of_new_connections_is_held_and_not_for_ever(
    module: ModuleType, site: object, stand_ins: Path
) -> None:
    stand_in(stand_ins, "nft", f"cat >{stand_ins}/rules")
    site.hold()  # type: ignore[attr-defined]
    rules = (stand_ins / "rules").read_text()
    assert f"elements = {{ {ADDRESS} timeout {module.EXPIRE_SECONDS}s }};" in rules
    assert "tcp dport { 80, 443 } tcp flags & (syn | ack) == syn drop" in rules
    site.release()  # type: ignore[attr-defined]
    assert (stand_ins / "rules").read_text() == module.RELEASE


def test_a_kernel_without_filters_moves_nothing(module: ModuleType, site: object, stand_ins: Path) -> None:
    stand_in(stand_ins, "nft", "echo 'Error: no netlink' >&2; exit 1")
    with pytest.raises(module.RefusedError, match="can't be held: Error: no netlink"):
        site.hold()  # type: ignore[attr-defined]


def test_the_front_says_what_the_unit_has_left_word_of(
    module: ModuleType, stand_ins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(stand_ins, "systemctl", f"echo '1 perenne: nobody can' >{module.SAID}")
    assert module.main() == 1
    assert capsys.readouterr().err == "perenne: nobody can\n"
    assert (stand_ins / "calls").read_text() == "systemctl start perenne-hand-over.service\n"


def test_a_unit_that_was_killed_has_handed_nothing_over(
    module: ModuleType, stand_ins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(stand_ins, "systemctl", "exit 1")
    assert module.main() == 1
    assert "interrupted and taken back" in capsys.readouterr().err
