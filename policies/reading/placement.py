"""Where VMs may run: rules of DRS, and pins where there is no DRS."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from policies.judging.resource import UNKNOWN, Resource, UndecidedError
from policies.judging.stack import Stack
from policies.reading import topology

ANTI_AFFINITY = "ComputeClusterVmAntiAffinityRule"
HOST_RULE = "ComputeClusterVmHostRule"


@dataclass(frozen=True)
class Freedom:
    """What decides on which hosts a VM may run. Many VMs have the same: they are compared by it, not in pairs."""

    cluster: str | None
    """URN; None: its cluster isn't in the program."""
    drs: bool | None
    """Whether the cluster has DRS; None: its cluster isn't in the program."""
    pin: str | None
    """The host on which it is made: without DRS nothing moves it but vSphere HA."""
    rules: frozenset[str]
    """Anti-affinity rules that name it and are enabled, by URN."""
    doubtful: frozenset[str]
    """Those of which it isn't known yet whether they are."""
    hosts: frozenset[frozenset[str]]
    """Host groups to which rules tie it."""

    def keeps_from(self, other: "Freedom") -> bool:
        """Whether two VMs can't run on one host, as long as there are hosts enough.

        Raises:
            UndecidedError: What decides it isn't known yet.
        """
        if self.cluster and other.cluster and self.cluster != other.cluster:
            return True
        if not self.drs and self.pin and other.pin and self.pin != other.pin:
            return True
        if self.drs is False:
            return False
        if self.rules & other.rules or any(here.isdisjoint(there) for here in self.hosts for there in other.hosts):
            return True
        if (self.rules | self.doubtful) & (other.rules | other.doubtful):
            raise UndecidedError("an anti-affinity rule", "enabled")
        return False


def together(stack: Stack, machines: Iterable[Resource]) -> Iterator[tuple[Resource, Resource]]:
    """The pairs of these VMs that may run on one host.

    Raises:
        UndecidedError: What decides it isn't known yet.
    """
    alike = _alike(stack, machines)
    for freedom, members in alike.items():
        if len(members) > 1 and not freedom.keeps_from(freedom):
            yield from combinations(members, 2)
    for (one, mine), (other, theirs) in combinations(alike.items(), 2):
        if not one.keeps_from(other):
            yield from product(mine, theirs)


def leaves_one_alone(stack: Stack, machines: Iterable[Resource]) -> bool:
    """Whether some VM of these is kept from none of the others: all may be where it is.

    Raises:
        UndecidedError: What decides it isn't known yet.
    """
    alike = _alike(stack, machines)
    return any(
        not any(freedom.keeps_from(other) for other in alike if other is not freedom or len(members) > 1)
        for freedom, members in alike.items()
    )


def has_drs(stack: Stack, machine: Resource) -> bool | None:
    """Whether a VM's cluster has DRS; None where the cluster isn't in the program.

    Raises:
        UndecidedError: It isn't known yet.
    """
    cluster = topology.cluster_of(stack, machine)
    return None if cluster is None else bool(cluster.get("drsEnabled", default=False))


def pin_of(stack: Stack, machine: Resource) -> str | None:
    """The host that a VM's settings name; its URN, or its id where that is all there is.

    Raises:
        UndecidedError: It isn't known yet.
    """
    for host in stack.referred(machine, "hostSystemId"):
        if host.type.endswith(":Host"):
            return host.urn
    named = machine.properties.get("hostSystemId")
    if named is UNKNOWN:
        raise UndecidedError(machine.label, "hostSystemId")
    return named if isinstance(named, str) and named else None


def _alike(stack: Stack, machines: Iterable[Resource]) -> Mapping[Freedom, Sequence[Resource]]:
    found: dict[Freedom, list[Resource]] = {}
    for machine in sorted(machines, key=lambda one: one.label):
        found.setdefault(_freedom_of(stack, machine), []).append(machine)
    return found


def _freedom_of(stack: Stack, machine: Resource) -> Freedom:
    cluster = topology.cluster_of(stack, machine)
    drs = has_drs(stack, machine)
    rules = stack.referrers(machine, "virtualMachineIds", ANTI_AFFINITY)
    doubtful = {rule.urn for rule in rules if rule.properties.get("enabled") is UNKNOWN}
    return Freedom(
        cluster=cluster.urn if cluster else None,
        drs=drs,
        pin=None if drs else pin_of(stack, machine),
        rules=frozenset(rule.urn for rule in rules if rule.urn not in doubtful and rule.get("enabled", default=True)),
        doubtful=frozenset(doubtful),
        hosts=frozenset(_hosts_allowed(stack, machine)) if drs is not False else frozenset(),
    )


def _hosts_allowed(stack: Stack, machine: Resource) -> Iterator[frozenset[str]]:
    """The hosts to which each rule ties a VM, or which it leaves it."""
    for group in stack.referrers(machine, "virtualMachineIds", "ComputeClusterVmGroup"):
        for rule in _rules_of(stack, group):
            if not rule.get("enabled", default=True):
                continue
            for hosts in _groups_of(stack, rule, "affinityHostGroupName"):
                yield _members(stack, hosts)
            for hosts in _groups_of(stack, rule, "antiAffinityHostGroupName"):
                for cluster in stack.referred(rule, "computeClusterId"):
                    every = frozenset(host.urn for host in topology.hosts_of(stack, cluster))
                    yield every - _members(stack, hosts)


def _members(stack: Stack, hosts: Resource) -> frozenset[str]:
    return frozenset(host.urn for host in stack.referred(hosts, "hostSystemIds"))


def _rules_of(stack: Stack, group: Resource) -> list[Resource]:
    """The rules about a VM group: rules name groups, and not by id."""
    named = stack.once(_rules_by_group_name).get(str(group.properties.get("name")), [])
    referring = stack.referrers(group, "vmGroupName", HOST_RULE)
    return list({rule.urn: rule for rule in (*referring, *named)}.values())


def _groups_of(stack: Stack, rule: Resource, key: str) -> list[Resource]:
    """The host groups that a rule names."""
    name = rule.properties.get(key)
    named = stack.once(_host_groups_by_name).get(name, []) if isinstance(name, str) else []
    referred = [one for one in stack.referred(rule, key) if one.type.endswith(":ComputeClusterHostGroup")]
    return list({group.urn: group for group in (*referred, *named)}.values())


def _rules_by_group_name(stack: Stack) -> Mapping[str, list[Resource]]:
    return _by_name(stack.of_type(HOST_RULE), "vmGroupName")


def _host_groups_by_name(stack: Stack) -> Mapping[str, list[Resource]]:
    return _by_name(stack.of_type("ComputeClusterHostGroup"), "name")


def _by_name(resources: Iterable[Resource], key: str) -> Mapping[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for one in resources:
        if isinstance(name := one.properties.get(key), str):
            found.setdefault(name, []).append(one)
    return found
