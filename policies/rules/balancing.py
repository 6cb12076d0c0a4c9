"""Rules about balancers and the virtual address."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, rule
from policies.judging.stack import Stack
from policies.reading import guests, keepalived, proxies, tiers
from policies.reading.balancer import Balancer
from policies.reading.keepalived import Instance
from policies.reading.tiers import Kind, Tier

_DOES_SOMETHING = re.compile(r"^(?!\s*(?:#|$|set\s|exit\b|true\b|:|return\b))", re.MULTILINE)
"""A line of a script that isn't empty, a comment, or nothing but the end."""

_balancers = tiers.subjects_of(Kind.BALANCER)
Member = tuple[Resource, Instance]


def _with_addresses(context: Context) -> Iterator[Tier]:
    """Balancers, and other tiers among whose servers an address moves: databases whose address follows the primary."""
    yield from _balancers(context)
    for tier in tiers.tiers(context):
        if tier.kind not in (Kind.BALANCER, Kind.QUORUM) and any(
            keepalived.known_instances(guests.files_of(context.stack, machine)) for machine in tier.machines
        ):
            yield tier


def _instances(tier: Tier, stack: Stack) -> dict[str, tuple[Resource, list[Instance]]]:
    return {machine.urn: (machine, keepalived.instances(guests.files_of(stack, machine))) for machine in tier.machines}


def _groups(tier: Tier, stack: Stack) -> list[list[Member]]:
    """Instances that are one: with an address in common, else the router, else the name."""
    left = [(machine, one) for machine, found in _instances(tier, stack).values() for one in found]
    groups: list[list[Member]] = []
    for ties in (
        lambda one: set(one.addresses),
        lambda one: {one.router},
        lambda one: {one.name},
    ):
        joined = _joined(left, ties)
        groups += [group for group in joined if len({machine.urn for machine, _one in group}) > 1]
        left = [group[0] for group in joined if len({machine.urn for machine, _one in group}) == 1]
    return [*groups, *([one] for one in left)]


def _joined(members: Sequence[Member], ties: Callable[[Instance], set[object]]) -> list[list[Member]]:
    found: list[list[Member]] = []
    owner: dict[object, list[Member]] = {}
    for machine, instance in members:
        group = next((owner[tie] for tie in ties(instance) if tie in owner), None)
        if group is None:
            group = []
            found.append(group)
        group.append((machine, instance))
        owner |= dict.fromkeys(ties(instance), group)
    return found


@rule(
    id="BAL-01",
    title="Two balancers hold one virtual address between them",
    severity=Severity.CRITICAL,
    outage="Users lose the site with the balancer: nobody takes its address over, or two claim it at once.",
    remedy="Run keepalived on both balancers with the same virtual_router_id and addresses, and different priorities.",
    why="Users know one address. VRRP gives it to whichever balancer is up: for that, all of them must take part in"
    " the same router with the same addresses. With equal priorities, or two that start as MASTER and preempt, both"
    " hold the address until one of them yields, and for that time every second connection breaks.",
    source="RFC 9568, 6.4; keepalived.conf(5)",
    reads=("files of VMs: keepalived.conf",),
    subjects=_with_addresses,
    drill="lose-balancer",
)
def one_virtual_address(tier: Tier, context: Context) -> Iterator[Finding]:
    """No address, different ones, or two masters."""
    found = _instances(tier, context.stack)
    for machine, instances in found.values():
        if tier.kind is not Kind.BALANCER or any(instance.addresses for instance in instances):
            continue
        files = guests.files_of(context.stack, machine)
        if not any("corosync" in path for path in files.contents):
            files.require_all()
            yield Finding(machine, f"balancer {machine.label} takes no part in a virtual address")
    for group in _groups(tier, context.stack):
        if len(group) == 1 and len(tier.machines) > 1 and group[0][1].addresses:
            machine, instance = group[0]
            where = guests.files_of(context.stack, machine).source(instance.path)
            yield Finding(where, f"{machine.label} alone takes part in VRRP instance {instance.name}")
        yield from _disagreements(group, context.stack)


def _disagreements(members: Sequence[Member], stack: Stack) -> Iterator[Finding]:
    machine, instance = members[-1]
    name = instance.name
    where = guests.files_of(stack, machine).source(instance.path)
    instances = [one for _machine, one in members]
    same = "Give all of them the same."
    if _differ(one.router for one in instances):
        yield Finding(
            where, f"the servers' virtual_router_id of VRRP instance {name} differ: each is master of its own", same
        )
    if _differ(one.addresses for one in instances):
        yield Finding(where, f"the servers' virtual addresses of VRRP instance {name} differ", same)
    if _differ(one.secret for one in instances):
        yield Finding(where, f"the servers' authentication of VRRP instance {name} differs: each is master", same)
    if _differ(one.interval for one in instances):
        yield Finding(where, f"the servers' advert_int of VRRP instance {name} differ", same)
    if len({one.priority for one in instances}) < len(members):
        yield Finding(
            where, f"two servers have the same priority in VRRP instance {name}", "Give each its own priority."
        )
    if sum(one.state == "MASTER" for one in instances) > 1:
        yield Finding(where, f"two servers start as MASTER of VRRP instance {name}", "Set state BACKUP on all.")
    yield from _unheard(members, stack)


def _unheard(members: Sequence[Member], stack: Stack) -> Iterator[Finding]:
    """Unicast has to name everybody: who doesn't hear the master takes the address, too."""
    if not any(instance.peers for _machine, instance in members):
        return
    for machine, instance in members:
        others = [one for one, _theirs in members if one.urn != machine.urn]
        heard = {one.urn for one in guests.among(stack, others, instance.peers)}
        for other in others:
            if other.urn not in heard:
                where = guests.files_of(stack, machine).source(instance.path)
                yield Finding(
                    where,
                    f"{machine.label} does not send to {other.label} in VRRP instance {instance.name}: both hold the"
                    " address",
                    f"Name {other.label} in unicast_peer.",
                )


def _differ(values: Iterable[object]) -> bool:
    return len(set(values)) > 1


@rule(
    id="BAL-02",
    title="Every balancer knows every application server, and asks each how it is",
    severity=Severity.HIGH,
    outage="Requests go to a dead node until they time out; or one node gets all of them, and the other none when it"
    " is needed.",
    remedy="Name every application server as BalancerMember, with hcmethod and hcuri.",
    why="A node that a balancer doesn't know is no reserve. Without a health check of its own, a balancer learns that"
    " a node is gone from its users' failed requests, and that it is back by sending it some more.",
    source="Apache httpd, mod_proxy_hcheck; HAProxy, “check”",
    reads=("files of VMs: httpd's BalancerMember, HAProxy's server",),
    subjects=_balancers,
    drill="lose-app",
)
def knows_every_node(tier: Tier, context: Context) -> Iterator[Finding]:
    """A node unknown, or unasked."""
    nodes = tiers.of_kind(context, Kind.APPLICATION)
    for machine in tier.machines:
        files = guests.files_of(context.stack, machine)
        groups = proxies.balancers(context.stack, machine)
        known = {tier.name for tier in nodes for group in groups if _known(group, tier, machine, context.stack)}
        for group in groups:
            where = files.source(group.path)
            missing = list(_missing(group, nodes, known, machine, context.stack))
            for node in missing:
                yield Finding(where, f"balancer {group.name} of {machine.label} does not know {node.label}")
            if len(group.members) < 2 and not missing and not group.single:  # noqa: PLR2004
                yield Finding(where, f"balancer {group.name} of {machine.label} has {len(group.members)} member")
            for member in group.members:
                if not member.checked and not group.single:
                    yield Finding(
                        where,
                        f"{machine.label} does not check {member.host or 'a member of ' + group.name}",
                        "Add hcmethod=GET and hcuri=… (HAProxy: check; nginx: health_check, or proxy_connect_timeout of"
                        " some seconds and no max_fails=0).",
                    )


def _known(group: Balancer, tier: Tier, machine: Resource, stack: Stack) -> list[Resource]:
    """The servers of a tier that a group has as members."""
    hosts = guests.resolved(guests.files_of(stack, machine), (member.host for member in group.members))
    return guests.among(stack, tier.machines, hosts)


def _missing(
    group: Balancer, nodes: Sequence[Tier], known: set[str], machine: Resource, stack: Stack
) -> Iterator[Resource]:
    """The nodes that a group should have: the rest of a tier of which it has some.

    A group that has none of any may be for something else, a database for instance; but some group must have them.
    """
    found = {tier.name: _known(group, tier, machine, stack) for tier in nodes}
    for tier in nodes:
        is_nobodys = tier.name not in known and not any(found.values()) and not _of_others(group, machine, stack)
        if found[tier.name] or (is_nobodys and not group.single):
            yield from (node for node in tier.machines if node not in found[tier.name])


def _of_others(group: Balancer, machine: Resource, stack: Stack) -> bool:
    """Whether all members of a group are VMs that do something else."""
    files = guests.files_of(stack, machine)
    return bool(group.members) and all(
        guests.machines_at(stack, guests.resolved(files, [member.host])) for member in group.members
    )


@rule(
    id="BAL-03",
    title="A balancer whose proxy has died gives the address up",
    severity=Severity.CRITICAL,
    outage="The machine is up, the proxy isn't, and the address stays: the site is down while a sound balancer looks"
    " on.",
    remedy="Add a vrrp_script that asks the proxy, and name it in track_script.",
    why="VRRP sees machines, not services. keepalived gives an address up when what it tracks fails, and by itself it"
    " tracks nothing. What it tracks with a weight only changes its priority: that moves the address if another"
    " server's priority is then the higher one, and if that server preempts.",
    source="keepalived.conf(5), track_script",
    reads=("files of VMs: keepalived.conf",),
    subjects=_with_addresses,
    drill="kill-httpd",
)
def watches_the_proxy(tier: Tier, context: Context) -> Iterator[Finding]:
    """An instance that tracks nothing, or to no effect."""
    for group in _groups(tier, context.stack):
        for machine, instance in group:
            others = [one for other, one in group if other.urn != machine.urn]
            files = guests.files_of(context.stack, machine)
            where = files.source(instance.path)
            for path in instance.scripts:
                if path in files.contents and not _DOES_SOMETHING.search(files.contents[path]):
                    yield Finding(
                        files.source(path), f"{path} of {machine.label} asks nobody", "Have it ask the proxy."
                    )
            if not instance.weights:
                yield Finding(where, f"VRRP instance {instance.name} of {machine.label} watches nothing")
            elif others and not any(_yields(instance, weight, others) for weight in instance.weights):
                yield Finding(
                    where,
                    f"VRRP instance {instance.name} of {machine.label} keeps the address when what it watches fails:"
                    " its weight is too small, or the others don't preempt",
                    "Leave weight out: a failure then gives the address up.",
                )


def _yields(instance: Instance, weight: int, others: Sequence[Instance]) -> bool:
    """Whether a failure of what is watched by this weight gives the address to another server."""
    if weight == 0:
        return True
    failed = instance.priority + min(weight, 0)
    return any(one.preempts and one.priority + max((*one.weights, 0)) > failed for one in others)
