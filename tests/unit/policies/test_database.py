"""Rules about the database: Patroni's and clients' files."""

from typing import Any

import pytest
import yaml

from policies.judging.resource import UNKNOWN, Resource
from policies.judging.rule import Rule
from policies.rules import database
from tests.unit.policies.servers import command, problems, server, undecided, with_files

SOUND = """
scope: main
bootstrap: {dcs: {synchronous_mode: true}}
watchdog: {mode: automatic}
etcd3: {hosts: "db01:2379,db02:2379,wit01:2379"}
postgresql: {parameters: {synchronous_commit: "on"}}
"""
URL = "jdbc:postgresql://db01:5432,db02:5432/crm?targetServerType=primary&connectTimeout=2&socketTimeout=9"
CLUSTER = "ETCD_INITIAL_CLUSTER=db01=https://db01:2380,db02=https://db02:2380,wit01=https://wit01:2380"


def cluster(local: str = "", **names: str) -> list[Resource]:
    """Two database servers and a third vote; `local` is one more file of both."""
    found = []
    for name in ("db01", "db02"):
        files = {"/etc/patroni/10-main.yml": SOUND, "/etc/patroni/20-local.yml": names.get(name, local)}
        found += with_files(server(name), files | {"/etc/default/etcd": CLUSTER})
    return [*found, *with_files(server("wit01"), {"/etc/default/etcd": CLUSTER})]


def client(text: str, path: str = "/opt/wildfly/standalone.xml", name: str = "app01") -> list[Resource]:
    return with_files(server(name), {path: text})


RULES = (
    database.synchronous_standby,
    database.knows_every_database,
    database.fenced,
    database.gives_up,
    database.knows_every_vote,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_sound_database_passes(rule: Rule[Any]) -> None:
    assert problems(rule, *cluster(), *client(URL)) == []


@pytest.mark.parametrize("mode", ["on", "'true'", "quorum", "'1'"])
def test_words_for_synchronous(mode: str) -> None:
    assert problems(database.synchronous_standby, *cluster(f"bootstrap: {{dcs: {{synchronous_mode: {mode}}}}}")) == []


@pytest.mark.parametrize(
    ("local", "words"),
    [
        ("bootstrap: {dcs: {synchronous_mode: off}}", "replicates asynchronously"),
        # A member's own file comes before the cluster's.
        ("postgresql: {parameters: {synchronous_commit: off}}", "before the standby has the data"),
        ("postgresql: {parameters: {synchronous_commit: LOCAL}}", "before the standby has the data"),
        ("postgresql: {parameters: {fsync: 'off'}}", "not on its disk"),
        ("tags: {failover_priority: 0}", "no standby may take over"),
        ("tags: {nostream: true}", "no standby may take over"),
    ],
)
def test_standbys_that_lack_commits(local: str, words: str) -> None:
    assert any(words in one for one in problems(database.synchronous_standby, *cluster(local)))


def test_a_tag_that_says_no_bars_nobody() -> None:
    assert problems(database.synchronous_standby, *cluster("tags: {nosync: 'false', nofailover: false}")) == []


def test_members_of_different_clusters() -> None:
    found = problems(database.synchronous_standby, *cluster(db02="scope: other"))
    assert any("members of different clusters" in one for one in found)


@pytest.mark.parametrize("local", ["watchdog: 3", "tags: [x]", "postgresql: {parameters: [1]}", "postgresql:", ""])
def test_odd_files_break_no_rule(local: str) -> None:
    for rule in RULES:
        problems(rule, *cluster(local), *client(URL))


@pytest.mark.parametrize("text", ["scope: [hunter22", "- hunter22", yaml.safe_dump("hunter22")])
def test_an_unreadable_file_is_left_to_the_rule_about_those(text: str) -> None:
    assert undecided(database.synchronous_standby, *cluster(text))


def test_a_lease_that_ends_before_its_renewal() -> None:
    local = "bootstrap: {dcs: {ttl: 20, loop_wait: 10, retry_timeout: 10, synchronous_mode: true}}"
    assert any("lease" in one for one in problems(database.fenced, *cluster(local)))


@pytest.mark.parametrize(
    "text",
    [
        URL,
        URL.replace("&", "&amp;"),
        URL.replace("db01", "db01.example.com"),
        # properties beside the URL
        "url=jdbc:postgresql://db01,db02/crm\ntargetServerType=primary\nconnectTimeout=2\nsocketTimeout=9",
        "postgresql+psycopg2://u:p@db01,db02/crm?target_session_attrs=read-write&connect_timeout=2&tcp_user_timeout=9",
        "host=db01,db02 dbname=crm user=u target_session_attrs=primary connect_timeout=2 tcp_user_timeout=9000",
        "# jdbc:postgresql://db01/crm\n<!-- jdbc:postgresql://db01/crm -->",
        "jdbc:postgresql://192.0.2.200/crm?connectTimeout=2&socketTimeout=9",  # an address that follows the primary
        "jdbc:postgresql://${DB_HOST}/crm",
    ],
)
def test_connections_that_survive(text: str) -> None:
    for rule in (database.knows_every_database, database.gives_up):
        assert problems(rule, *cluster(), *client(text)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jdbc:postgresql://db01/crm", "names one database server, db01"),
        ("jdbc:postgresql://db01?user=u", "names one database server, db01"),
        (r"url=jdbc\:postgresql\://db01/crm", "names one database server, db01"),
        ("pgsql:host=db01;port=5432;dbname=crm", "names one database server, db01"),
        ("postgres://u:hunter22@db01/crm", "names one database server, db01"),
        (URL.replace("primary", "any"), "takes a standby for the primary"),
    ],
)
def test_connections_that_end_with_a_server(text: str, words: str) -> None:
    found = problems(database.knows_every_database, *cluster(), *client(text, "/etc/crm/settings", "crm01"))
    assert any(words in one for one in found), found
    assert "hunter22" not in str(found)


def test_two_databases_are_two_matters() -> None:
    other = [
        one
        for name in ("shop-pg1", "shop-pg2")
        for one in with_files(server(name), {"/etc/patroni/a.yml": "scope: shop"})
    ]
    assert problems(database.knows_every_database, *cluster(), *other, *client(URL)) == []


def test_who_watches_one_server_may_name_it() -> None:
    exporter = client("postgres://u:p@db01/x", "/etc/postgres_exporter/environment", "mon01")
    assert problems(database.knows_every_database, *cluster(), *exporter) == []


def test_a_vote_unknown() -> None:
    found = problems(database.knows_every_vote, *cluster("etcd3: {hosts: ['db01:2379']}"))
    assert any("does not know the votes" in one for one in found)
    assert problems(database.knows_every_vote, *cluster("etcd3: {hosts: '127.0.0.1:2379'}")) == []


def test_what_comes_late_is_decided_later() -> None:
    machine = server("app01")
    late = command("late", machine, create="x", stdin=UNKNOWN)
    assert undecided(database.knows_every_database, *cluster(), machine, late)
