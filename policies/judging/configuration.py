"""The pack's configuration: levels per rule and environment, thresholds, tiers, waivers."""

import json
import os
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

DEFAULT = Path(__file__).parents[1] / "configuration.yaml"
"""Used unless the environment variable PERENNE_POLICIES names another file."""

Words = Annotated[str, Field(min_length=1, pattern=r"\S")]


class ConfigurationError(Exception):
    """The configuration can't be used; the message names file, field and remedy."""


class Level(StrEnum):
    """What a violation of a rule does."""

    MANDATORY = "mandatory"
    """The run stops."""
    ADVISORY = "advisory"
    """It is shown."""
    DISABLED = "disabled"
    """The rule isn't asked."""


class Model(BaseModel):
    """Strict and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Environment(Model):
    """What differs between stacks."""

    levels: Mapping[str, Level] = Field(default_factory=dict)
    """Level by rule id; `all` stands for every rule that isn't named."""
    thresholds: "Thresholds | None" = None
    """How much redundancy is enough here, where that is said; for the rest the general thresholds hold."""


class HostSize(Model):
    """What a host offers to VMs."""

    cpus: int = Field(ge=1)
    """Cores."""
    memory_gib: float = Field(gt=0)
    """GiB."""


class Thresholds(Model):
    """How much redundancy is enough."""

    host_failures_to_tolerate: int = Field(1, ge=1, le=31)
    """Hosts that may be lost at the same time."""
    minimum_hosts: int = Field(3, ge=2)
    """With two hosts, nothing is redundant while one of them is patched."""
    virtual_cpus_per_core: int = Field(4, ge=1)
    """How many virtual processors may share a core after the loss of a host."""
    minimum_portals: int = Field(2, ge=2)
    """iSCSI portals per array, on different subnets."""
    minimum_uplinks: int = Field(2, ge=2)
    """Physical adapters per switch."""
    minimum_heartbeat_datastores: int = Field(2, ge=2, le=5)
    """vSphere HA tells a dead host from a cut-off one by them."""
    minimum_time_sources: int = Field(2, ge=1)
    minimum_votes: int = Field(3, ge=3)
    """Members of a quorum (etcd)."""
    maximum_hardware_version: int = Field(21, ge=4)
    """The newest virtual hardware that every host can run (21: ESXi 8.0 U2)."""
    arrays: int = Field(1, ge=1)
    """Arrays over which stateful servers must be spread; 1: different datastores are enough."""


class Waiver(Model):
    """One violation that somebody accepts for a time."""

    rule: Annotated[str, Field(pattern=r"^[A-Z]+-\d{2}$")]
    resource: Words
    """The resource's name, in the program or in vSphere; `*` and `?` are wildcards."""
    reason: str = ""
    owner: str = ""
    expires: date | None = None
    """The last day on which it holds."""
    environment: str = "*"
    """The stacks in which it holds."""

    def flaw(self, today: date) -> str:
        """What makes it void; empty if nothing does."""
        if not self.reason.strip():
            return "it has no reason"
        if not self.owner.strip():
            return "it has no owner"
        if self.expires is None:
            return "it has no date of expiry"
        return f"it expired on {self.expires}" if self.expires < today else ""


class Configuration(Model):
    """The whole configuration of the pack."""

    environments: Mapping[str, Environment] = Field(default_factory=dict)
    """By stack name (`prod`, `customer-*`); the first that matches counts."""
    thresholds: Thresholds = Thresholds()
    tiers: Mapping[str, list[Words]] = Field(default_factory=dict)
    """VM names by tier (`web: [web-*]`), where the names' letters don't tell (`lb01`, `lb02`)."""
    hosts: Mapping[str, HostSize] = Field(default_factory=dict)
    """Sizes by host name (`esx*.example.com`), where nothing in the program declares them."""
    waivers: list[Waiver] = Field(default_factory=list)

    def level(self, rule: str, stack: str, *, mandatory: bool) -> Level:
        """The level of a rule in a stack; `mandatory` is the rule's own default."""
        levels = self._environment(stack).levels
        default = Level.MANDATORY if mandatory else Level.ADVISORY
        return levels.get(rule, levels.get("all", default))

    def thresholds_of(self, stack: str) -> Thresholds:
        """The thresholds for a stack."""
        own = self._environment(stack).thresholds
        return self.thresholds.model_copy(update=own.model_dump(exclude_unset=True)) if own else self.thresholds

    def _environment(self, stack: str) -> Environment:
        return next((found for name, found in self.environments.items() if fnmatchcase(stack, name)), Environment())


def load_chosen(rules: frozenset[str]) -> Configuration:
    """Read the configuration that this process's environment chooses.

    Raises:
        ConfigurationError: It can't be read, or names something that isn't there.
    """
    return load(Path(os.environ.get("PERENNE_POLICIES") or DEFAULT), rules)


def load(file: Path, rules: frozenset[str]) -> Configuration:
    """Read a configuration; `rules` are the ids that exist.

    Raises:
        ConfigurationError: It can't be read, or names something that isn't there.
    """
    try:
        found = yaml.load(file.read_text(), Loader=_Loader) or {}  # noqa: S506 (a safe loader, and stricter)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file}: can't be read: {error}") from None
    try:
        configuration = Configuration.model_validate(found)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_mistakes(file, found, error))) from None
    if unknown := _unknown_rules(configuration, rules):
        raise ConfigurationError("\n".join(f"{file}: {mistake}" for mistake in unknown))
    return configuration


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML takes the last; leaves dates to the model, which says where."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(key.value) for key, _value in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, words) for tag, words in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def schema() -> str:
    """The JSON schema of the configuration, for editors."""
    return json.dumps(Configuration.model_json_schema(), indent=2) + "\n"


def _mistakes(file: Path, found: object, error: ValidationError) -> list[str]:
    mistakes = []
    for mistake in error.errors():
        place = ".".join(map(str, mistake["loc"])) or "the whole file"
        about = _rule_at(found, mistake["loc"])
        mistakes.append(f"{file}: {place}{about}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}")
    return mistakes


def _rule_at(found: object, place: tuple[int | str, ...]) -> str:
    """Which rule a mistake in the list of waivers concerns."""
    match place, found:
        case ("waivers", int(index), *_), {"waivers": list(waivers)} if isinstance(waivers[index], dict):
            return f" (rule {waivers[index].get('rule', 'not named')})"
        case _:
            return ""


def _unknown_rules(configuration: Configuration, rules: frozenset[str]) -> list[str]:
    mistakes = [
        f"environments.{name}.levels.{rule}: there is no rule {rule}; docs/policies lists them"
        for name, environment in configuration.environments.items()
        for rule in environment.levels
        if rule not in rules | {"all"}
    ]
    return mistakes + [
        f"waivers.{index}.rule: there is no rule {waiver.rule}; docs/policies lists them"
        for index, waiver in enumerate(configuration.waivers)
        if waiver.rule not in rules
    ]
