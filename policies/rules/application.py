"""Rules about application servers."""

import re
from collections.abc import Iterator

from policies.judging.resource import Resource
from policies.judging.rule import Context, Finding, Severity, rule
from policies.judging.stack import Stack
from policies.reading import guests, proxies, tiers
from policies.reading.balancer import Balancer
from policies.reading.guests import GuestFiles
from policies.reading.tiers import INITIAL_HOSTS, Kind, Tier

_REPLICATED = re.compile(
    r"replicated-cache|distributed-cache|invalidation-cache|remote-store|<Cluster\b|RedissonSessionManager"
    r"|MemcachedBackupSessionManager|spring\.session\.store-type\s*[=:]\s*(?!none)\w",
    re.IGNORECASE,
)
_ROUTE = re.compile(r"(?:instance-id['\"]?\s*[:=]|jvmRoute=|jboss\.node\.name=)\s*['\"]?([\w.-]+)")
_OWN_NAME = re.compile(r"urn:jboss:domain|wildfly-configuration|standalone\.sh")
"""WildFly's route is its node name unless something else is said, and that is the host's name."""
_COMMENT = re.compile(r"<!--.*?-->|^\s*#(?!!)[^\n]*$", re.DOTALL | re.MULTILINE)


@rule(
    id="APP-01",
    title="Sessions are on every application server, and a route names each",
    severity=Severity.HIGH,
    outage="Everybody who was logged in on the lost server is logged out, and what they were entering is gone.",
    remedy="Replicate sessions (WildFly: an infinispan cache that is replicated or distributed, JGroups with every"
    " node), and give each node a route of its own that its balancers name.",
    why="A session that lives in one server's memory dies with it. Replicated, another server goes on with it; the"
    " route in the cookie keeps a user on one server as long as it lives, so that the copies are never needed in"
    " normal times.",
    source="WildFly, High Availability Guide, “Distributed Web Applications”",
    reads=("files of VMs: WildFly, Tomcat, httpd's BalancerMember route",),
    subjects=tiers.subjects_of(Kind.APPLICATION),
    drill="lose-app",
)
def sessions_survive(tier: Tier, context: Context) -> Iterator[Finding]:
    """Sessions in one memory, a member missing, or a route that nobody has."""
    stack = context.stack
    routes: dict[str, Resource] = {}
    for machine in tier.machines:
        files = guests.files_of(stack, machine)
        texts = {path: _COMMENT.sub("", text) for path, text in files.contents.items()}
        if not any(_REPLICATED.search(text) for text in texts.values()):
            files.require_all()
            yield Finding(machine, f"sessions of {machine.label} are not replicated")
        yield from _unsought(machine, tier, texts, stack)
        found = _routes(machine, texts)
        if not found:
            files.require_all()
            yield Finding(
                machine, f"{machine.label} has no route of its own", "Set undertow's instance-id (Tomcat: jvmRoute)."
            )
        for route in found:
            if routes.setdefault(route, machine) is not machine:
                yield Finding(machine, f"{machine.label} and {routes[route].label} have the same route")
    yield from _lost_users(tier, routes, stack)


def _unsought(machine: Resource, tier: Tier, texts: dict[str, str], stack: Stack) -> Iterator[Finding]:
    """Nodes for which a node doesn't look."""
    files = guests.files_of(stack, machine)
    for path, text in texts.items():
        lists = [hosts for hosts in INITIAL_HOSTS.findall(text) if "$" not in hosts]
        named = guests.resolved(files, (one for hosts in lists for one in re.split(r"[\s,]+", _ports(hosts)) if one))
        others = [one for one in tier.machines if one.urn != machine.urn] if named else []
        sought = {one.urn for one in guests.among(stack, others, named)}
        for other in others:
            if other.urn not in sought:
                yield Finding(
                    files.source(path),
                    f"{machine.label} does not look for {other.label} in its cluster",
                    "Name every node in initial_hosts.",
                )


def _ports(hosts: str) -> str:
    return re.sub(r"\[\d+\]", "", hosts)


def _routes(machine: Resource, texts: dict[str, str]) -> set[str]:
    """The routes of a node."""
    found = {route for text in texts.values() for route in _ROUTE.findall(text)}
    if not found and any(_OWN_NAME.search(text) for text in texts.values()):
        return {name for name in guests.addresses_of(machine) if not re.fullmatch(r"[\d.]+|.*:.*", name)}
    return found


def _lost_users(tier: Tier, routes: dict[str, Resource], stack: Stack) -> Iterator[Finding]:
    """Balancers of this tier that send users to one node now and to another then."""
    urns = {urn for node in tier.machines for urn, _group in proxies.served_by(stack, node)}
    for machine in (stack.by_urn[urn] for urn in sorted(urns)):
        files = guests.files_of(stack, machine)
        for balancer in proxies.balancers(stack, machine):
            nodes = {member.host: _node(member.host, tier, files, stack) for member in balancer.members}
            if balancer.single or not any(nodes.values()):
                continue
            where = files.source(balancer.path)
            if not balancer.sticky:
                yield Finding(
                    where,
                    f"balancer {balancer.name} of {machine.label} keeps nobody on their server",
                    "Set stickysession (HAProxy: cookie; nginx: sticky or ip_hash).",
                )
            yield from (
                Finding(where, f"member {host} on {machine.label} has {what}")
                for host, what in _wrong_routes(balancer, nodes, routes)
            )


def _wrong_routes(
    balancer: Balancer, nodes: dict[str, Resource | None], routes: dict[str, Resource]
) -> Iterator[tuple[str, str]]:
    for member in balancer.members:
        node, owner = nodes[member.host], routes.get(member.route)
        if not member.route:
            yield member.host, "no route"
        elif balancer.by_route and owner is None:
            yield member.host, f"the route {member.route}, which no server has"
        elif balancer.by_route and owner and node and owner.urn != node.urn:
            yield member.host, f"the route {member.route}, which is {owner.label}'s"


def _node(host: str, tier: Tier, files: GuestFiles, stack: Stack) -> Resource | None:
    found = {machine.urn for machine in guests.machines_at(stack, guests.resolved(files, [host]))}
    return next((machine for machine in tier.machines if machine.urn in found), None)
