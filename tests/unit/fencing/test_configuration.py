"""What the agent is told by the site, and what it makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from blueprint import guests, loading
from blueprint.guests import GuestRole
from blueprint.settings import Settings
from components.guest.fencing.agent import redfish, vcenter
from components.guest.fencing.agent.judgement import Patience

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return loading.settings_from_file(PROJECT / "Pulumi.dev.yaml")


def told(settings: Settings, name: str) -> dict[str, Any]:
    files = guests.files(settings, name, GuestRole.FENCING, {})
    found: dict[str, Any] = json.loads(files["/etc/perenne/fencing/configuration.json"].content)
    return found


def test_every_part_is_what_the_agent_takes(settings: Settings) -> None:
    found = told(settings, "db02")
    assert Patience(**found["patience"]) == Patience(5.8, 2.0, 1)
    access = vcenter.Access(**found["vcenter"], password="", authorities="")
    assert (access.server, access.port, access.user) == ("198.18.10.10", 443, "fencing@vsphere.local")
    bmcs = {host: redfish.Access(**one["bmc"], password="", authorities="") for host, one in found["hosts"].items()}
    assert bmcs["psexi04"].address == "198.18.10.183"


def test_the_nearest_vote_is_asked_first(settings: Settings) -> None:
    assert told(settings, "db02")["etcd"] == ["127.0.0.1:2379", "198.18.20.31:2379", "198.18.20.41:2379"]


def test_keys_are_looked_for_where_patroni_has_them(settings: Settings) -> None:
    member = guests.files(settings, "db02", GuestRole.DATABASE, {})["/etc/patroni/perenne/10-patroni.yml"].content
    assert "namespace: /perenne/\n" in member
    assert f"scope: {guests.CLUSTER}\n" in member
    assert told(settings, "db02")["prefix"] == f"/perenne/{guests.CLUSTER}/"


def test_hosts_are_known_by_the_names_that_vcenter_has(settings: Settings) -> None:
    assert told(settings, "db01")["hosts"]["psexi02"]["name"] == "psexi02.vmlabs.int"


def test_passwords_are_in_the_file_of_their_own(settings: Settings) -> None:
    file = guests.secret_files(settings, "db02", GuestRole.FENCING)["/etc/perenne/fencing/secrets.json"]
    made = json.loads(file.render({name: f"value of {name}" for name in file.secrets}))
    assert made["vcenter"] == "value of fencing-password"
    assert made["psexi03"] == "value of bmc-psexi03"
    assert file.mode == 0o600
    assert "value" not in json.dumps(told(settings, "db02"))


def test_the_whole_agent_is_put_on_the_server(settings: Settings) -> None:
    files = guests.files(settings, "db02", GuestRole.FENCING, {})
    there = {path.rsplit("/", 1)[-1] for path in files if path.endswith(".py")}
    folder = PROJECT / "components" / "guest" / "fencing" / "agent"
    assert there == {file.name for file in folder.glob("*.py")}
