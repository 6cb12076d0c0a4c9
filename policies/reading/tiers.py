"""Which VMs do the same thing: tiers."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache

from policies.judging.resource import UNKNOWN, Resource, UndecidedError
from policies.judging.rule import Context
from policies.judging.stack import Stack
from policies.reading import guests, keepalived, proxies

INITIAL_CLUSTER = re.compile(
    r"^(?!\s*#)[^\n]*?(?:ETCD_INITIAL_CLUSTER=|initial-cluster:|--initial-cluster[= ])\s*[\"']?([^\s\"']+)",
    re.MULTILINE,
)
"""The members that an etcd starts with: name=URL, comma-separated."""
INITIAL_HOSTS = re.compile(r"initial_hosts['\"]?\s*[:=>]+\s*['\"]?([^'\"\n<]+)")
"""The members that a JGroups looks for: host[port], comma-separated."""

_LAST_NUMBER = re.compile(r"[-_.]?\d+(?=\D*$)")
_LAST_LETTER = re.compile(r"[-_.][a-z]$", re.IGNORECASE)
_SCOPE = re.compile(r"^scope:\s*[\"']?([\w.-]+)", re.MULTILINE)


class Kind(StrEnum):
    """What a tier does, told by the software that its VMs are given."""

    BALANCER = "balancer"
    APPLICATION = "application"
    DATABASE = "database"
    QUORUM = "quorum"
    OTHER = "other"
    """By configuration or by name alone."""


_SOFTWARE = {
    Kind.APPLICATION: re.compile(
        r"jgroups|wildfly-configuration|urn:jboss:domain|standalone\.sh|<Server\b[^>]*\bport=|catalina\.(sh|base|home)"
        r"|\bCATALINA_OPTS\b|\bJAVA_OPTS\b",
        re.IGNORECASE,
    ),
    Kind.DATABASE: re.compile(r"^(scope|postgresql):", re.MULTILINE),
    Kind.QUORUM: INITIAL_CLUSTER,
}
"""What its files say: WildFly or Tomcat; Patroni; etcd. Balancers are read: whoever spreads requests is one."""

_PATHS = {
    Kind.APPLICATION: re.compile(r"wildfly|jboss|tomcat|standalone|catalina"),
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


def of_kind(context: Context, kind: Kind) -> list[Tier]:
    """The tiers of one kind."""
    return [tier for tier in tiers(context) if tier.kind is kind]


def subjects_of(kind: Kind) -> Callable[[Context], Iterable[Tier]]:
    """The subjects of a rule about tiers of one kind: what may yet turn out to be one is decided at the update."""

    def subjects(context: Context) -> Iterator[Tier]:
        yield from of_kind(context, kind)
        for tier in of_kind(context, Kind.OTHER):
            for machine in tier.machines:
                if not guests.files_of(context.stack, machine).complete:
                    raise UndecidedError(machine.label, "what is put on it")

    return subjects


def kinds_of(stack: Stack, machine: Resource) -> frozenset[Kind]:
    """What a VM does, as far as its files tell."""
    return stack.once(_kinds)[machine.urn]


def is_template(stack: Stack, machine: Resource) -> bool:
    """Whether other VMs are clones of this one."""
    return bool(stack.referrers(machine, "clone", "VirtualMachine"))


def _all_tiers(context: Context) -> list[Tier]:
    stack = context.stack
    machines = [one for one in stack.of_type("VirtualMachine") if not is_template(stack, one)]
    found = [
        Tier(name, _kind_of(stack, members), members)
        for name, patterns in context.tiers.items()
        if (members := tuple(one for one in machines if any(fnmatchcase(one.label, each) for each in patterns)))
    ]
    placed = {machine.urn for tier in found for machine in tier.machines}
    rest = [machine for machine in machines if machine.urn not in placed]
    found += _by_software(stack, rest)
    placed |= {machine.urn for tier in found for machine in tier.machines}
    return [*found, *_by_name([machine for machine in machines if machine.urn not in placed])]


def _kinds(stack: Stack) -> dict[str, frozenset[Kind]]:
    return {machine.urn: _read_kinds(stack, machine) for machine in stack.of_type("VirtualMachine")}


def _read_kinds(stack: Stack, machine: Resource) -> frozenset[Kind]:
    files = guests.files_of(stack, machine)
    found = {
        kind
        for kind, words in _SOFTWARE.items()
        if any(_PATHS[kind].search(path) and guests.is_in(words, text) for path, text in files.contents.items())
    }
    if _balances(stack, machine, files):
        found.add(Kind.BALANCER)
    return frozenset(found)


def _balances(stack: Stack, machine: Resource, files: guests.GuestFiles) -> bool:
    """Whether users come in through a VM: it spreads requests, and nothing else spreads requests over it.

    One node is a group of one only for a VM that holds a virtual address, or whose node is a VM of the stack.
    """
    if proxies.served_by(stack, machine):
        return False
    return any(
        not group.single or (keepalived.known_instances(files) and guests.machines_at(stack, [group.members[0].host]))
        for group in proxies.balancers(stack, machine)
    )


def _kind_of(stack: Stack, machines: Sequence[Resource]) -> Kind:
    common = frozenset(Kind).intersection(*(kinds_of(stack, machine) for machine in machines))
    return next((kind for kind in Kind if kind in common), Kind.OTHER)


def _by_software(stack: Stack, machines: Sequence[Resource]) -> list[Tier]:
    found = []
    for kind in (Kind.BALANCER, *_SOFTWARE):
        groups = _connected([machine for machine in machines if kind in kinds_of(stack, machine)], stack, kind)
        names = [kind.value] if len(groups) == 1 else [f"{kind.value} {_stem(group[0])}" for group in groups]
        found += [Tier(name, kind, tuple(group)) for name, group in zip(names, groups, strict=True)]
    return found


def _connected(machines: Sequence[Resource], stack: Stack, kind: Kind) -> list[list[Resource]]:
    """Machines that have a name, a cluster, a balancer or an address in common, directly or by way of others."""
    parents = {machine.urn: machine.urn for machine in machines}
    first: dict[Hashable, str] = {}
    for machine in machines:
        for tie in (("name", _stem(machine)), *_ties(stack, machine, kind)):
            parents[_root(parents, machine.urn)] = _root(parents, first.setdefault(tie, machine.urn))
    groups: dict[str, list[Resource]] = {}
    for machine in machines:
        groups.setdefault(_root(parents, machine.urn), []).append(machine)
    return list(groups.values())


def _root(parents: dict[str, str], urn: str) -> str:
    while parents[urn] != urn:
        parents[urn] = parents[parents[urn]]
        urn = parents[urn]
    return urn


def _ties(stack: Stack, machine: Resource, kind: Kind) -> Iterator[Hashable]:
    """What a machine has in common with others of its tier."""
    files = guests.files_of(stack, machine)
    if kind is Kind.BALANCER:
        for instance in keepalived.known_instances(files):
            yield from (("address", address) for address in instance.addresses)
    elif kind is Kind.APPLICATION:
        yield from (("group", group) for group in proxies.served_by(stack, machine))
        for text in files.contents.values():
            for hosts in _named(INITIAL_HOSTS, text):
                yield from (("host", host) for host in re.split(r"[\s,]+", hosts) if host and "$" not in host)
    else:
        for path, text in files.contents.items():
            if kind is Kind.QUORUM:
                yield from (
                    ("member", one) for found in _named(INITIAL_CLUSTER, text) for one in found.split(",") if one
                )
            elif _PATHS[kind].search(path):
                yield from (("scope", scope) for scope in _named(_SCOPE, text))


@lru_cache(maxsize=16384)
def _named(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    """What a file names; looked for once, however often stacks that share the file are judged."""
    return tuple(pattern.findall(text))


def _by_name(machines: Sequence[Resource]) -> list[Tier]:
    groups: dict[str, list[Resource]] = {}
    for machine in machines:
        groups.setdefault(_stem(machine), []).append(machine)
    return [Tier(name, Kind.OTHER, tuple(members)) for name, members in groups.items()]


def _stem(machine: Resource) -> str:
    """A VM's name without its last number, or its last letter if that stands alone: web-01, db2-paris, node-a."""
    name = machine.properties.get("name")
    text = machine.name if name in (None, UNKNOWN) else str(name)
    stem = _LAST_NUMBER.sub("", text)
    return stem if stem != text else _LAST_LETTER.sub("", text)
