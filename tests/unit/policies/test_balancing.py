"""Rules about balancers: files as httpd, HAProxy, nginx and keepalived really have them."""

import pytest

from policies.judging.resource import UNKNOWN, Resource
from policies.rules import balancing
from tests.unit.policies.servers import command, problems, server, undecided, with_files

KEEPALIVED = """! Configuration File for keepalived
vrrp_script chk
{{
    script "/usr/bin/killall -0 haproxy"  # ask
    {script}
}}
vrrp_instance {name} {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    authentication {{
        auth_type PASS
        auth_pass {password}
    }}
    virtual_ipaddress {{
        192.0.2.100/24 dev eth0 label eth0:1
    }}
    track_script {{ {track} }}
    {more}
}}
"""
DEFAULTS = {
    "name": "VI_1", "state": "BACKUP", "password": "hunter22", "track": "chk", "more": "", "script": "interval 2",
}  # fmt: skip


def site(
    config: str,
    path: str = "/etc/haproxy/haproxy.cfg",
    first: dict[str, str] | None = None,
    second: dict[str, str] | None = None,
) -> list[Resource]:
    """Two balancers with this configuration, and two application servers."""
    found = [
        one
        for name in ("app01", "app02")
        for one in with_files(server(name, f"192.0.2.{name[-1]}"), {"/opt/wildfly/standalone.xml": "urn:jboss:domain"})
    ]
    for name, priority, changes in (("lb01", "150", first), ("lb02", "100", second)):
        text = KEEPALIVED.format_map(DEFAULTS | {"priority": priority} | (changes or {}))
        files = {path: config, "/etc/keepalived/keepalived.conf": text}
        found += with_files(server(name, f"192.0.2.1{name[-1]}"), files)
    return found


HAPROXY = """defaults
    mode http
    default-server check inter 2s
listen site
    bind *:80
    server a app01:8080
    server b 192.0.2.2:8080
"""


def test_two_sound_balancers_pass() -> None:
    for rule in (balancing.one_virtual_address, balancing.knows_every_node, balancing.watches_the_proxy):
        assert problems(rule, *site(HAPROXY)) == []


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"priority": "150"}, "same priority"),
        ({"password": "other"}, "authentication"),
        ({"more": "advert_int 2"}, "advert_int"),
        ({"name": "VI_2", "priority": "150"}, "same priority"),  # names are each machine's own matter
        ({"more": "unicast_peer {\n192.0.2.11\n}"}, "does not send to lb02"),
    ],
)
def test_disagreement(second: dict[str, str], words: str) -> None:
    found = problems(balancing.one_virtual_address, *site(HAPROXY, second=second))
    assert len(found) == 1
    assert words in found[0]
    assert "hunter22" not in found[0]


def test_two_masters_also_with_nopreempt() -> None:
    """The program ignores nopreempt where state is MASTER."""
    master = {"state": "MASTER", "more": "nopreempt"}
    found = problems(balancing.one_virtual_address, *site(HAPROXY, first=master, second=master))
    assert found == ["two servers start as MASTER of VRRP instance VI_1"]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"track": ""}, {}, "watches nothing"),
        ({"track": "missing"}, {}, "watches nothing"),
        ({"script": "weight -20"}, {}, "keeps the address"),  # 130 is still more than 100
        ({"script": "weight 2"}, {"script": "weight 2"}, "keeps the address"),
        ({"script": "weight -60"}, {"more": "nopreempt"}, "keeps the address"),
    ],
)
def test_watching_to_no_effect(first: dict[str, str], second: dict[str, str], words: str) -> None:
    found = problems(balancing.watches_the_proxy, *site(HAPROXY, first=first, second=second))
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(("initial", "watches"), [("init_file 0", True), ("", True), ("init_file 0 overwrite", False)])
def test_a_file_that_keepalived_itself_resets_is_a_switch_and_watches_nothing(initial: str, watches: bool) -> None:
    tracked = "track_file {\n state\n }\n}\ntrack_file state {\n file /run/state\n weight 0\n " + initial
    both = {"track": "", "more": tracked}
    found = problems(balancing.watches_the_proxy, *site(HAPROXY, first=both, second=both))
    assert [one for one in found if "watches nothing" in one] == ([] if watches else found)
    assert bool(found) is not watches


def test_a_weight_that_is_large_enough_passes() -> None:
    weight = {"script": "weight -60"}
    assert problems(balancing.watches_the_proxy, *site(HAPROXY, first=weight, second=weight)) == []


GROUP = "<Proxy balancer://site>\n{members}\n</Proxy>\nProxyPass / balancer://site/ stickysession=JSESSIONID"
CHECKED = GROUP.format(members="BalancerMember http://app01:80 hcmethod=GET\nBalancerMember http://app02 hcmethod=TCP")
BY_TEMPLATE = "ProxyHCTemplate ask hcmethod=GET\nDefine two app02.example.com\n" + GROUP.format(
    members='BalancerMember "http://app01" \\\n  hctemplate=ask\nBalancerMember http://${two} hctemplate=ask'
)
FROM_OUTSIDE = """
ProxyPass / balancer://site/
BalancerMember balancer://site http://app01 hcmethod=GET
BalancerMember balancer://site http://app02 hcmethod=GET
"""
NGINX = """
upstream site { server app01:8080; server app02:8080 max_fails=2; } # }
server { listen 80; location / { proxy_pass http://site; proxy_connect_timeout 2s; add_header X "a;{"; } }
"""


@pytest.mark.parametrize(
    ("path", "config"),
    [
        ("/etc/haproxy/haproxy.cfg", HAPROXY.replace("listen", "backend").replace("    bind *:80\n", "")),
        ("/etc/apache2/sites-enabled/site.conf", CHECKED),
        ("/etc/httpd/conf.d/site.conf", BY_TEMPLATE),
        ("/etc/httpd/conf.d/site.conf", FROM_OUTSIDE),
        ("/etc/nginx/conf.d/site.conf", NGINX),
    ],
)
def test_nodes_are_known_and_checked(path: str, config: str) -> None:
    assert problems(balancing.knows_every_node, *site(config, path)) == []


@pytest.mark.parametrize(
    ("path", "config", "words"),
    [
        (
            "/etc/haproxy/haproxy.cfg",
            HAPROXY.replace("192.0.2.2:8080", "192.0.2.2:8080 no-check"),
            "does not check 192.0.2.2",
        ),
        (
            "/etc/haproxy/haproxy.cfg",
            HAPROXY.replace("192.0.2.2:8080", "192.0.2.2:8080 disabled"),
            "does not know app02",
        ),
        ("/etc/haproxy/haproxy.cfg", HAPROXY.replace("    server b", "    # server b"), "does not know app02"),
        (
            "/etc/httpd/conf.d/site.conf",
            CHECKED.replace("hcmethod=TCP", "hcmethod=TCP status=+D"),
            "does not know app02",
        ),
        ("/etc/httpd/conf.d/site.conf", 'ProxyPass "/" "http://app01:8080/"', "does not know app02"),
        ("/etc/nginx/nginx.conf", "upstream s { server app01; server app02; }", "does not check app01"),
        ("/etc/nginx/nginx.conf", "server { location / { proxy_pass http://app01:80; } }", "does not know app02"),
    ],
)
def test_nodes_unknown_or_unchecked(path: str, config: str, words: str) -> None:
    found = problems(balancing.knows_every_node, *site(config, path))
    assert any(words in one for one in found), found


def test_a_group_for_a_database_needs_no_application_server() -> None:
    patroni = [
        one
        for name in ("db01", "db02")
        for one in with_files(server(name), {"/etc/patroni/patroni.yml": "scope: main\n"})
    ]
    database = "listen db\n bind :5432\n mode tcp\n server a db01:5432 check port 8008\n server b db02:5432 check\n"
    assert problems(balancing.knows_every_node, *site(HAPROXY + database), *patroni) == []


def test_a_password_in_a_members_url_stays_out_of_messages() -> None:
    for url in ("http://user:hunter22@app01:80", "http//user:hunter22@app01", "http://user:hunter22@[app01"):
        config = GROUP.format(members=f"BalancerMember {url}\nBalancerMember http://app02")
        assert "hunter22" not in str(problems(balancing.knows_every_node, *site(config, "/etc/httpd/conf.d/a.conf")))


def test_a_balancer_without_an_address() -> None:
    balancer = with_files(server("lb01"), {"/etc/haproxy/haproxy.cfg": HAPROXY})
    assert problems(balancing.one_virtual_address, *balancer) == ["balancer lb01 takes no part in a virtual address"]
    late = command("late", balancer[0], create="true", stdin=UNKNOWN)
    assert undecided(balancing.one_virtual_address, *balancer, late)


def test_an_address_of_one_balancer_alone() -> None:
    more = "}\nvrrp_instance VI_9 {\nstate BACKUP\nvirtual_router_id 9\nvirtual_ipaddress {\n192.0.2.109\n}\n"
    found = problems(balancing.one_virtual_address, *site(HAPROXY, first={"more": more}))
    assert found == ["lb01 alone takes part in VRRP instance VI_9"]
