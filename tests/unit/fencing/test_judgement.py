"""What the agent decides by the signs of one moment."""

from dataclasses import replace
from typing import Any

import pytest

from components.guest.fencing.agent.judgement import Patience, Signs, Verdict, judge

PATIENCE = Patience(server=5.5, host=2.0, renewal=1.0)
LOST = Signs(
    may_act=True,
    etcd_age=0.1,
    primary_silent=6.0,
    unrenewed=6.0,
    host_silent=0.0,
    placement_age=1.0,
    observed_off=False,
)


def test_a_lost_server_on_a_living_host_is_fenced() -> None:
    assert judge(LOST, PATIENCE) is Verdict.FENCE_SERVER


def test_a_silent_host_is_fenced_sooner() -> None:
    assert judge(replace(LOST, primary_silent=2.1, unrenewed=2.1, host_silent=2.1), PATIENCE) is Verdict.FENCE_HOST
    assert judge(replace(LOST, primary_silent=2.1, unrenewed=2.1), PATIENCE) is Verdict.WAIT


def test_what_is_off_is_released_at_once() -> None:
    assert judge(replace(LOST, primary_silent=1.1, unrenewed=1.6, observed_off=True), PATIENCE) is Verdict.RELEASE


@pytest.mark.parametrize(
    "change",
    [
        {"may_act": False},
        {"etcd_age": 1.1},
        {"primary_silent": 0.3},
        {"primary_silent": 5.4},
        {"unrenewed": 0.9},
        {"unrenewed": 3.9},
        {"placement_age": 16.0},
        {"placement_age": float("inf")},
    ],
    ids=str,
)
def test_every_sign_is_needed(change: dict[str, Any]) -> None:
    assert judge(replace(LOST, **change), PATIENCE) is Verdict.WAIT


@pytest.mark.parametrize("silent", [0.0, 3.0, 60.0])
def test_a_primary_that_renews_its_lease_is_never_touched(silent: float) -> None:
    renewing = replace(LOST, primary_silent=silent, host_silent=silent, unrenewed=1.2)
    for observed_off in (False, True):
        assert judge(replace(renewing, observed_off=observed_off), PATIENCE) is Verdict.WAIT


def test_a_slow_renewal_is_waited_for() -> None:
    slow = Patience(server=5.5, host=2.0, renewal=10.0)
    assert judge(replace(LOST, unrenewed=10.0), slow) is Verdict.WAIT
    assert judge(replace(LOST, primary_silent=11.0, unrenewed=10.6), slow) is Verdict.FENCE_SERVER
