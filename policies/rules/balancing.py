"""Rules about balancers and the virtual address."""

import re
from collections.abc import Iterable, Iterator, Sequence

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, rule
from policies.reading import guests, httpd, keepalived, tiers
from policies.reading.keepalived import Instance
from policies.reading.tiers import Kind, Tier

_DOES_SOMETHING = re.compile(r"^(?!\s*(?:#|$|set\s|exit\b|true\b|:|return\b))", re.MULTILINE)
"""A line of a script that isn't empty, a comment, or nothing but the end."""


def _balancers(context: Context) -> list[Tier]:
    return tiers.of_kind(context, Kind.BALANCER)


def _instances(tier: Tier, context: Context) -> dict[str, tuple[Resource, list[Instance]]]:
    found = {}
    for machine in tier.machines:
        files = guests.files_of(context.stack, machine)
        found[machine.label] = (machine, keepalived.instances(files))
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
    subjects=_balancers,
    drill="lose-balancer",
)
def one_virtual_address(tier: Tier, context: Context) -> Iterator[Finding]:
    """No address, different ones, or two masters."""
    found = _instances(tier, context)
    for machine, instances in found.values():
        if not any(instance.addresses for instance in instances):
            yield Finding(machine, f"balancer {machine.label} takes no part in a virtual address")
    groups: dict[str, list[tuple[Resource, Instance]]] = {}
    for machine, instances in found.values():
        for instance in instances:
            groups.setdefault(instance.name, []).append((machine, instance))
    for name, members in groups.items():
        yield from _disagreements(name, members, context)


def _disagreements(name: str, members: Sequence[tuple[Resource, Instance]], context: Context) -> Iterator[Finding]:
    machine, instance = members[-1]
    where = guests.files_of(context.stack, machine).source(instance.path)
    if _differ(one.router for _machine, one in members):
        yield Finding(
            where, f"the balancers' virtual_router_id of VRRP instance {name} differ: each is master of its own"
        )
    if _differ(one.addresses for _machine, one in members):
        yield Finding(where, f"the balancers' virtual addresses of VRRP instance {name} differ")
    if len(members) > 1 and len({one.priority for _machine, one in members}) < len(members):
        yield Finding(
            where, f"two balancers have the same priority in VRRP instance {name}", "Give each its own priority."
        )
    for one, mine in members:
        for other, _theirs in members:
            if other is not one and mine.peers is not None and not guests.is_among(other, mine.peers):
                yield Finding(
                    guests.files_of(context.stack, one).source(mine.path),
                    f"{one.label} does not talk to {other.label} in VRRP instance {name}: both may hold the address",
                    "Name it in unicast_peer.",
                )
    if sum(one.state == "MASTER" and one.preempts for _machine, one in members) > 1:
        yield Finding(where, f"two balancers start as MASTER of VRRP instance {name}", "Set state BACKUP on all.")


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
    drill="lose-application",
)
def knows_every_node(tier: Tier, context: Context) -> Iterator[Finding]:
    """A node unknown, or unasked."""
    nodes = [machine for found in tiers.of_kind(context, Kind.APPLICATION) for machine in found.machines]
    for machine in tier.machines:
        files = guests.files_of(context.stack, machine)
        for balancer in httpd.balancers(files):
            where = files.source(balancer.path)
            hosts = {member.host for member in balancer.members} | {
                member.host.partition(".")[0] for member in balancer.members
            }
            for node in nodes:
                if not guests.is_among(node, hosts):
                    yield Finding(where, f"balancer {balancer.name} of {machine.label} does not know {node.label}")
            if len(balancer.members) < 2:  # noqa: PLR2004
                yield Finding(where, f"balancer {balancer.name} of {machine.label} has {len(balancer.members)} member")
            for member in balancer.members:
                if not member.checked:
                    yield Finding(
                        where,
                        f"{machine.label} does not check {member.host}",
                        "Add hcmethod=GET and hcuri=… (HAProxy: check).",
                    )


@rule(
    id="BAL-03",
    title="A balancer whose proxy has died gives the address up",
    severity=Severity.CRITICAL,
    outage="The machine is up, the proxy isn't, and the address stays: the site is down while a sound balancer looks"
    " on.",
    remedy="Add a vrrp_script that asks the proxy, and name it in track_script.",
    why="VRRP sees machines, not services. keepalived gives an address up when what it tracks fails, and by itself it"
    " tracks nothing.",
    source="keepalived.conf(5), track_script",
    reads=("files of VMs: keepalived.conf",),
    subjects=_balancers,
    drill="kill-httpd",
)
def watches_the_proxy(tier: Tier, context: Context) -> Iterator[Finding]:
    """An instance that tracks nothing."""
    for machine, instances in _instances(tier, context).values():
        for instance in instances:
            files = guests.files_of(context.stack, machine)
            where = files.source(instance.path)
            if not instance.watches:
                yield Finding(where, f"VRRP instance {instance.name} of {machine.label} watches nothing")
            for path in instance.scripts:
                if path in files.contents and not _DOES_SOMETHING.search(files.contents[path]):
                    yield Finding(
                        files.source(path), f"{path} of {machine.label} asks nobody", "Have it ask the proxy."
                    )
