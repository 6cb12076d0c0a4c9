"""Rules about application servers."""

import pytest

from policies.judging.resource import UNKNOWN, Resource
from policies.rules import application
from tests.unit.policies.servers import command, problems, server, undecided, with_files

WILDFLY = "urn:jboss:domain <replicated-cache name='sessions'/> <property name=\"initial_hosts\">{hosts}</property>"
MEMBERS = "BalancerMember http://app01 route={one}\nBalancerMember http://app02 route={two}"
HTTPD = "<Proxy balancer://site>\n{members}\nProxySet stickysession=JSESSIONID\n</Proxy>"


def wildfly(text: str = WILDFLY, path: str = "/opt/wildfly/standalone.xml", **changes: str) -> list[Resource]:
    hosts = {"hosts": "app01.example.com[7600],app02.example.com[7600]"} | changes
    return [
        one for name in ("app01", "app02") for one in with_files(server(name), {path: text.format(**hosts, name=name)})
    ]


def balancer(text: str, path: str = "/etc/httpd/conf.d/site.conf") -> list[Resource]:
    return with_files(server("lb01"), {path: text})


def httpd(one: str = "app01", two: str = "app02") -> list[Resource]:
    return balancer(HTTPD.format(members=MEMBERS.format(one=one, two=two)))


def test_wildfly_with_its_own_defaults_passes() -> None:
    """Its route is its host's name; a node need not look for itself; names may have domains."""
    assert problems(application.sessions_survive, *wildfly(), *httpd()) == []


def test_a_placeholder_says_nothing() -> None:
    assert problems(application.sessions_survive, *wildfly(hosts="${jboss.cluster.tcp.initial_hosts}")) == []


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        (("app02", "app01"), "which is app02's"),
        (("app01", "app3"), "which no server has"),
    ],
)
def test_wrong_routes(routes: tuple[str, str], words: str) -> None:
    assert any(words in one for one in problems(application.sessions_survive, *wildfly(), *httpd(*routes)))


def test_a_cookie_of_the_balancers_own_needs_no_route_of_the_nodes() -> None:
    header = 'Header add Set-Cookie "ROUTE=.%{BALANCER_WORKER_ROUTE}e; path=/" env=BALANCER_ROUTE_CHANGED\n'
    own = balancer(header + HTTPD.format(members=MEMBERS.format(one="1", two="2")))
    assert problems(application.sessions_survive, *wildfly(), *own) == []
    haproxy = (
        "backend s\n mode http\n cookie S insert\n server a app01 cookie x check\n server b app02 cookie y check\n"
    )
    assert problems(application.sessions_survive, *wildfly(), *balancer(haproxy, "/etc/haproxy/haproxy.cfg")) == []


def test_a_balancer_that_keeps_nobody() -> None:
    config = "upstream s { server app01; server app02; }"
    found = problems(application.sessions_survive, *wildfly(), *balancer(config, "/etc/nginx/nginx.conf"))
    assert found == ["balancer s of lb01 keeps nobody on their server"]


def test_tomcats_own_comment_is_no_cluster() -> None:
    stock = '<Server port="8005"><!--\n<Cluster className="SimpleTcpCluster"/>\n--><Engine jvmRoute="{name}"/></Server>'
    found = problems(application.sessions_survive, *wildfly(stock, "/opt/tomcat/conf/server.xml"))
    assert found == ["sessions of app01 are not replicated", "sessions of app02 are not replicated"]


def test_a_node_that_looks_for_itself_alone() -> None:
    found = problems(application.sessions_survive, *wildfly(hosts="app01[7600]"))
    assert found == ["app01 does not look for app02 in its cluster"]


def test_what_comes_late_is_decided_later() -> None:
    machine, files = with_files(server("app01"), {"/opt/wildfly/standalone.xml": "urn:jboss:domain"})
    assert undecided(application.sessions_survive, machine, files, command("late", machine, create="x", stdin=UNKNOWN))
