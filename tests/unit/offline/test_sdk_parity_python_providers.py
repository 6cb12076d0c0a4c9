"""The offline providers `command` and `postgresql` against the classes of the installed official SDKs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_command
import pulumi_postgresql
import pytest

from offline.command.connection import CONNECTION
from offline.command.local import Run
from offline.command.package import CommandProvider
from offline.postgresql.package import CONFIG, PostgresqlProvider

if TYPE_CHECKING:
    from offline.provider.resource import Property, Resource

NOT_OFFLINE = {
    "postgresql:index/function:Function",
    "postgresql:index/grantRole:GrantRole",
    "postgresql:index/physicalReplicationSlot:PhysicalReplicationSlot",
    "postgresql:index/publication:Publication",
    "postgresql:index/replicationSlot:ReplicationSlot",
    "postgresql:index/schema:Schema",
    "postgresql:index/securityLabel:SecurityLabel",
    "postgresql:index/server:Server",
    "postgresql:index/subscription:Subscription",
    "postgresql:index/userMapping:UserMapping",
}
"""Resource types that no site of Perenne uses; the provider refuses them by name."""

RESOURCES = {
    item.urn_type: item for provider in (CommandProvider(), PostgresqlProvider()) for item in provider.resources
}
ALIASES = {alias: item for item in RESOURCES.values() for alias in item.aliases}


def _official_classes() -> dict[str, type[pulumi.CustomResource]]:
    # The modules of pulumi_command are loaded by the first access to one of their classes.
    assert pulumi_command.local.Command.__name__ == pulumi_command.remote.Command.__name__
    modules = [pulumi_command.local, pulumi_command.remote, pulumi_postgresql]
    return {
        found.pulumi_type: found  # type: ignore[attr-defined]
        for module in modules
        for found in vars(module).values()
        if inspect.isclass(found)
        and issubclass(found, pulumi.CustomResource)
        and not issubclass(found, pulumi.ProviderResource)
    }


OFFICIAL = _official_classes()


def _properties(official: type) -> set[str]:
    """The wire names of the properties that an SDK class declares."""
    return {
        item.fget._pulumi_name  # type: ignore[union-attr]
        for item in vars(official).values()
        if isinstance(item, property) and hasattr(item.fget, "_pulumi_name")
    }


def _input_class(official: type) -> type:
    module: Any = inspect.getmodule(official)
    return getattr(module, official.__name__ + "Args")  # type: ignore[no-any-return]


def test_every_official_resource_is_served_or_listed_as_not_offline() -> None:
    served = RESOURCES.keys() | ALIASES.keys()

    assert OFFICIAL.keys() - served == NOT_OFFLINE
    assert served <= OFFICIAL.keys()


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda item: item.urn_type)
def test_inputs_have_the_official_names(resource: Resource) -> None:
    assert set(resource.inputs) == _properties(_input_class(OFFICIAL[resource.urn_type]))


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda item: item.urn_type)
def test_outputs_have_the_official_names(resource: Resource) -> None:
    assert {*resource.inputs, *resource.outputs} == _properties(OFFICIAL[resource.urn_type])


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda item: item.urn_type)
def test_what_a_program_must_give_is_what_the_official_sdk_demands(resource: Resource) -> None:
    parameters = inspect.signature(_input_class(OFFICIAL[resource.urn_type])).parameters.values()
    official = {item.name for item in parameters if item.default is item.empty}
    named = {"name"}  # the provider makes one up, as the official one does

    assert {_snake(key) for key, prop in resource.inputs.items() if prop.required} - named == official


def test_a_connection_has_the_official_names() -> None:
    proxy = CONNECTION.fields["proxy"]

    assert set(CONNECTION.fields) == _properties(pulumi_command.remote.ConnectionArgs)
    assert set(proxy.fields) == _properties(pulumi_command.remote.ProxyConnectionArgs)


def test_run_has_the_official_names() -> None:
    parameters = inspect.signature(pulumi_command.local.run).parameters
    result = inspect.signature(pulumi_command.local.RunResult.__init__).parameters

    assert {_snake(key) for key in Run.inputs} == set(parameters) - {"opts"}
    assert {_snake(key) for key in {**Run.inputs, **Run.outputs}} == set(result) - {"__self__"}


def test_the_configuration_has_the_official_names() -> None:
    assert set(CONFIG) == _properties(_input_class(pulumi_postgresql.Provider))


def test_every_refusal_says_why() -> None:
    specs: list[dict[str, Property]] = [dict(CONFIG), *(dict(item.inputs) for item in RESOURCES.values())]
    refused = {key: prop.refused for spec in specs for key, prop in spec.items() if prop.refused}

    assert set(refused) == {
        "awsRdsIamAuth", "awsRdsIamProfile", "awsRdsIamProviderRoleArn", "awsRdsIamRegion", "azureIdentityAuth",
        "azureTenantId", "clientcert", "encrypted", "expectedVersion", "gcpIamImpersonateServiceAccount", "sslMode",
    }  # fmt: skip
    assert all(len(reason.split()) >= 4 for reason in refused.values())


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)
