"""Rules about secrets, identities and TLS."""

from typing import Any

import pytest

from policies.judging.configuration import Configuration
from policies.judging.judgement import judge
from policies.judging.resource import UNKNOWN
from policies.judging.stack import Stack
from policies.reading import secrets
from policies.rules import RULES, security
from tests.unit.policies.servers import command, encoded, problems, server, undecided, with_files
from tests.unit.policies.stacks import TODAY, made, vsphere

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter22\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "export PGPASSWORD=hunter22",
        "password: hunter22",
        '{"db_password": "hunter22"}',
        "users: [{name: root, plain_text_passwd: hunter22}]",
        "chpasswd:\n  list: |\n    root:hunter22\n",
        "echo 'root:hunter22' | sudo chpasswd",
        "psql postgresql://admin:hunter22@db01/x",
        "ALTER ROLE crm PASSWORD 'hunter22'",
        "mysqladmin --password hunter22 status",
        "sshpass -p hunter22 ssh root@host",
        "curl -u admin:hunter22 https://host",
        "curl -H 'Authorization: Bearer abcdefghij' https://host",
        "api_key=hunter22",
    ],
)
def test_secrets_are_seen(text: str) -> None:
    assert secrets.in_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "password=$1",
        'password="$PASSWORD"',
        "password=$(cat /etc/crm/password)",
        "password=`cat x`",
        "PGPASSFILE=/etc/pgpass",
        "password_encryption: scram-sha-256",
        "password: {{ secret }}",
        "--password-file=/run/secrets/x",
        "password=/run/secrets/x",
        "ssh_pwauth: false\npassword: false",
        "passwd:         files systemd",
        "passwd:         compat systemd",
        "ETCD_INITIAL_CLUSTER_TOKEN=perenne",
        "passwd: $6$rounds=4096$salt$hash",
        "-----BEGIN CERTIFICATE-----",
        "fail 'the password: it is wrong, try again'",
        "postgresql://$USER:$PASSWORD@db01/x",
        "https://host:8443/path@x",
        "grep -q 'password=' /etc/a",
    ],
)
def test_what_is_none_is_left_alone(text: str) -> None:
    assert not secrets.in_text(text)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("db_password", "open-sesame", True),
        ("settings", {"nested": [{"token": "open-sesame"}]}, True),
        ("settings", '{"password": "open-sesame"}', True),
        ("key", "q8Zt3LmV0xWc7YbN2rTfKp9sDh4J", True),
        ("id", "4231f6a4-7d0e-4a7b-9c55-2c3a2d5e9b10", False),
        ("digest", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", False),
        ("servers", {"app01": "192.0.2.1"}, False),
        ("site", "https://www.example.com", False),
        ("number", 3.0, False),
        ("nothing", None, False),
    ],
)
def test_named_values(name: str, value: object, secret: bool) -> None:
    assert secrets.in_value(name, value) is secret


@pytest.mark.parametrize(
    "settings",
    [
        {
            "guestinfo.userdata": encoded(f"#cloud-config\nssh_keys: |\n  {KEY}"),
            "guestinfo.userdata.encoding": "base64",
        },
        {"guestinfo.userdata": f"#cloud-config\nwrite_files: [{{path: /a, encoding: b64, content: {encoded(KEY)}}}]"},
        {"guestinfo.metadata": encoded("password: hunter22"), "guestinfo.metadata.encoding": "base64"},
        {"guestinfo.ignition.config.data": encoded(KEY)},
        {"app.password": "hunter22"},
        # said, but not of this document
        {
            "guestinfo.userdata": "#cloud-config\npassword: hunter22",
            "guestinfo.metadata": "cleanup-guestinfo: [vendordata]",
        },
        {"guestinfo.userdata": "#cloud-config\npassword: hunter22", "guestinfo.metadata": "# cleanup-guestinfo"},
    ],
)
def test_settings_that_anybody_may_read(settings: dict[str, str]) -> None:
    found = problems(security.nothing_in_clear, server("web01", extraConfig=settings))
    assert len(found) == 1
    assert "hunter22" not in found[0]


def test_settings_that_the_guest_clears_pass() -> None:
    settings = {
        "guestinfo.userdata": "#cloud-config\npassword: hunter22",
        "guestinfo.metadata": "cleanup-guestinfo: [userdata]",
    }
    assert problems(security.nothing_in_clear, server("web01", extraConfig=settings)) == []


def test_other_places_on_a_machine() -> None:
    noted = vsphere("VirtualMachine", "a", annotation="root password: hunter22")
    vapp = vsphere("VirtualMachine", "b", vapp={"properties": {"password": "hunter22"}})
    assert len(problems(security.nothing_in_clear, noted, vapp)) == 2


@pytest.mark.parametrize("key", ["create", "environment"])
def test_commands_not_known_yet(key: str) -> None:
    assert undecided(security.nothing_in_clear, command("one", None, **{key: UNKNOWN}))
    assert undecided(security.nothing_in_clear, server("a", extraConfig={"x": UNKNOWN}))


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"connection": {"host": "a"}}, "host key"),
        ({"connection": {"host": "a", "hostKey": "k", "proxy": {"host": "jump"}}}, "jump host"),
        ({"create": "ssh -o StrictHostKeyChecking=no host"}, "believes whoever answers"),
        ({"create": "curl -skL https://host | sh"}, "believes whoever answers"),
    ],
)
def test_whoever_answers_is_believed(properties: dict[str, Any], words: str) -> None:
    found = problems(security.verified, command("one", **properties))
    assert len(found) == 1
    assert words in found[0]


def test_a_key_that_comes_late() -> None:
    assert undecided(security.verified, command("one", connection={"host": "a", "hostKey": UNKNOWN}))
    assert problems(security.verified, command("one", create="curl --fail -o /x https://host")) == []


REDIRECT = "<VirtualHost *:80>\nDocumentRoot /var/www\nRedirect permanent / https://www.example.com/\n</VirtualHost>"
HAPROXY = "frontend in\n mode http\n bind :80\n {more}\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/apache2/a.conf", REDIRECT),
        ("/etc/apache2/a.conf", "<VirtualHost 127.0.0.1:8080>\nProxyPass / http://127.0.0.1:9/\n</VirtualHost>"),
        (
            "/etc/apache2/a.conf",
            "<VirtualHost *:80>\nRewriteEngine on\nRewriteRule ^(.*)$ https://%{HTTP_HOST}$1 [R]\n</VirtualHost>",
        ),
        ("/etc/haproxy/haproxy.cfg", HAPROXY.format(more="redirect scheme https if !{ ssl_fc }")),
        ("/etc/haproxy/haproxy.cfg", "frontend db\n bind :5432\n"),
        ("/etc/nginx/nginx.conf", "server { listen 80; return 301 https://$host$request_uri; }"),
        ("/etc/nginx/nginx.conf", "server { listen 443 ssl; root /srv; } stream { server { listen 5432; } }"),
        ("/etc/default/etcd", 'ETCD_LISTEN_CLIENT_URLS="https://192.0.2.1:2379,http://127.0.0.1:2379"'),
        (
            "/etc/patroni.yml",
            "restapi: {listen: localhost}\npostgresql: {parameters: {ssl: on}, pg_hba: [host all all all reject]}",
        ),
    ],
)
def test_listeners_that_pass(path: str, text: str) -> None:
    assert problems(security.tls_everywhere, *with_files(server("web01"), {path: text})) == []


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (
            "/etc/apache2/a.conf",
            "<VirtualHost *:80>\nRewriteRule ^/a /b\nDocumentRoot /x\n</VirtualHost>",
            "serves *:80",
        ),
        ("/etc/apache2/a.conf", "Listen 8080\n<VirtualHost *:443>\nSSLEngine on\n</VirtualHost>", "serves 8080"),
        ("/etc/haproxy/haproxy.cfg", HAPROXY.format(more="default_backend x"), "serves :80"),
        ("/etc/nginx/nginx.conf", "server { listen 8080; root /srv; }", "serves 8080"),
        ("/etc/nginx/nginx.conf", "server { location / { proxy_pass http://app01; } listen 443 ssl; }", "on to app01"),
        ("/etc/default/etcd", 'ETCD_LISTEN_CLIENT_URLS="http://192.0.2.1:2379"', "etcd"),
        ("/etc/etcd/etcd.conf.yml", "listen-peer-urls: https://a:1, http://b:2", "etcd"),
        ("/etc/patroni.yml", "restapi: {certfile: x}\npostgresql: {parameters: {ssl: off}}", "doesn't speak TLS"),
    ],
)
def test_listeners_in_clear(path: str, text: str, words: str) -> None:
    found = problems(security.tls_everywhere, *with_files(server("web01"), {path: text}))
    assert len(found) == 1
    assert words in found[0]


def test_protection_of_what_may_be_a_database() -> None:
    machine = server("db01")
    assert undecided(security.protected, machine, command("late", machine, create="x", stdin=UNKNOWN))
    assert problems(security.protected, *with_files(machine, {"/etc/patroni.yml": "scope: a"})) == [
        "db01 is not protected from deletion"
    ]


def test_no_rule_says_or_raises_what_a_file_holds() -> None:
    """Broken files of every kind, full of a password: it is in no message, and no rule fails."""
    junk = f"hunter22 {{ [ ' \" <Proxy balancer://hunter22: vrrp_instance hunter22 {{\nscope: hunter22: [\n{KEY}\n"
    paths = (
        "/etc/patroni.yml",
        "/etc/nginx/nginx.conf",
        "/etc/httpd/a.conf",
        "/etc/haproxy.cfg",
        "/etc/keepalived.conf",
    )
    settings = {"guestinfo.userdata": f"#cloud-config\n{junk}", "guestinfo.metadata": junk}
    stack = Stack(with_files(server("a", extraConfig=settings), dict.fromkeys(paths, junk)))
    for rule in RULES:
        judgement = judge(stack, [rule], Configuration(), "prod", TODAY)
        assert judgement.failed == []
        said = [str(one) for one in (*judgement.violations, *judgement.undecided)]
        assert "hunter22" not in str(said), rule.id


def test_outputs() -> None:
    root = made("pulumi:pulumi:Stack", "site", {"url": "https://a", "db_password": "hunter22"}, {})
    assert problems(security.nothing_in_clear, root) == ["output db_password holds a key or a password"]
