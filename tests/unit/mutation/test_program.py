"""What a recorded run shows of the program: as much as a policy pack is shown, ids unknown."""

from pathlib import Path

import pytest

from blueprint import loading
from mutation.program import resources_of
from policies.judging.resource import UNKNOWN
from policies.judging.stack import Stack

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("program")
    artifact = folder / "apps" / "pnp-manager" / "target" / "pnp-manager.war"
    artifact.parent.mkdir(parents=True)
    artifact.write_bytes(b"war")
    return resources_of(loading.config_of(PROJECT / "Pulumi.dev.yaml"), "dev", folder)


def test_references_are_known_though_ids_are_not(dev: Stack) -> None:
    server = next(one for one in dev.of_type("VirtualMachine") if one.properties.get("name") == "db01")
    assert server.properties["datastoreId"] is UNKNOWN
    assert [one.label for one in dev.referred(server, "datastoreId")] == ["datastore01"]
    assert [one.label for one in dev.referred(server, "hostSystemId")] == ["psexi04.vmlabs.int"]


def test_parents_components_outputs_and_providers_are_there(dev: Stack) -> None:
    balancer = dev.of_type("perenne:index:Balancer")[0]
    assert balancer.properties["virtual_address"] == "198.18.20.100"
    rule = next(one for one in dev.of_type("ComputeClusterVmAntiAffinityRule") if one.parent == balancer.urn)
    provider = dev.by_urn[str(rule.provider).rpartition("::")[0]]  # its id follows its URN
    assert provider.properties["allowUnverifiedSsl"] == "false"


def test_secret_inputs_are_in_clear_for_rules_to_read(dev: Stack) -> None:
    command = next(one for one in dev.of_type("command:remote:Command") if one.name == "lb01-balancer")
    assert "/etc/keepalived/keepalived.conf" in command.properties["stdin"]
