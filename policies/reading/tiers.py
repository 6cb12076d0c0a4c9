"""Which VMs do the same thing: tiers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Context
from policies.judging.stack import Stack
from policies.reading import guests

_LAST_NUMBER = re.compile(r"[-_.]?\d+$")


class Kind(StrEnum):
    """What a tier does, told by the software that its VMs are given."""

    BALANCER = "balancer"
    APPLICATION = "application"
    DATABASE = "database"
    QUORUM = "quorum"
    OTHER = "other"
    """By configuration or by name alone."""


_SOFTWARE = {
    Kind.BALANCER: re.compile(r"^\s*(BalancerMember\s|balance\s|upstream\s+\S+\s*\{)", re.MULTILINE),
    Kind.APPLICATION: re.compile(r"jgroups|wildfly-configuration|<Cluster className=.*SimpleTcpCluster", re.IGNORECASE),
    Kind.DATABASE: re.compile(r"^(scope|postgresql):", re.MULTILINE),
    Kind.QUORUM: re.compile(r"^\s*(ETCD_INITIAL_CLUSTER=|initial-cluster:)", re.MULTILINE),
}
"""What its files say: httpd, HAProxy or nginx; WildFly or Tomcat; Patroni; etcd."""

_PATHS = {
    Kind.BALANCER: re.compile(r"apache2|httpd|haproxy|nginx"),
    Kind.APPLICATION: re.compile(r"wildfly|jboss|tomcat|standalone"),
    Kind.DATABASE: re.compile(r"patroni"),
    Kind.QUORUM: re.compile(r"etcd"),
}


@dataclass(frozen=True)
class Tier:
    """VMs of which one may go, if the others are elsewhere."""

    name: str
    kind: Kind
    machines: tuple[Resource, ...]

    @property
    def is_stateful(self) -> bool:
        """Whether its members each hold a copy of something that must not be lost."""
        return self.kind in (Kind.DATABASE, Kind.QUORUM)

    @property
    def label(self) -> str:
        """For messages."""
        return f"tier {self.name} ({', '.join(sorted(machine.label for machine in self.machines))})"


def tiers(context: Context) -> Sequence[Tier]:
    """The tiers of a site: configured ones, those that the VMs' software tells, then those that names tell."""
    return context.once(_all_tiers)


def _all_tiers(context: Context) -> Sequence[Tier]:
    machines = [one for one in context.stack.of_type("VirtualMachine") if not is_template(context.stack, one)]
    found = [
        Tier(name, _kind_of(context.stack, members), members)
        for name, patterns in context.tiers.items()
        if (members := tuple(one for one in machines if any(fnmatchcase(one.label, each) for each in patterns)))
    ]
    placed = {machine.urn for tier in found for machine in tier.machines}
    rest = [machine for machine in machines if machine.urn not in placed]
    found += _by_software(context.stack, rest)
    placed |= {machine.urn for tier in found for machine in tier.machines}
    return [*found, *_by_name([machine for machine in machines if machine.urn not in placed])]


def of_kind(context: Context, kind: Kind) -> list[Tier]:
    """The tiers of one kind."""
    return [tier for tier in tiers(context) if tier.kind is kind]


def kinds_of(stack: Stack, machine: Resource) -> frozenset[Kind]:
    """What a VM does, as far as its files tell."""
    return stack.once(_kinds)[machine.urn]


def is_template(stack: Stack, machine: Resource) -> bool:
    """Whether other VMs are clones of this one."""
    return bool(stack.referrers(machine, "clone", "VirtualMachine"))


def _kinds(stack: Stack) -> dict[str, frozenset[Kind]]:
    return {machine.urn: _read_kinds(guests.files_of(stack, machine)) for machine in stack.of_type("VirtualMachine")}


def _read_kinds(files: guests.GuestFiles) -> frozenset[Kind]:
    return frozenset(
        kind
        for kind, words in _SOFTWARE.items()
        if any(_PATHS[kind].search(path) and words.search(text) for path, text in files.contents.items())
    )


def _kind_of(stack: Stack, machines: Sequence[Resource]) -> Kind:
    common = frozenset(Kind).intersection(*(kinds_of(stack, machine) for machine in machines))
    return next((kind for kind in Kind if kind in common), Kind.OTHER)


def _by_software(stack: Stack, machines: Sequence[Resource]) -> list[Tier]:
    found = []
    for kind in _SOFTWARE:
        members = tuple(machine for machine in machines if kind in kinds_of(stack, machine))
        if members:
            found.append(Tier(kind.value, kind, members))
    return found


def _by_name(machines: Sequence[Resource]) -> list[Tier]:
    groups: dict[str, list[Resource]] = {}
    for machine in machines:
        name = machine.properties.get("name")
        groups.setdefault(_LAST_NUMBER.sub("", machine.name if name in (None, UNKNOWN) else str(name)), []).append(
            machine
        )
    return [Tier(name, Kind.OTHER, tuple(members)) for name, members in groups.items()]
