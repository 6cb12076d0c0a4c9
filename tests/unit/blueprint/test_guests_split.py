"""Application servers that can't reach each other: at most one side changes sessions, and one side serves."""

import asyncio
import importlib.util
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from blueprint import guests
from blueprint.guests import GuestRole
from blueprint.settings import Settings
from blueprint.terms import Role
from lab import certificates
from tests.unit.blueprint.test_guests import checksums, settings_with, sized, wildfly

APPLICATION = Path(__file__).parents[3] / "components" / "guest" / "application"


@pytest.fixture
def split() -> ModuleType:
    """watch_split.py, which is no package's module: guests get it as text."""
    spec = importlib.util.spec_from_file_location("watch_split", APPLICATION / "watch_split.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings() -> Settings:
    """Dev."""
    return settings_with()


def unit(settings: Settings, name: str, service: str) -> str:
    """A unit of an application server."""
    files = guests.files(settings, name, GuestRole.APPLICATION, checksums(settings))
    return files[f"/etc/systemd/system/{service}.service"].content


def silent(split: ModuleType, name: str, *, earlier: bool) -> Any:  # noqa: ANN401  # of a module loaded here
    """A server that can't be reached."""
    return split.Peer(name, "192.0.2.1", earlier, split.UNANSWERED)


def test_a_server_is_silent_after_so_many_connections_in_a_row(split: ModuleType) -> None:
    peer = split.Peer("app01", "192.0.2.1", earlier=True)
    for _ in range(split.UNANSWERED - 1):
        peer.heard(answered=False)
    assert not peer.silent
    peer.heard(answered=True)
    for _ in range(split.UNANSWERED - 1):
        peer.heard(answered=False)
    assert not peer.silent
    peer.heard(answered=False)
    assert peer.silent


def test_the_later_one_gives_way_to_one_that_serves(split: ModuleType) -> None:
    word = split.Word(answers=True, serves=frozenset({"app01"}))
    why = split.why_stand_still([silent(split, "app01", earlier=True)], word, serving=True)
    assert why == "stands still: app01, which it can't reach, serves"


def test_the_earlier_one_goes_on(split: ModuleType) -> None:
    word = split.Word(answers=True, serves=frozenset({"app02"}))
    assert split.why_stand_still([silent(split, "app02", earlier=False)], word, serving=True) == ""


def test_nobody_gives_way_to_one_that_is_lost(split: ModuleType) -> None:
    for earlier in (True, False):
        peer = silent(split, "app09", earlier=earlier)
        assert split.why_stand_still([peer], split.Word(answers=True), serving=True) == ""


def test_one_that_is_drained_gives_way_to_a_later_one_that_serves(split: ModuleType) -> None:
    word = split.Word(answers=True, serves=frozenset({"app02"}))
    assert split.why_stand_still([silent(split, "app02", earlier=False)], word, serving=False)


def test_one_that_is_cut_off_from_everything_stands_still(split: ModuleType) -> None:
    why = split.why_stand_still([silent(split, "app02", earlier=False)], split.Word(answers=False), serving=True)
    assert why == "stands still: it reaches neither app02 nor the site's address"


def test_who_reaches_all_others_goes_on(split: ModuleType) -> None:
    assert split.why_stand_still([], split.Word(answers=False), serving=True) == ""


@pytest.mark.parametrize("count", [2, 3, 4])
def test_of_all_splits_one_side_serves_and_reaches_each_other(split: ModuleType, count: int) -> None:
    """Every pair may be cut, every server reaches the site: those that go on all reach each other, and there is one."""
    names = [f"app0{number}" for number in range(count)]
    pairs = [(one, other) for one in range(count) for other in range(one)]
    for cut in product((False, True), repeat=len(pairs)):
        apart = {pair for pair, is_cut in zip(pairs, cut, strict=True) if is_cut}
        serves = set(range(count))
        for own in range(count):  # in this order: whom an earlier one has left needn't be given way to
            peers = [
                silent(split, names[other], earlier=other < own)
                for other in range(count)
                if (max(own, other), min(own, other)) in apart
            ]
            word = split.Word(answers=True, serves=frozenset(names[number] for number in serves))
            if split.why_stand_still(peers, word, serving=True):
                serves.discard(own)
        assert serves
        assert not [pair for pair in apart if set(pair) <= serves]


class Actions:
    """What a watch does, without doing it."""

    def __init__(self, split: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []

        async def run(*command: str) -> int:
            self.done.append(" ".join(command).removeprefix("/usr/local/lib/perenne/"))
            return 0

        monkeypatch.setattr(split, "run", run)
        monkeypatch.setattr(split, "other_reasons", lambda: False)

    def since(self) -> list[str]:
        """What was done since this was last asked."""
        done, self.done = self.done, []
        return done


@pytest.fixture
def actions(split: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Actions:
    """Recorded, not done."""
    return Actions(split, monkeypatch)


def says(*words: object) -> Callable[[Iterable[object]], Any]:
    """A site that says one thing after the other."""
    waiting = iter(words)

    async def ask(_silent: Iterable[object]) -> object:
        return next(waiting)

    return ask


async def test_to_stand_still_is_to_take_no_more_requests_and_to_stop_then(split: ModuleType, actions: Actions) -> None:
    peer = silent(split, "app01", earlier=True)
    served = split.Word(answers=True, serves=frozenset({"app01"}))
    watch = split.Watch([peer], says(served, served))
    await watch.look()
    assert [action.split()[:2] for action in actions.since()] == [
        ["gate", "close"],
        ["gate", "empty"],
        ["systemctl", "kill"],
        ["ss", "--kill"],
    ]
    await watch.look()
    assert actions.since() == []
    peer.heard(answered=True)
    assert await watch.look() == split.EVERY_SECONDS
    assert actions.since() == ["systemctl kill --signal=CONT wildfly", "gate release split"]


async def test_an_answer_that_does_not_come_changes_nothing(split: ModuleType, actions: Actions) -> None:
    served = split.Word(answers=True, serves=frozenset({"app01"}))
    unsure = split.Word(answers=True, unsure=True)
    lost = split.Word(answers=True)
    watch = split.Watch([silent(split, "app01", earlier=True)], says(unsure, served, unsure, lost))
    await watch.look()
    assert actions.since() == []
    await watch.look()
    assert actions.since()
    await watch.look()
    assert actions.since() == []
    await watch.look()
    assert actions.since() == ["systemctl kill --signal=CONT wildfly", "gate release split"]


async def test_one_that_was_cut_off_goes_on_when_the_site_answers_again(split: ModuleType, actions: Actions) -> None:
    watch = split.Watch(
        [silent(split, "app02", earlier=False)], says(split.Word(answers=False), split.Word(answers=True))
    )
    await watch.look()
    assert "systemctl kill --signal=STOP wildfly" in actions.since()
    await watch.look()
    assert "systemctl kill --signal=CONT wildfly" in actions.since()


async def test_another_reason_is_told_without_stopping_again(split: ModuleType, actions: Actions) -> None:
    served = split.Word(answers=True, serves=frozenset({"app01"}))
    watch = split.Watch([silent(split, "app01", earlier=True)], says(split.Word(answers=False), served))
    await watch.look()
    actions.since()
    await watch.look()
    assert actions.since() == ["gate close split stands still: app01, which it can't reach, serves"]


async def test_a_server_is_reached_where_it_answers_be_it_by_a_refusal(
    split: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split, "PATIENCE_SECONDS", 5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert await split.reach("127.0.0.1", port)
    assert await split.reach("127.0.0.1", port)  # nobody listens any more


async def test_a_server_that_says_nothing_is_not_reached(split: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_arguments: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(split, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(split.asyncio, "open_connection", nothing)
    assert not await split.reach("192.0.2.1")


@pytest.fixture
async def site(split: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A balancer with two nodes; `routes` says who answers for whom, 0 that the balancer waits for it."""
    # It is there, however busy the machine: what it says is asked about here, not how soon.
    monkeypatch.setattr(split, "PATIENCE_SECONDS", 10)
    monkeypatch.setattr(split, "ASK_SECONDS", 10)
    authority = certificates.ensure_authority(tmp_path / "authority", "test")
    pair = certificates.ensure_server(tmp_path / "server", ("localhost",), authority)
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(pair.certificate, pair.key)
    routes = {"app01": (200, "app01"), "app02": (200, "app02")}

    async def balance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        (wanted,) = re.findall(r"^GET /pnp/health .*^Cookie: JSESSIONID=\w+\.(\w+)\r$", head, re.DOTALL | re.MULTILINE)
        status, route = routes[wanted]
        if not status:
            await asyncio.Event().wait()
        writer.write(f"HTTP/1.1 {status} Some Reason\r\nX-Perenne-Route: {route}\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(balance, "localhost", 0, ssl=shown)
    found = split.Site("localhost", "/pnp/health", str(authority.certificate), server.sockets[0].getsockname()[1])
    found.routes = routes
    yield found
    server.close()


def peers(split: ModuleType, *names: str) -> list[Any]:
    """Servers that can't be reached."""
    return [silent(split, name, earlier=True) for name in names]


async def test_a_server_serves_if_the_site_s_balancer_reaches_itself(split: ModuleType, site: Any) -> None:  # noqa: ANN401
    assert await site.ask(peers(split, "app01")) == split.Word(answers=True, serves=frozenset({"app01"}))
    site.routes["app01"] = (200, "app02")  # another node answered for it
    site.routes["app02"] = (503, "app02")
    assert await site.ask(peers(split, "app01", "app02")) == split.Word(answers=True)


async def test_a_balancer_that_waits_for_a_server_makes_unsure(
    split: ModuleType,
    site: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(split, "ASK_SECONDS", 2)
    site.routes["app01"] = (0, "")
    assert await site.ask(peers(split, "app01", "app02")) == split.Word(
        answers=True, serves=frozenset({"app02"}), unsure=True
    )


async def test_a_site_that_can_t_be_reached_does_not_answer(split: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_arguments: object, **_options: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(split, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(split, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(split.asyncio, "open_connection", nothing)
    nobody = split.Site("localhost", "/pnp/health", "/nonexistent")
    assert not (await nobody.ask(peers(split, "app01"))).answers


async def test_a_site_whose_certificate_can_t_be_trusted_is_still_there(
    split: ModuleType,
    site: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    """Nobody stands still because a certificate has run out: only who serves can't be told."""
    site._authority = str(certificates.ensure_authority(tmp_path / "another", "another").certificate)
    assert await site.ask(peers(split, "app01")) == split.Word(answers=True, unsure=True)
    site._authority = str(tmp_path / "missing")
    assert await site.ask(peers(split, "app01")) == split.Word(answers=True, unsure=True)


async def test_a_rotated_authority_is_trusted_without_a_restart(
    split: ModuleType,
    site: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    right, wrong = (
        tmp_path / "authority.crt",
        certificates.ensure_authority(tmp_path / "another", "another").certificate,
    )
    site._authority = str(tmp_path / "ca.pem")
    (tmp_path / "ca.pem").symlink_to(wrong)
    assert (await site.ask(peers(split, "app01"))).unsure
    (tmp_path / "ca.pem").unlink()
    (tmp_path / "ca.pem").symlink_to(right)
    assert await site.ask(peers(split, "app01")) == split.Word(answers=True, serves=frozenset({"app01"}))


def test_all_servers_are_told_of_all_in_one_order(settings: Settings) -> None:
    applications = settings.servers_of(Role.APPLICATION)
    started = {
        name: re.findall(r"^ExecStart=(.+)$", unit(settings, name, "perenne-split"), re.MULTILINE)
        for name in applications
    }
    (service, *_) = settings.services.values()
    for name, (command,) in started.items():
        program, site, path, own, *servers = command.split()
        files = guests.files(settings, name, GuestRole.APPLICATION, checksums(settings))
        assert files[program].mode == 0o755
        assert (site, path, own) == (settings.site.name, service.health_path, name)
        assert servers == [f"{other}={server.address}" for other, server in applications.items()]


def given_up(settings: Settings) -> tuple[float, float]:
    """When JGroups gives a server up that falls silent, at the earliest and at the latest (seconds)."""
    protocol = wildfly(settings, "app01")["subsystem"]["jgroups"]["stack"]["perenne"]["protocol"]
    times = protocol["FD_ALL3"]["properties"] | {"verify": protocol["VERIFY_SUSPECT2"]["properties"]["timeout"]}
    heartbeat, timeout, verify = (int(times[key]) / 1000 for key in ("interval", "timeout", "verify"))
    return timeout - heartbeat + verify, timeout + heartbeat + verify


def test_the_split_s_side_is_chosen_before_jgroups_gives_the_other_up(split: ModuleType, settings: Settings) -> None:
    """A write may count as certain only once the other server has it, or is given up."""
    earliest, _ = given_up(settings)
    found_out = split.UNANSWERED * split.EVERY_SECONDS + split.PATIENCE_SECONDS + split.EVERY_SECONDS
    assert found_out + split.ASK_SECONDS + split.EMPTY_MS / 1000 < earliest


def test_requests_that_wait_for_a_silent_server_leave_threads_to_others(settings: Settings) -> None:
    subsystem = wildfly(settings, "app01")["subsystem"]
    _, latest = given_up(settings)
    requests_per_second = 100
    assert subsystem["io"]["worker"]["default"]["task-max-threads"] > requests_per_second * latest


def test_no_transaction_can_keep_its_lock_on_a_session(settings: Settings) -> None:
    caches = wildfly(settings, "app01")["subsystem"]["infinispan"]["cache-container"]["web"]["replicated-cache"]
    assert caches["sessions"]["component"]["transaction"] == {"mode": "NONE"}


def test_what_waits_for_a_lock_on_a_session_gives_up_before_who_waits_for_that(settings: Settings) -> None:
    """Else the lock is given to a request that has been given up, and kept from all others."""
    sessions = wildfly(settings, "app01")["subsystem"]["infinispan"]["cache-container"]["web"]["replicated-cache"][
        "sessions"
    ]
    _, latest = given_up(settings)
    lock, call = sessions["component"]["locking"]["acquire-timeout"] / 1000, sessions["remote-timeout"] / 1000
    users_patience = 10.0
    assert latest < lock < call < users_patience


def test_jgroups_does_not_log_every_look_at_its_port(split: ModuleType, settings: Settings) -> None:
    stack = wildfly(settings, "app01")["subsystem"]["jgroups"]["stack"]["perenne"]
    assert stack["transport"]["TCP"]["properties"]["log_accept_error"] == "false"
    assert stack["protocol"]["TCPPING"]["properties"]["initial_hosts"].split(",")[0].endswith(f"[{split.JGROUPS_PORT}]")


def test_balancers_say_which_node_answered_and_know_a_session_by_its_cookie(settings: Settings) -> None:
    conf = guests.files(settings, "lb01", GuestRole.BALANCER, {})["/etc/apache2/apache2.conf"].content
    assert 'Header always set X-Perenne-Route "expr=%{reqenv:BALANCER_WORKER_ROUTE}"' in conf
    assert "stickysession=JSESSIONID|" in conf


@pytest.mark.parametrize(("memory_mib", "both"), [(1024, False), (2048, True)])
def test_java_s_second_compiler_is_off_on_small_servers(memory_mib: int, *, both: bool) -> None:
    text = unit(sized("app01", memory_mib=memory_mib), "app01", "wildfly")
    assert ("-XX:CompilationMode=quick-only" not in text) == both


def test_wildfly_starts_and_stops_behind_a_closed_gate(settings: Settings) -> None:
    text = unit(settings, "app01", "wildfly")
    lines = [line for line in text.splitlines() if "/gate " in line]
    assert [line.split("gate ")[1].split()[0:2] for line in lines] == [
        ["close", "starting"],
        ["release", "stopping"],
        ["close", "stopping"],
        ["empty", "15000"],
    ]
    assert [line.partition("=")[0] for line in lines] == ["ExecStartPre", "ExecStartPre", "ExecStop", "ExecStop"]
    assert all("=-+/" in line for line in lines)
    (limit,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(limit) > 15


def test_whoever_ends_leaves_nothing_closed_or_standing_still(settings: Settings) -> None:
    text = unit(settings, "app01", "perenne-split")
    assert "\nExecStopPost=/usr/local/lib/perenne/watch-split stop\n" in text
    for service in ("perenne-split", "perenne-gate"):
        assert "\nRestart=always\n" in unit(settings, "app01", service)
        assert "\nStartLimitIntervalSec=0\n" in unit(settings, "app01", service)
