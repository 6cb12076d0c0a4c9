"""What is looked at after a deployment: each thing that is missing is said, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stack import checks, ssh, status
from stack.checks import check_preview, check_site
from stack.status import Answer, SiteStatus
from stack.vault import Vault
from stack.workspace import Stack

HOST = """naa.3000000100000001 2
naa.3000000100000002 2
volume datastore01
volume datastore02
"""


def answers(stack: Stack, *holders: str) -> list[Answer]:
    """Every server serves; these hold the site's address, and db01 the database's."""
    settings = stack.settings
    held = dict.fromkeys(holders, settings.site.address) | {"db01": settings.database.address}
    return [
        Answer(name, one.role, str(one.address), one.host, True, addresses=[str(held[name])] if name in held else [])
        for name, one in settings.servers.items()
    ]


@pytest.fixture
def site(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[checks.Check]]:
    """Checks a whole site, of which parts are replaced."""
    whole = SiteStatus("200", "db01", "db02", "lb01", "db01", answers(dev, "lb01"), 3, 2, None)

    def check(hosts: dict[str, str] | None = None, **changes: Any) -> list[checks.Check]:  # noqa: ANN401
        async def said(_stack: Stack, _vault: object, host: str, _command: str, _seconds: float) -> str:
            return (hosts or {}).get(host, HOST)

        monkeypatch.setattr(status, "status", lambda *_: replace(whole, **changes))
        monkeypatch.setattr(ssh, "said", said)
        monkeypatch.setattr(Vault, "open", lambda _stack: None)
        return check_site(dev)

    return check


def missing(found: list[checks.Check]) -> list[str]:
    return [check.what for check in found if not check.held]


def test_a_whole_site_holds(site: Callable[..., list[checks.Check]]) -> None:
    assert missing(site()) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"page": "no answer"}, ["the page answers"]),
        ({"sync_standby": None}, ["a synchronous standby"]),
        ({"votes": 2}, ["every vote"]),
        ({"database_address_at": "db02"}, ["address is at the primary"]),
    ],
)
def test_what_is_missing_is_said(
    site: Callable[..., list[checks.Check]], changes: dict[str, Any], what: list[str]
) -> None:
    found = missing(site(**changes))
    assert len(found) == len(what)
    assert all(one in told for one, told in zip(what, found, strict=True))


@pytest.mark.parametrize(("held", "who"), [([], "nobody"), (["lb01", "lb02"], "lb01 and lb02")])
def test_an_address_is_held_by_one_server_and_no_more(
    dev: Stack, site: Callable[..., list[checks.Check]], held: list[str], who: str
) -> None:
    (lacking,) = [check for check in site(servers=answers(dev, *held)) if not check.held]
    assert lacking.what == "one server holds the site's address"
    assert lacking.found == f"the site's address is held by {who}"


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (HOST.replace("0002 2", "0002 1"), ["psexi03 has 2 active paths"]),
        (HOST.replace("volume datastore01\n", ""), ["psexi03 sees every datastore"]),
        ("", ["psexi03 has 2 active paths", "psexi03 sees every datastore"]),
    ],
)
def test_a_host_that_lacks_storage_is_named(
    site: Callable[..., list[checks.Check]], answer: str, what: list[str]
) -> None:
    found = missing(site({"psexi03": answer}))
    assert len(found) == len(what)
    assert all(told.startswith(one) for one, told in zip(what, found, strict=True))


def test_a_preview_that_would_change_something_is_told_in_its_own_words() -> None:
    assert check_preview(lambda: "").held
    refused = check_preview(lambda: "update VirtualMachine lb01-vm (folder)")
    assert not refused.held
    assert "folder" in refused.found
