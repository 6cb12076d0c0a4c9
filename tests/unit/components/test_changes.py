"""A site that grows or shrinks: what changes with it, what must not, and in which order."""

import copy
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pulumi
import pytest

from blueprint import loading
from components import lookups
from mutation.program import resources_of
from mutation.variants import applications, hosts
from policies.judging.resource import Resource
from policies.judging.stack import Stack

PROJECT = Path(__file__).parents[3]
NOT_COMPARED = {"connection", "extraConfig", "source"}
"""SSH keys, which are made anew for every recorded run, and files, whose content no test changes."""

Config = dict[str, Any]
Program = Callable[..., Stack]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Records the program of a committed stack after changes to its file."""
    folder = tmp_path_factory.mktemp("program")
    artifact = folder / "apps" / "pnp-manager" / "target" / "pnp-manager.war"
    artifact.parent.mkdir(parents=True)
    artifact.write_bytes(b"war")

    @cache
    def record(stack: str, *changes: Callable[[Config], None]) -> Stack:
        config = copy.deepcopy(loading.config_of(PROJECT / f"Pulumi.{stack}.yaml"))
        config["perenne:host_keys"] = dict.fromkeys(config["perenne:hosts"], "ssh-ed25519 AAAA")
        for change in changes:
            change(config)
        return resources_of(config, stack, folder)

    return record


def differing(before: Stack, after: Stack) -> dict[str, set[str]]:
    """By name, the inputs in which resources of both differ; components' outputs are not among them."""

    def inputs(resource: Resource) -> dict[str, Any]:
        return {key: value for key, value in resource.properties.items() if key not in NOT_COMPARED}

    changed = {}
    for urn in before.by_urn.keys() & after.by_urn.keys():
        old, new = inputs(before.by_urn[urn]), inputs(after.by_urn[urn])
        keys = {key for key in old | new if str(old.get(key)) != str(new.get(key))}
        if keys and not urn.split("::")[2].split("$")[-1].startswith("perenne:"):
            changed[before.by_urn[urn].name] = keys
    return changed


def names(stack: Stack) -> set[str]:
    return {resource.name for resource in stack.resources if resource.type != "pulumi:pulumi:Stack"}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_further_application_server_is_made_and_made_known_and_nothing_else(program: Program, stack: str) -> None:
    """Every server learns the name (hosts file); no machine, datastore or host is touched, nothing replaced."""
    before, after = program(stack), program(stack, applications(3))
    assert names(before) <= names(after)
    assert {name.split("-")[0] for name in names(after) - names(before)} == {"app03"}
    changed = differing(before, after)
    assert set().union(*changed.values()) <= {"stdin", "virtualMachineIds"}, changed
    assert {"lb01-balancer", "app01-application"} <= changed.keys()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_further_host_changes_the_reserved_share_and_nothing_of_servers(program: Program, stack: str) -> None:
    before, after = program(stack), program(stack, hosts(4))
    assert names(before) <= names(after)
    assert all("psexi05" in name for name in names(after) - names(before))
    changed = differing(before, after)
    reserved = {"haAdmissionControlResourcePercentageCpu", "haAdmissionControlResourcePercentageMemory"}
    assert changed.pop("esxi-cluster") == reserved
    assert set().union(*changed.values()) <= {"stdin"}, changed


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_preview_with_a_further_host_shows_no_change_of_servers(
    program: Program, monkeypatch: pytest.MonkeyPatch, stack: str
) -> None:
    """What is looked up after something that is new is unknown in a preview, and would show as a change."""
    awaited: set[str] = set()
    asked = lookups.network_id

    def noted(
        name: pulumi.Input[str], datacenter: pulumi.Input[str], options: pulumi.InvokeOutputOptions
    ) -> pulumi.Output[str]:
        assert isinstance(options.depends_on, list)
        awaited.update(one.pulumi_resource_name for one in options.depends_on)
        return asked(name, datacenter, options)

    monkeypatch.setattr(lookups, "network_id", noted)
    program(stack, hosts(4), lambda _config: None)
    assert "esxi-psexi02-guests" in awaited
    assert not [name for name in awaited if "psexi05" in name], awaited


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_datastore_is_never_made_anew_because_another_host_comes_first(program: Program, stack: str) -> None:
    """The provider replaces a volume when the host is another one through which it was made: with all that is on it."""
    stores = program(stack).of_type("VmfsDatastore")
    assert stores
    assert {one.ignore_changes for one in stores} == {("hostSystemId",)}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_setting_of_the_template_changes_a_server_that_runs(program: Program, stack: str) -> None:
    """Else a guest OS that the image names differently would restart every server, all at once."""
    for machine in program(stack).of_type("VirtualMachine"):
        assert {"clone", "extraConfig", "guestId"} <= set(machine.ignore_changes)


@pytest.mark.parametrize("number", [2, 4, 6])
def test_application_servers_are_changed_one_after_the_other_and_then_balancers(program: Program, number: int) -> None:
    """Otherwise a changed setting restarts all at once, or a balancer sends requests to one that isn't there yet."""
    stack = program("dev", hosts(number + 1), applications(number))

    def needed(name: str) -> set[str]:
        made = (*stack.of_type("command:remote:Command"), *stack.of_type("command:remote:CopyToRemote"))
        (command,) = [one for one in made if one.name == name]
        return {stack.by_urn[urn].name for urn in command.dependencies if urn in stack.by_urn}

    tier = [f"app{position:02}-application" for position in range(1, number + 1)]
    for earlier, later in pairwise(tier):
        assert earlier in needed(later)
        artifact = later.replace("-application", "-pnp-manager.war")
        assert earlier in needed(artifact), "what the first one can't serve must not be on the next one"
        assert artifact in needed(later)
    for balancer in ("lb01-balancer", "lb02-balancer"):
        assert set(tier) <= needed(balancer)
    assert "lb01-balancer" in needed("lb02-balancer")
