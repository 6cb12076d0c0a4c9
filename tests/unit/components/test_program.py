"""What the program registers for the committed stacks: inputs, parents, secrets."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from blueprint import loading
from blueprint.settings import Settings
from blueprint.terms import Role
from tests.unit.components.conftest import PROJECT, Recorder

Run = Callable[[str], Recorder]


@pytest.fixture(params=["dev", "prod"])
def stack(request: pytest.FixtureRequest) -> str:
    """Both committed stacks: one with DRS, one without."""
    return str(request.param)


def settings_of(stack: str) -> Settings:
    return loading.settings_from_file(PROJECT / f"Pulumi.{stack}.yaml")


def test_every_server_is_a_machine_on_its_host_and_datastore(run_program: Run, stack: str) -> None:
    settings, made = settings_of(stack), run_program(stack)
    machines = made.of_type(":VirtualMachine")
    machines = {name: inputs for name, inputs in machines.items() if "numCpus" in inputs}
    assert {inputs["name"] for inputs in machines.values()} == set(settings.servers)
    for inputs in machines.values():
        described = settings.servers[inputs["name"]]
        assert inputs["hostSystemId"] == f"esxi-{described.host}-id"
        looked_up = described.datastore in settings.local_datastores
        assert inputs["datastoreId"] == ("datastore-1" if looked_up else f"storage-{described.datastore}-id")
        assert inputs["memory"] == described.memory_mib
        assert inputs["waitForGuestNetTimeout"] == 0
        assert "guestinfo.userdata" not in inputs["extraConfig"], "holds the server's key: it must be a secret"
        metadata = yaml.safe_load(base64.b64decode(inputs["extraConfig"]["value"]["guestinfo.metadata"]))
        assert str(described.address) in str(metadata["network"])


def test_high_availability_is_on_and_keeps_room_for_a_lost_host(run_program: Run, stack: str) -> None:
    settings = settings_of(stack)
    (cluster,) = run_program(stack).of_type(":ComputeCluster").values()
    assert cluster["haEnabled"] is True
    assert cluster["haHostMonitoring"] == "enabled"
    share = 100 * settings.cluster.host_failures_to_tolerate / len(settings.hosts)
    assert cluster["haAdmissionControlResourcePercentageMemory"] >= share
    assert cluster["drsEnabled"] is settings.vcenter.edition.has_drs


def test_every_host_has_two_paths_with_one_active_uplink_each(run_program: Run, stack: str) -> None:
    settings, made = settings_of(stack), run_program(stack)
    switches = made.of_type(":HostVirtualSwitch").values()
    assert len(switches) == 2 * len(settings.hosts)
    assert all(len(switch["networkAdapters"]) >= 2 for switch in switches)
    for host in settings.hosts:
        groups = [
            inputs
            for inputs in made.of_type(":HostPortGroup").values()
            if inputs["hostSystemId"] == f"esxi-{host}-id" and "activeNics" in inputs
        ]
        uplinks = [nic for group in groups for nic in group["activeNics"]]
        assert len(groups) == len(set(uplinks)) == len(settings.networks.storage)


def test_tiers_are_kept_apart_by_rules_where_drs_exists_only(run_program: Run, stack: str) -> None:
    rules = run_program(stack).of_type(":ComputeClusterVmAntiAffinityRule")
    assert len(rules) == (3 if settings_of(stack).vcenter.edition.has_drs else 0)


def test_databases_restart_before_applications_before_balancers(run_program: Run) -> None:
    overrides = {
        name.removesuffix("-restart"): inputs["haVmRestartPriority"]
        for name, inputs in run_program("dev").of_type(":HaVmOverride").items()
    }
    order = ["high", "medium", "low", "lowest"]
    settings = settings_of("dev")
    rank = {role: {order.index(overrides[name]) for name in settings.servers_of(role)} for role in Role}
    assert (
        max(rank[Role.DATABASE]) < min(rank[Role.APPLICATION]) <= max(rank[Role.APPLICATION]) < min(rank[Role.BALANCER])
    )


def test_a_vote_on_its_hosts_own_disk_is_left_on_an_isolated_host(run_program: Run) -> None:
    overrides = run_program("prod").of_type(":HaVmOverride")
    left = [name for name, inputs in overrides.items() if inputs.get("haHostIsolationResponse") == "none"]
    assert left == ["wit01-restart"]


def test_commands_verify_the_host_key_and_keep_secrets_off_the_script(run_program: Run) -> None:
    made = run_program("dev")
    commands = made.of_type("remote:Command")
    assert len(commands) >= len(settings_of("dev").servers) * 2
    for name, inputs in commands.items():
        assert "privateKey" not in inputs["connection"], f"{name}: it must be a secret"
        assert "hostKey" in inputs["connection"]["value"], name
        assert inputs["create"] == inputs["update"], name
        assert "secret-" not in inputs["create"], name
        assert "PRIVATE KEY" not in inputs["create"], name


def test_database_of_each_service_is_reached_over_verified_tls(run_program: Run) -> None:
    made = run_program("dev")
    (provider,) = made.of_type("pulumi:providers:postgresql").values()
    assert provider["sslmode"] == "verify-full"
    assert Path(provider["sslrootcert"]).name == "dev-ca.pem"
    settings = settings_of("dev")
    assert set(made.of_type("database:Database")) == {f"postgres-{name}-database" for name in settings.services}


def test_vcenter_certificate_is_verified(run_program: Run, stack: str) -> None:
    (provider,) = run_program(stack).of_type("pulumi:providers:vsphere").values()
    assert provider["allowUnverifiedSsl"] in (False, "false")
