"""The rules by which servers reach the management network."""

import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from docker.errors import ContainerError

from blueprint.loading import settings_from_file
from lab import routing
from lab.errors import LabError

SETTINGS = settings_from_file(Path(__file__).parents[3] / "Pulumi.dev.yaml")
IPTABLES = """#!/bin/sh
# DOCKER-USER as a file; only with the name that the machine's Docker uses.
[ "${0##*/}" = iptables-legacy ] || exit 1
[ "$1" = --wait ] && shift
case $1 in
--list-rules) cat "$STATE" ;;
--insert) shift; echo "-A DOCKER-USER $(shift; echo "$@")" >>"$STATE" ;;
-D) shift; grep -Fxv -- "-A $*" "$STATE" >"$STATE.new"; mv "$STATE.new" "$STATE" ;;
esac
"""


class Containers:
    """Runs what a container would, with an iptables that has a file for its chain."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "rules"
        self.state.write_text("-N DOCKER-USER\n-A DOCKER-USER --source 10.0.0.0/8 --jump DROP\n")
        for name in ("iptables-nft", "iptables-legacy"):
            (folder / name).write_text(IPTABLES)
            (folder / name).chmod(0o755)
        self.environment = {"PATH": f"{folder}:/usr/bin:/bin", "STATE": str(self.state)}

    def run(self, image: str, command: list[str], **options: Any) -> None:  # noqa: ANN401
        """Run it here."""
        assert options["network_mode"] == "host"
        done = subprocess.run(
            [options["entrypoint"], *command], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ContainerError(Mock(), done.returncode, command, image, done.stderr)

    @property
    def rules(self) -> list[str]:
        """The chain's rules."""
        return [line for line in self.state.read_text().splitlines() if line.startswith("-A")]


class Client:
    """A Docker client as far as it is used."""

    def __init__(self, folder: Path) -> None:
        self.containers = Containers(folder)


@pytest.fixture
def client(tmp_path: Path) -> Any:  # noqa: ANN401
    return Client(tmp_path)


def test_the_way_is_open_both_ways_once(client: Any) -> None:  # noqa: ANN401
    for _ in range(2):
        routing.open_way(client, "client:1", "perenne", SETTINGS)
    first, *own = client.containers.rules
    assert "10.0.0.0/8" in first
    assert len(own) == 2
    assert all("ACCEPT" in rule for rule in own)
    assert {rule.split()[3] for rule in own} == {"198.18.20.0/24", "198.18.10.0/24"}


def test_rules_of_others_stay(client: Any) -> None:  # noqa: ANN401
    for lab in ("perenne", "perenne-2"):
        routing.open_way(client, "client:1", lab, SETTINGS)
    routing.close_way(client, "client:1", "perenne")
    assert len(client.containers.rules) == 3
    assert not any("perenne-lab-perenne " in rule for rule in client.containers.rules)


def test_a_machine_without_docker_s_chain_is_told_of(client: Any) -> None:  # noqa: ANN401
    client.containers.environment["PATH"] = "/usr/bin:/bin"
    with pytest.raises(LabError, match="DOCKER-USER"):
        routing.open_way(client, "client:1", "perenne", SETTINGS)


def test_where_the_chain_is_gone_there_is_nothing_to_take_away(client: Any) -> None:  # noqa: ANN401
    """As after `nft flush ruleset`: the lab must go down all the same."""
    client.containers.environment["PATH"] = "/usr/bin:/bin"
    routing.close_way(client, "client:1", "perenne")
