"""A lease's renewals are read off etcd's answers, elections or not."""

import pytest

from components.guest.fencing.agent.lease import LeaseClock, Remaining

TTL = 20
WATCHED = 1.5


class Quorum:
    """Answers about a lease that is renewed when the test says so."""

    def __init__(self) -> None:
        self.clock = LeaseClock()
        self.renewed, self.term, self.lease = 0.0, 1, 1

    def ask(self, at: float) -> float:
        """Ask once; returns for how long the lease was certainly not renewed."""
        left = int(TTL - (at - self.renewed))
        self.clock.observe(Remaining(at - 0.01, at, self.lease, left, TTL, self.term))
        return self.clock.unrenewed(WATCHED)

    def ask_until(self, begin: float, end: float, period: float = 0.1) -> float:
        """Ask again and again."""
        steps = round((end - begin) / period)
        return [self.ask(begin + step * period) for step in range(steps + 1)][-1]


def test_a_lease_that_is_renewed_every_second_is_never_overdue() -> None:
    quorum = Quorum()
    worst = 0.0
    for tick in range(300):
        at = tick * 0.1 + 0.03
        quorum.renewed = float(int(at))
        worst = max(worst, quorum.ask(at))
    assert worst < WATCHED


def test_late_renewals_are_seen() -> None:
    quorum = Quorum()
    for tick in range(200):
        at = tick * 0.1
        quorum.renewed = at - at % 1.3
        assert quorum.ask(at) < 1.6


@pytest.mark.parametrize("last", [0.0, 0.25, 0.5, 0.99])
def test_silence_counts_from_the_last_renewal(last: float) -> None:
    quorum = Quorum()
    quorum.renewed = last
    found = quorum.ask_until(1.0, 7.0)
    assert 7.0 - last - 0.15 < found <= 7.0 - last


def test_nothing_is_known_before_it_was_watched() -> None:
    quorum = Quorum()
    quorum.renewed = -10.0
    assert quorum.ask(0.0) == 0.0
    assert quorum.ask_until(0.1, 1.4) == 0.0
    assert quorum.ask_until(1.5, 1.6) > 10.0


def test_an_election_is_no_renewal() -> None:
    quorum = Quorum()
    quorum.ask_until(0.0, 1.0)
    quorum.term, quorum.renewed = 2, 2.6 + 1  # etcd's new leader adds its election timeout
    assert quorum.ask(2.6) == 0.0
    assert quorum.ask_until(2.7, 4.0) == 0.0
    assert quorum.ask_until(4.1, 4.2) > 3.0


def test_a_renewal_that_hides_behind_an_election_is_followed_by_one_that_does_not() -> None:
    quorum = Quorum()
    quorum.ask_until(0.0, 1.0)
    quorum.term, quorum.renewed = 2, 2.6 + 1
    quorum.ask_until(2.6, 3.0)
    quorum.renewed = 3.05  # the holder's: less is left than etcd had given
    quorum.ask_until(3.1, 4.0)
    quorum.renewed = 4.05
    assert quorum.ask_until(4.1, 4.9) < WATCHED


def test_a_new_lease_is_a_sign_of_life() -> None:
    quorum = Quorum()
    quorum.ask_until(0.0, 5.0)
    quorum.lease, quorum.renewed = 2, 5.1
    assert quorum.ask_until(5.2, 7.2) < 2.2
