"""The checkers: each must find what it is there to find, in a recording that was made so."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from drills import invariants
from drills.model import (
    Acknowledgement,
    Generator,
    Kind,
    LedgerCheck,
    LostSession,
    Machine,
    Observation,
    Rates,
    Recording,
    Request,
    SessionsCheck,
    WriterSample,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sample(server: str, sent: float, done: float, timeline: int, *, accepted: bool = True) -> WriterSample:
    return WriterSample(server, sent, done, NOW, writable=True, accepted=accepted, timeline=timeline)


def seen(time: float, *holders: str) -> Observation:
    return Observation(time, holders, ("db01",), ("db01",), ("db02",), 3)


@pytest.fixture
def good() -> Recording:
    """A recording of a failover in which all went well."""
    return Recording(
        began=NOW,
        began_monotonic=0.0,
        seconds=20.0,
        path="",
        rates=Rates(50, 20, 10, 20),
        requests=(
            Request(Kind.PAGE, "GET", 1.0, 1.0, 0.01, 200),
            Request(Kind.LEDGER, "POST", 5.0, 5.0, 1.0, 0, "reset"),
        ),
        acknowledgements=(Acknowledgement("a", 1.0),),
        writers=(sample("db01", 1.0, 1.1, 1), sample("db01", 5.0, 9.0, 1), sample("db02", 6.0, 6.1, 2)),
        observations=(seen(1.0, "lb01"), seen(5.0, "lb01", "lb02"), seen(5.5, "lb02"), seen(19.0, "lb02")),
        ledger=LedgerCheck(written=2, acknowledged=1),
        sessions=SessionsCheck(sessions=10, certain=10),
        generator=Generator(0.1, 0.0, 0.0),
        machine=Machine(2, "", 1.0, "", "", (0.0, 0.0, 0.0)),
    )


def test_all_hold_in_a_good_recording(good: Recording) -> None:
    found = invariants.of_recording(good)
    assert len({each.name for each in found}) == 4
    assert all(each.held for each in found), found


@pytest.mark.parametrize(
    ("ledger", "evidence"),
    [
        (LedgerCheck(2, 2, lost=("b",)), "1 of 2 lost: b"),
        (LedgerCheck(2, 2, doubled=("a",)), "1 of 2 doubled: a"),
        (LedgerCheck(2, 2, unchecked="no answer"), "no answer"),
        (LedgerCheck(2, 0), "no write was acknowledged"),
    ],
)
def test_lost_doubled_or_unknown_writes_break_the_first(good: Recording, ledger: LedgerCheck, evidence: str) -> None:
    found = invariants.no_acknowledged_write_is_lost(replace(good, ledger=ledger))
    assert not found.held
    assert evidence in found.detail


def test_old_primary_that_accepts_after_the_new_one_is_a_second_writer() -> None:
    found = invariants.never_two_writers([sample("db02", 5.0, 5.1, 2), sample("db01", 5.2, 5.3, 1)])
    assert not found.held
    assert "db01 accepted a write at +5.30 s on timeline 1" in found.detail


def test_delayed_answer_of_a_frozen_primary_is_no_second_writer() -> None:
    """It was asked before the other one was promoted, and may have committed then."""
    assert invariants.never_two_writers([sample("db01", 5.0, 12.0, 1), sample("db02", 8.0, 8.1, 2)]).held


def test_two_servers_on_one_timeline_are_two_writers() -> None:
    assert not invariants.never_two_writers([sample("db01", 1.0, 1.1, 1), sample("db02", 2.0, 2.1, 1)]).held


def test_refused_writes_are_no_writers() -> None:
    refused = sample("db01", 5.2, 5.3, 1, accepted=False)
    assert invariants.never_two_writers([sample("db02", 5.0, 5.1, 2), refused]).held


def test_silent_probe_proves_nothing() -> None:
    assert not invariants.never_two_writers([]).held


def test_lost_session_is_named(good: Recording) -> None:
    lost = SessionsCheck(10, 10, lost=(LostSession(7, 6.0, 3, None, "app02"),))
    found = invariants.sessions_survive(replace(good, sessions=lost))
    assert not found.held
    assert "session 7 at +6.0 s on app02: write 3 expected, session gone" in found.detail


@pytest.mark.parametrize("holders", [(), ("lb01", "lb02")])
def test_nobody_or_two_at_the_end_break_the_fourth(good: Recording, holders: tuple[str, ...]) -> None:
    assert not invariants.one_holder(replace(good, observations=(seen(19.0, *holders),))).held


def test_nobody_is_not_known_while_a_balancer_does_not_answer(good: Recording) -> None:
    unheard = replace(seen(19.5), silent=("lb01",))
    assert invariants.one_holder(replace(good, observations=(seen(19.0, "lb01"), unheard))).held
    found = invariants.one_holder(replace(good, observations=(unheard,)))
    assert (found.held, "not known" in found.detail) == (False, True)
    two = replace(seen(19.5, "lb01", "lb02"), silent=("lb03",))
    assert not invariants.one_holder(replace(good, observations=(two,))).held, "what is known counts"


def test_two_holders_while_it_settles_are_told_but_allowed(good: Recording) -> None:
    found = invariants.one_holder(good)
    assert found.held
    assert "two at once for 0.5 s" in found.detail


def test_failover_breaks_a_promise_that_the_primary_stays(good: Recording) -> None:
    assert not invariants.primary_stays(good, injected=4.0).held
    calm = replace(good, writers=(sample("db01", 1.0, 1.1, 1), sample("db01", 5.0, 5.1, 1)))
    assert invariants.primary_stays(calm, injected=4.0).held


def test_failed_post_is_no_failed_idempotent_request(good: Recording) -> None:
    assert invariants.idempotent_succeed(good).held
    bad = replace(good, requests=(*good.requests, Request(Kind.API, "GET", 6.0, 6.0, 2.0, 503)))
    found = invariants.idempotent_succeed(bad)
    assert not found.held
    assert "api at +6.00 s: 503" in found.detail


def test_a_failed_post_breaks_a_promise_that_no_request_fails(good: Recording) -> None:
    found = invariants.all_succeed(good)
    assert not found.held
    assert invariants.all_succeed(replace(good, requests=tuple(one for one in good.requests if one.good))).held
