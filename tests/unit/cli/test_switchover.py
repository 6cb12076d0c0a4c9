"""When a switchover is refused, and what it then says."""

from dataclasses import replace

import pytest

from blueprint.terms import Role
from cli.switchover import _agreed
from machine.failure import Failure
from stack.status import Answer, SiteStatus
from stack.workspace import Stack

WHOLE = SiteStatus(
    page="200",
    primary="db01",
    sync_standby="db02",
    site_address_at="lb01",
    database_address_at="db01",
    servers=[Answer(name, Role.DATABASE, "198.18.20.31", "psexi02", vote=True) for name in ("db01", "db02", "wit01")],
    votes=3,
    votes_needed=2,
    lab=None,
)


@pytest.mark.parametrize("to", [None, "db02"])
def test_from_the_primary_to_the_synchronous_standby(to: str | None) -> None:
    assert _agreed(Stack("dev"), WHOLE, to) == ("db01", "db02")


@pytest.mark.parametrize(
    ("found", "to", "why"),
    [
        (replace(WHOLE, primary=None), None, "has no primary"),
        (WHOLE, "db01", "db01 is the primary"),
        (replace(WHOLE, sync_standby=None), None, "no standby has every acknowledged write"),
        (WHOLE, "db03", "may lack writes"),
        (replace(WHOLE, votes=2), None, "2 votes"),
    ],
)
def test_what_is_not_safe_is_refused(found: SiteStatus, to: str | None, why: str) -> None:
    with pytest.raises(Failure) as raised:
        _agreed(Stack("dev"), found, to)
    assert why in raised.value.why
    assert raised.value.remedy
