"""Rules about application servers."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from policies.judging.rule import Context, Finding, Severity, rule
from policies.reading import guests, httpd, tiers
from policies.reading.tiers import Kind, Tier

if TYPE_CHECKING:
    from policies.judging.resource import Resource

_REPLICATED = re.compile(
    r"replicated-cache|distributed-cache|<Cluster\b|session-persistence|spring\.session", re.IGNORECASE
)
_INITIAL_HOSTS = re.compile(r"initial_hosts['\"]?\s*[:=>]+\s*['\"]?([^'\"\n<]+)")
_ROUTE = re.compile(r"(?:instance-id['\"]?\s*[:=]|jvmRoute=|jboss\.node\.name=)\s*['\"]?([\w.-]+)")


def _applications(context: Context) -> list[Tier]:
    return tiers.of_kind(context, Kind.APPLICATION)


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
    subjects=_applications,
    drill="lose-application",
)
def sessions_survive(tier: Tier, context: Context) -> Iterator[Finding]:
    """Sessions in one memory, a member missing, or a route that nobody has."""
    stack = context.stack
    routes: dict[str, Resource] = {}
    for machine in tier.machines:
        files = guests.files_of(stack, machine)
        if not files.containing(_REPLICATED):
            yield Finding(machine, f"sessions of {machine.label} are not replicated")
        for path, text in files.containing(_INITIAL_HOSTS):
            named = set(re.split(r"[\s,]+", re.sub(r"\[\d+\]", "", _INITIAL_HOSTS.findall(text)[0])))
            for other in tier.machines:
                if not guests.is_among(other, named):
                    yield Finding(
                        files.source(path),
                        f"{machine.label} does not look for {other.label} in its cluster",
                        "Name every node in initial_hosts.",
                    )
        found = {route for _path, text in files.containing(_ROUTE) for route in _ROUTE.findall(text)}
        if not found:
            yield Finding(
                machine, f"{machine.label} has no route of its own", "Set undertow's instance-id (Tomcat: jvmRoute)."
            )
        for route in found:
            if routes.setdefault(route, machine) is not machine:
                yield Finding(machine, f"{machine.label} and {routes[route].label} have the same route")
    yield from _unknown_routes(set(routes), context)


def _unknown_routes(routes: set[str], context: Context) -> Iterator[Finding]:
    for tier in tiers.of_kind(context, Kind.BALANCER):
        for machine in tier.machines:
            files = guests.files_of(context.stack, machine)
            for balancer in httpd.balancers(files):
                where = files.source(balancer.path)
                if not balancer.sticky:
                    yield Finding(
                        where,
                        f"balancer {balancer.name} of {machine.label} keeps nobody on their server",
                        "Set stickysession.",
                    )
                for member in balancer.members:
                    if member.route not in routes:
                        what = f"the route {member.route}, which no server has" if member.route else "no route"
                        yield Finding(where, f"member {member.host} on {machine.label} has {what}")
