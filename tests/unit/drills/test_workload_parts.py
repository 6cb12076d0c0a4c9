"""The workload's own conclusions: figures, sessions, the ledger, the observer's and the probe's words."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError

from blueprint.secrets import Kind as SecretKind
from blueprint.secrets import Secret
from drills.model import Kind, Request, WriterSample
from drills.workload import observer
from drills.workload.clock import Clock, Stop, beat, pace
from drills.workload.figures import longest_gap, outage, quantile
from drills.workload.ledger import compare
from drills.workload.machine import ProcessorTime
from drills.workload.plan import Load, Observer, Probe
from drills.workload.sessions import Session
from drills.workload.writers import Writers
from stack import keys


async def until(question: Callable[[], object]) -> None:
    """Wait for a condition, for at most 20 s: the machine may be busy."""
    async with asyncio.timeout(20):
        while not question():  # noqa: ASYNC110 (the answer is other code's)
            await asyncio.sleep(0.01)


def visit(kind: Kind, sent: float, seconds: float, status: int = 200) -> Request:
    return Request(kind, "GET", sent, sent, seconds, status)


def both(sent: float, seconds: float, status: int = 200) -> list[Request]:
    return [visit(kind, sent, seconds, status) for kind in (Kind.PAGE, Kind.API)]


def test_outage_lasts_from_one_good_answer_to_the_next() -> None:
    visits = [*both(0.0, 0.1), *both(1.0, 0.1), *both(2.0, 0.1, status=503), *both(3.0, 0.5), *both(4.0, 0.1)]
    assert outage(visits, 4.2).seconds == pytest.approx(3.5 - 1.1)


def test_outage_of_the_api_is_not_hidden_by_pages() -> None:
    visits = [visit(Kind.PAGE, tick / 10, 0.01) for tick in range(50)]
    visits += [visit(Kind.API, tick / 10, 0.01) for tick in range(50) if not 10 < tick < 40]
    assert outage(visits, 5.0).seconds == pytest.approx(3.0)


def test_outage_that_did_not_end_is_as_long_as_it_was_seen() -> None:
    assert outage(both(1.0, 0.0), 10.0).seconds == pytest.approx(9.0)
    assert outage([], 10.0).seconds == pytest.approx(10.0)


def test_late_answer_after_the_end_does_not_shorten_an_outage() -> None:
    assert longest_gap([1.0, 12.0], 10.0).seconds == pytest.approx(9.0)


@pytest.mark.parametrize(("runs", "expected"), [(1, 1), (19, 19), (20, 19), (21, 20), (100, 95)])
def test_p95_is_a_run_that_was_measured(runs: int, expected: int) -> None:
    assert quantile(range(1, runs + 1), 0.95) == expected


def test_no_values_have_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def after(*answers: tuple[int | None, str, bool]) -> Session:
    """A session after answers: how many writes it has, who said it, and whether the request was a write."""
    session = Session(0)
    for step, (writes, node, wrote) in enumerate(answers):
        session.heard(float(step), writes=writes, node=node, wrote=wrote)
    return session


def test_session_write_is_certain_after_the_next_answer_of_the_same_node() -> None:
    assert after((1, "a", True)).certain == 0
    assert after((1, "a", True), (1, "a", False)).certain == 1
    assert after((1, "a", True), (2, "a", True)).certain == 1


def test_session_write_is_not_certain_when_another_node_answers() -> None:
    assert after((1, "a", True), (1, "b", False)).certain == 0
    assert after((1, "a", True), (1, "b", False), (1, "a", False)).certain == 0


def test_session_write_without_certainty_may_go() -> None:
    session = after((1, "a", True), (1, "a", False), (2, "a", True), (1, "b", False))
    assert not session.lost
    assert session.certain == 1


def test_session_gone_session_is_lost() -> None:
    session = after((1, "a", True), (1, "a", False), (None, "b", False))
    assert [(lost.expected, lost.found, lost.node) for lost in session.lost] == [(1, None, "b")]


def test_session_session_begun_anew_by_a_write_is_lost() -> None:
    session = after((1, "a", True), (1, "a", False), (1, "b", True))
    assert [(lost.expected, lost.found) for lost in session.lost] == [(1, None)]


def test_session_older_state_is_lost() -> None:
    history = [(1, "a", True), (2, "a", True), (3, "a", True), (3, "a", False)]
    assert [(lost.expected, lost.found) for lost in after(*history, (2, "b", False)).lost] == [(3, 2)]
    assert [(lost.expected, lost.found) for lost in after(*history, (3, "b", True)).lost] == [(3, 2)]


def test_session_write_whose_answer_was_lost_is_no_loss() -> None:
    session = after((1, "a", True), (1, "a", False), (3, "b", True), (3, "b", False))
    assert not session.lost
    assert session.certain == 3


def test_session_loss_counts_once() -> None:
    session = after((1, "a", True), (1, "a", False), (None, "b", False), (None, "b", False), (1, "b", True))
    assert len(session.lost) == 1


def test_ledger_acknowledged_and_missing_is_lost() -> None:
    check = compare(["a", "b", "c"], ["a", "b"], Counter({"a": 1, "c": 1}))
    assert check.lost == ("b",)
    assert check.unacknowledged_found == 1
    assert not check.doubled


def test_ledger_twice_is_seen() -> None:
    assert compare(["a"], ["a"], Counter({"a": 2})).doubled == ("a",)


def test_ledger_unread_ledger_is_no_proof_either_way() -> None:
    check = compare(["a"], ["a"], Counter(), "no answer")
    assert check.unchecked == "no answer"
    assert not check.lost


async def test_pace_is_absolute() -> None:
    clock, stop = Clock(), Stop()
    due = []
    async for moment in pace(clock, stop, 100.0):
        due.append(moment)
        if len(due) == 1:
            await asyncio.sleep(0.1)  # the generator's own delay
        if len(due) == 20:
            stop.set()
    assert due[-1] - due[0] == pytest.approx(0.19)
    assert clock.now() >= due[-1]


async def test_pace_beat_leaves_out_what_was_missed() -> None:
    stop = Stop()
    ticks = []
    async for _ in beat(stop, 0.02):
        ticks.append(time.monotonic())
        if len(ticks) == 1:
            await asyncio.sleep(0.05)
        if len(ticks) == 3:
            stop.set()
    assert ticks[1] - ticks[0] > 0.055, "the tick that was missed at 0.04 s does not come late"


class SilentReader:
    """Answers of `ip address`: one server has the site's address and then says nothing any more."""

    def __init__(self) -> None:
        self.lines = [
            "2: eth0    inet 198.18.20.11/24 scope global eth0",
            "2: eth0 inet 198.18.20.100/24 scope global",
            "\n",
        ]

    async def readline(self) -> str:
        """The next line; none once the connection has ended."""
        return self.lines.pop(0) if self.lines else ""


async def test_held_addresses_are_read_until_the_empty_line() -> None:
    reader = SilentReader()
    assert await observer._held(reader) == {"198.18.20.11", "198.18.20.100"}  # type: ignore[arg-type]
    with pytest.raises(ConnectionResetError):
        await observer._held(reader)  # type: ignore[arg-type]


def watch(tmp_path: Path) -> observer.Watch:
    """A watch on nobody, whose words tests give it."""
    authority = keys.make(Secret("authority", SecretKind.CERTIFICATE_AUTHORITY, ""))
    client = tmp_path / "client.pem"
    client.write_text(keys.make(Secret("client", SecretKind.CERTIFICATE, "", names=("db01",)), authority))
    plan = Observer(
        site_address="198.18.20.100",
        database_address="198.18.20.110",
        balancers={},
        databases={},
        quorum={},
        ssh_key=keys.make(Secret("ssh", SecretKind.SSH_KEY, "")),
        client_certificate="",
        addresses_interval_seconds=0.02,
    )
    return observer.Watch(plan, authority[authority.index("-----BEGIN CERT") :], str(client), Clock())


def test_silent_server_holds_nothing(tmp_path: Path) -> None:
    watching = watch(tmp_path)
    now = time.monotonic()
    watching._addresses["lb01"] = observer.Word(now - 1.0, frozenset({"198.18.20.100"}))
    watching._addresses["lb02"] = observer.Word(now, frozenset({"198.18.20.100"}))
    assert watching._now().site_address == ("lb02",)


async def test_observer_goes_on_when_the_recording_begins(tmp_path: Path) -> None:
    watching = watch(tmp_path)
    stop = Stop()
    looking = asyncio.create_task(watching.watch(stop))
    await until(lambda: watching.observations)
    watching._clock.began_monotonic += 1000.0  # as after a very long beginning
    watching.restart()
    await until(lambda: len(watching.observations) > 2)
    stop.set()
    await looking


def test_session_has_one_request_at_a_time() -> None:
    with pytest.raises(ValidationError, match="think_seconds"):
        Load(think_seconds=5, answer_seconds=10)


def test_words_running_primary_names_its_synchronous_standby() -> None:
    said = {
        "state": "running",
        "role": "master",
        "replication": [
            {"application_name": "db02", "sync_state": "sync"},
            {"application_name": "db03", "sync_state": "async"},
        ],
    }
    word = observer._patroni(said, 1.0)
    assert word.primary
    assert word.sync_standby == ("db02",)


@pytest.mark.parametrize(
    "said", [{"state": "running", "role": "replica"}, {"state": "starting", "role": "primary"}, None, []]
)
def test_words_others_are_no_primary(said: object) -> None:
    assert not observer._patroni(said, 1.0).primary


@pytest.mark.parametrize(("said", "vote"), [({"health": "true"}, True), ({"health": "false"}, False), ([], False)])
def test_words_vote(said: object, *, vote: bool) -> None:
    assert observer._etcd(said, 1.0).vote is vote


class PretendConnection:
    """A database server's connection: `timeline` None is a standby; while `frozen` is clear it does not answer."""

    def __init__(self, timeline: str | None, awake: asyncio.Event) -> None:
        self.timeline = timeline
        self.awake = awake
        self.refuses = False
        self.written = 0

    async def execute(self, statement: str, _parameters: tuple[str, ...] = ()) -> "PretendConnection":
        """Answer once awake."""
        await self.awake.wait()
        if statement.startswith("INSERT"):
            if self.refuses:
                raise psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction\nhint")
            self.written += 1
        return self

    async def fetchone(self) -> tuple[str | None]:
        """The row of what was asked last."""
        return (self.timeline,)

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def servers() -> dict[str, PretendConnection]:
    awake = asyncio.Event()
    awake.set()
    frozen_later = asyncio.Event()
    frozen_later.set()
    return {"db01": PretendConnection("0000000A", frozen_later), "db02": PretendConnection(None, awake)}


@pytest.fixture
def writers(servers: dict[str, PretendConnection], monkeypatch: pytest.MonkeyPatch) -> Writers:
    async def connect(_self: Writers, name: str) -> PretendConnection:
        return servers[name]

    monkeypatch.setattr(Writers, "_connect", connect)
    addresses = dict.fromkeys(servers, "127.0.0.1")
    probe = Probe(servers=addresses, database="d", user="u", password="", interval_seconds=0.01, answer_seconds=0.05)
    return Writers(probe, "", Clock())


def of(writers: Writers, server: str) -> list[WriterSample]:
    """What was noted of one server."""
    return [sample for sample in writers.samples if sample.server == server]


@asynccontextmanager
async def asking(writers: Writers) -> AsyncIterator[None]:
    """Ask until the end of the block."""
    stop = Stop()
    watching = asyncio.create_task(writers.watch(stop))
    try:
        yield
    finally:
        stop.set()
        await watching


async def test_writers_primary_accepts_on_its_timeline_and_the_standby_does_not(
    writers: Writers, servers: dict[str, PretendConnection]
) -> None:
    async with asking(writers):
        await until(lambda: all(len(of(writers, name)) > 3 for name in servers))
    answered = [sample for sample in of(writers, "db01") if not sample.error]
    assert all(sample.accepted and sample.writable and sample.timeline == 10 for sample in answered)
    assert servers["db01"].written == len(answered)
    assert not any(sample.accepted or sample.writable for sample in of(writers, "db02"))
    assert all(abs(datetime.now(UTC) - sample.at).total_seconds() < 60 for sample in writers.samples)


async def test_writers_refusal_is_no_acceptance(writers: Writers, servers: dict[str, PretendConnection]) -> None:
    servers["db01"].refuses = True
    async with asking(writers):
        await until(lambda: of(writers, "db01"))
    assert not any(sample.accepted for sample in of(writers, "db01"))
    assert of(writers, "db01")[0].error == "cannot execute INSERT in a read-only transaction"


async def test_writers_what_a_frozen_server_acknowledges_later_is_known(
    writers: Writers, servers: dict[str, PretendConnection]
) -> None:
    servers["db01"].awake.clear()
    async with asking(writers):
        await until(lambda: len(of(writers, "db01")) > 1 and len(of(writers, "db02")) > 10)
        assert {(sample.accepted, sample.error) for sample in of(writers, "db01")} == {(False, "no answer in time")}
        servers["db01"].awake.set()
        await until(lambda: any(sample.accepted for sample in writers.samples))
    accepted = [sample for sample in writers.samples if sample.accepted]
    assert servers["db01"].written == len(accepted)


def test_processors_are_busy_and_stolen_by_shares() -> None:
    shares = ProcessorTime(300, 130, 40).shares_since(ProcessorTime(100, 30, 30))
    assert shares == (0.5, 0.05)


def test_a_busy_processor_is_seen() -> None:
    before, until = ProcessorTime.now(), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    busy, stolen = ProcessorTime.now().shares_since(before)
    assert busy > 0
    assert busy + stolen <= 1
