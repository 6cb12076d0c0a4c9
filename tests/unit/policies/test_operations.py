"""Rules about waivers, and about what nobody can read."""

import pytest

from policies.judging.configuration import Configuration
from policies.rules import operations
from tests.unit.policies.servers import problems, server, with_files


def waived(expires: str) -> list[str]:
    waiver = {"rule": "SEC-02", "resource": "web01", "reason": "moves", "owner": "ops", "expires": expires}
    configuration = Configuration.model_validate({"waivers": [waiver]})
    return problems(operations.waivers_end, server("web01"), configuration=configuration)


def test_waivers() -> None:
    assert waived("2026-12-01") == []
    assert waived("2026-11-22") == ["the waiver of SEC-02 for web01 is void: it expired on 2026-11-22"]
    assert waived("9999-12-31") == ["the waiver of SEC-02 for web01 ends in more than a year"]


@pytest.mark.parametrize("text", ["scope: [hunter22", "- hunter22", "date: 2026-99-99 hunter22: x: y"])
def test_unreadable_files_are_named_without_their_content(text: str) -> None:
    found = problems(operations.readable, *with_files(server("db01"), {"/etc/patroni/patroni.yml": text}))
    assert len(found) == 1
    assert "/etc/patroni/patroni.yml" in found[0]
    assert "hunter22" not in found[0]


def test_readable_files_and_other_machines_pass() -> None:
    assert problems(operations.readable, server("a"), *with_files(server("b"), {"/etc/patroni.yml": "scope: a"})) == []
    settings = {"guestinfo.userdata": "%%%", "guestinfo.userdata.encoding": "base64"}
    assert len(problems(operations.readable, server("c", extraConfig=settings))) == 1
