"""Which servers belong together."""

from policies.judging.configuration import Configuration
from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Context
from policies.judging.stack import Stack
from policies.reading import tiers
from policies.reading.tiers import Kind
from policies.rules import balancing, placement
from tests.unit.policies.servers import command, server, undecided, with_files


def found(*resources: Resource, **patterns: list[str]) -> set[tuple[str, str]]:
    """Kind and members of every tier."""
    context = Context(Stack(resources), Configuration().thresholds, patterns)
    return {(tier.kind.value, " ".join(sorted(one.name for one in tier.machines))) for tier in tiers.tiers(context)}


def application(name: str, hosts: str = "") -> list[Resource]:
    return with_files(server(name), {"/opt/wildfly/standalone.xml": f"urn:jboss:domain jgroups initial_hosts={hosts}"})


def test_names() -> None:
    names = ["web01", "web02", "db1-paris", "db2-paris", "node-a", "node-b", "mail"]
    expected = {("other", pair) for pair in ("web01 web02", "db1-paris db2-paris", "node-a node-b", "mail")}
    assert found(*(server(name) for name in names)) == expected


def test_configuration_comes_first() -> None:
    assert ("other", "alpha beta") in found(server("alpha"), server("beta"), tier=["alpha", "b*"])


def test_two_applications_are_two_tiers() -> None:
    crm, shop = [*application("crm01"), *application("crm02")], [*application("shop01"), *application("shop02")]
    assert found(*crm, *shop) == {("application", "crm01 crm02"), ("application", "shop01 shop02")}


def test_servers_of_one_cluster_or_balancer_are_one_tier_whatever_their_names() -> None:
    clustered = [*application("alpha", "alpha[7600],beta[7600]"), *application("beta", "alpha[7600],beta[7600]")]
    assert found(*clustered) == {("application", "alpha beta")}
    haproxy = "backend site\n server a alpha:8080 check\n server b beta:8080 check\n"
    balancer = with_files(server("lb01"), {"/etc/haproxy/haproxy.cfg": haproxy})
    alone = [*application("alpha"), *application("beta")]
    assert found(*alone, *balancer) == {("application", "alpha beta"), ("balancer", "lb01")}


def test_a_quorum_is_one_tier() -> None:
    text = "ETCD_INITIAL_CLUSTER=db01=https://192.0.2.1:2380,wit01=https://192.0.2.2:2380"
    members = [one for name in ("db01", "wit01") for one in with_files(server(name), {"/etc/default/etcd": text})]
    assert found(*members) == {("quorum", "db01 wit01")}


def test_tomcat_without_a_cluster_is_an_application_server() -> None:
    xml = {"/opt/tomcat/conf/server.xml": '<Server port="8005" shutdown="SHUTDOWN">'}
    assert found(*with_files(server("app01"), xml)) == {("application", "app01")}


def test_whoever_is_behind_a_balancer_is_none() -> None:
    """A web server that spreads its own requests needs no virtual address: the balancer before it has one."""
    inner = with_files(server("web01"), {"/etc/nginx/nginx.conf": "upstream api { server api01; server api02; }"})
    outer = with_files(server("lb01"), {"/etc/haproxy/haproxy.cfg": "backend web\n server a web01:80 check\n"})
    assert (Kind.BALANCER.value, "lb01") in found(*inner, *outer)
    assert (Kind.BALANCER.value, "lb01 web01") not in found(*inner, *outer)
    assert (Kind.BALANCER.value, "web01") not in found(*inner, *outer)


def test_a_proxy_for_its_own_machine_is_no_balancer() -> None:
    proxy = with_files(server("app01"), {"/etc/nginx/nginx.conf": "server { proxy_pass http://127.0.0.1:8080; }"})
    assert found(*proxy) == {("other", "app01")}


def test_what_is_not_known_yet_may_be_of_any_tier() -> None:
    machine = server("wit01")
    late = command("late", machine, create="true", stdin=UNKNOWN)
    assert undecided(balancing.one_virtual_address, machine, late)
    assert undecided(placement.two_servers, machine, late)
