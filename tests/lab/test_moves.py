"""Operators' moves on the running lab: what is drained is out of use, is told, and comes back."""

import json
import subprocess
from typing import Any

import pytest

from blueprint.settings import Settings
from blueprint.terms import Role
from tests.lab.conftest import PROJECT

pytestmark = [pytest.mark.lab, pytest.mark.destructive]


def perenne(*arguments: str) -> tuple[int, str, str]:
    """Run a command; its exit code, what it printed as a result, and what else it said."""
    done = subprocess.run(
        ["./perenne", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600
    )
    return done.returncode, done.stdout, done.stderr


def status() -> dict[str, Any]:
    """The site, as `status` tells it."""
    found: dict[str, Any] = json.loads(perenne("status", "--json")[1])
    return found


def drained() -> list[str]:
    """The servers that are out of use."""
    return [server["name"] for server in status()["servers"] if server["drained"]]


def test_status_tells_a_line_of_cron_that_nothing_is_missing() -> None:
    code, told, _ = perenne("status", "--json")
    found = json.loads(told)
    assert (found["missing"], found["needs"], found["to_renew"]) == ([], [], [])
    assert code == 0


def test_the_primary_is_drained_after_a_switchover_and_comes_back(settings: Settings) -> None:
    primary = status()["primary"]
    code, _, said = perenne("drain", primary)
    assert code == 0, said
    try:
        assert perenne("status")[0] == 1, "a server is missing"
        found = status()
        assert found["page"] == "200"
        assert found["primary"] in set(settings.servers_of(Role.DATABASE)) - {primary}
        assert found["sync_standby"] is None, "a commit would wait for a server that is about to be stopped"
        assert drained() == [primary]
        code, _, said = perenne("drain", next(iter(settings.servers_of(Role.APPLICATION))))
        assert code == 1
        assert f"./perenne undrain {primary}" in said
    finally:
        code, _, said = perenne("undrain", primary)
    assert code == 0, said
    assert status()["sync_standby"] == primary
    assert drained() == []


def test_a_host_is_emptied_and_its_servers_come_home(settings: Settings) -> None:
    host = next(iter(settings.hosts))
    code, _, said = perenne("drain", host)
    assert code == 0, said
    try:
        assert host not in {server["host"] for server in status()["servers"]}
    finally:
        code, _, said = perenne("undrain", host)
    assert code == 0, said
    assert {server["name"]: server["host"] for server in status()["servers"]} == {
        name: server.host for name, server in settings.servers.items()
    }
