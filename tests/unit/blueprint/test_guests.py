"""What servers get: complete, secret where it must be, and in agreement across servers."""

import ast
import json
import re
import subprocess
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint import cloud_init, guests, loading
from blueprint.guest_files import SecretFile
from blueprint.guests import GuestRole
from blueprint.hosts_file import hosts_file
from blueprint.keys import public_key
from blueprint.secrets import Kind, secrets_of
from blueprint.settings import Settings
from blueprint.terms import Role
from mutation.program import throw_away

PROJECT = Path(__file__).parents[3]

ROLES_OF = {
    Role.BALANCER: (GuestRole.BALANCER,),
    Role.APPLICATION: (GuestRole.APPLICATION,),
    Role.DATABASE: (GuestRole.QUORUM, GuestRole.DATABASE, GuestRole.FENCING),
    Role.WITNESS: (GuestRole.QUORUM,),
    Role.BACKUP: (GuestRole.BACKUP,),
}


def settings_with(**changes: object) -> Settings:
    """Dev's settings with top-level keys replaced or, where the value is a mapping, extended."""
    config = loading.config_of(PROJECT / "Pulumi.dev.yaml")
    for key, value in changes.items():
        old = config.get(f"perenne:{key}")
        config[f"perenne:{key}"] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return loading.settings_from_config(config, "test")


def sized(*names: str, **size: int) -> Settings:
    """Dev's settings with servers of another size, on hosts that have room for them."""
    config = loading.config_of(PROJECT / "Pulumi.dev.yaml")
    hosts = {name: host | {"cpus": 64} for name, host in config["perenne:hosts"].items()}
    return settings_with(servers={name: config["perenne:servers"][name] | size for name in names}, hosts=hosts)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Dev."""
    return settings_with()


@pytest.fixture(scope="module")
def values(settings: Settings) -> dict[str, str]:
    """A value for every secret, recognisable by the secret's name."""
    pem = "-----BEGIN PRIVATE KEY-----\nkey of {0}\n-----END PRIVATE KEY-----\n"
    pem += "-----BEGIN CERTIFICATE-----\ncertificate of {0}\n-----END CERTIFICATE-----\n"
    bundles = {Kind.CERTIFICATE, Kind.CERTIFICATE_AUTHORITY}
    made = {
        secret.name: (pem if secret.kind in bundles else "value of {0}").format(secret.name)
        for secret in secrets_of(settings)
    }
    return made | {"ssh-key": throw_away(Kind.SSH_KEY, "ssh-key")}


def checksums(settings: Settings) -> dict[str, str]:
    """A checksum for every service."""
    return dict.fromkeys(settings.services, "5" * 64)


def installed(settings: Settings, values: dict[str, str], name: str, role: GuestRole) -> dict[str, dict[str, Any]]:
    """The bundle that the server's script reads, parsed."""
    plain = guests.files(settings, name, role, checksums(settings))
    bundle = guests.bundle(plain, guests.secret_files(settings, name, role), values)
    parsed: dict[str, dict[str, Any]] = json.loads(bundle)
    return parsed


def everything(settings: Settings, values: dict[str, str]) -> dict[tuple[str, GuestRole], dict[str, dict[str, Any]]]:
    """Every bundle of the site."""
    return {
        (name, role): installed(settings, values, name, role)
        for name, server in settings.servers.items()
        for role in ROLES_OF[server.role]
    }


def test_scripts_are_sound_shell() -> None:
    for role in GuestRole:
        subprocess.run(["bash", "-n"], input=guests.script(role), text=True, check=True)


def test_scripts_are_shorter_than_an_argument_may_be() -> None:
    """A script goes to the server as one argument of its shell (Linux: MAX_ARG_STRLEN)."""
    assert all(len(guests.script(role).encode()) < 128 * 1024 for role in GuestRole)


def test_every_secret_that_a_server_needs_is_one_of_the_stack(settings: Settings) -> None:
    known = {secret.name for secret in secrets_of(settings)}
    for name, server in settings.servers.items():
        for role in ROLES_OF[server.role]:
            assert guests.secret_names(guests.secret_files(settings, name, role), known) <= known


def test_the_authority_key_stays_at_home(settings: Settings, values: dict[str, str]) -> None:
    for bundle in everything(settings, values).values():
        assert "key of tls-authority" not in json.dumps(bundle)


def test_every_server_trusts_the_authority(settings: Settings, values: dict[str, str]) -> None:
    for name, server in settings.servers.items():
        found = [installed(settings, values, name, role) for role in ROLES_OF[server.role]]
        authority = [bundle["/etc/perenne/tls/ca.pem"] for bundle in found if "/etc/perenne/tls/ca.pem" in bundle]
        assert [file["content"].splitlines()[1] for file in authority] == ["certificate of tls-authority"]


@pytest.mark.parametrize(
    ("whose", "trusted"), [("own", ["tls-authority"]), ("given", ["tls-authority", "tls-site-authorities"])]
)
def test_who_asks_for_the_site_verifies_it_by_the_authorities_behind_its_certificate(
    values: dict[str, str], whose: str, trusted: list[str]
) -> None:
    settings = settings_with(site={"certificate": whose})
    known = values | {name: f"-----BEGIN CERTIFICATE-----\ncertificate of {name}\n" for name in trusted[1:]}
    path = "/etc/perenne/tls/site-ca.pem"
    found = {name for (name, _), bundle in everything(settings, known).items() if path in bundle}
    assert found == {*settings.servers_of(Role.BALANCER), *settings.servers_of(Role.APPLICATION)}
    for name in found:
        (role,) = ROLES_OF[settings.servers[name].role]
        bundle = installed(settings, known, name, role)
        assert re.findall(r"certificate of (\S+)", bundle[path]["content"]) == trusted
        assert re.findall(r"certificate of (\S+)", bundle["/etc/perenne/tls/ca.pem"]["content"]) == ["tls-authority"]
        assert bundle[path]["mode"] == 0o644


def test_nobody_asks_for_the_site_by_an_address_that_a_given_certificate_does_not_name(settings: Settings) -> None:
    env = guests.files(settings, "lb01", GuestRole.BALANCER, {})["/etc/perenne/balancer.env"].content
    assert f"site_name={settings.site.name}\n" in env
    folder = PROJECT / "components" / "guest"
    files = [*(folder / "balancer").iterdir(), folder / "application" / "watch_split.py"]
    for file in filter(Path.is_file, files):  # Python leaves a folder of what it has compiled
        text = file.read_text()
        # httpd verifies application servers, not the site.
        assert file.name == "apache2.conf.j2" or "/tls/ca.pem" not in text, file
        asked = set(re.findall(r"https://([^/\s]+)/perenne", text))
        assert asked <= {"$site_name", "{self.name}", "%{SERVER_NAME}%{REQUEST_URI}"}, file


def test_a_server_gets_no_other_server_s_key(settings: Settings, values: dict[str, str]) -> None:
    for (name, _), bundle in everything(settings, values).items():
        keys = set(re.findall(r"key of (tls-\w+)", json.dumps(bundle)))
        assert keys <= {f"tls-{name}", "tls-site"}
        assert settings.servers[name].role is Role.BALANCER or "tls-site" not in keys


def test_secrets_are_only_in_files_that_others_can_t_read(settings: Settings, values: dict[str, str]) -> None:
    for bundle in everything(settings, values).values():
        for path, file in bundle.items():
            holds_secret = "value of" in file["content"] or "key of" in file["content"]
            assert not (holds_secret and file["mode"] & 0o077), path


def test_no_file_of_one_role_is_also_of_another(settings: Settings, values: dict[str, str]) -> None:
    """Each role removes what it no longer lists: a file of two roles would come and go."""
    for name in settings.servers_of(Role.DATABASE):
        quorum = installed(settings, values, name, GuestRole.QUORUM)
        database = installed(settings, values, name, GuestRole.DATABASE)
        assert not quorum.keys() & database.keys()


@pytest.mark.parametrize("role", [Role.DATABASE, Role.WITNESS])
def test_a_server_knows_how_it_is_drained(settings: Settings, values: dict[str, str], role: Role) -> None:
    for name in settings.servers_of(role):
        found = {path: file for one in ROLES_OF[role] for path, file in installed(settings, values, name, one).items()}
        for path in ("/usr/local/lib/perenne/drain", "/usr/local/lib/perenne/undrain"):
            assert found[path]["mode"] == 0o755
        assert found["/usr/local/lib/perenne/yield-quorum"]["mode"] == 0o755
        assert "/usr/local/lib/perenne/yield-quorum" in found["/usr/local/lib/perenne/drain"]["content"]


def test_every_server_of_every_role_can_be_drained() -> None:
    for stack in ("dev", "prod"):
        settings = loading.settings_from_file(PROJECT / f"Pulumi.{stack}.yaml")
        for name, server in settings.servers.items():
            roles = (GuestRole.BACKUP,) if server.role is Role.BACKUP else ROLES_OF[server.role]
            paths = [path for role in roles for path in guests.files(settings, name, role, checksums(settings))]
            assert paths.count("/usr/local/lib/perenne/drain") == 1, name
            assert paths.count("/usr/local/lib/perenne/undrain") == 1, name


def test_secret_files_are_made_from_what_they_name(settings: Settings, values: dict[str, str]) -> None:
    for name, server in settings.servers.items():
        for role in ROLES_OF[server.role]:
            for path, file in guests.secret_files(settings, name, role).items():
                assert_needs_all(path, file, values)


def assert_needs_all(path: str, file: SecretFile, values: dict[str, str]) -> None:
    """Render with the named secrets only, and not without any of them."""
    named = {name: values[name] for name in file.secrets}
    content = file.render(named)
    for name in file.secrets:
        shown = public_key(values[name]) if name == "ssh-key" else name
        assert shown in content, path


def test_hosts_file_names_everything_once(settings: Settings) -> None:
    lines = [line.split() for line in hosts_file(settings).splitlines()]
    addresses = [line[0] for line in lines]
    names = [name for line in lines[2:] for name in line[1:]]
    assert len(set(addresses)) == len(addresses)
    assert len(set(names)) == len(names)
    expected = {str(machine.address) for machine in (settings.hosts | settings.servers).values()}
    virtual = {str(settings.site.address), str(settings.database.address), settings.vcenter.server}
    assert set(addresses[2:]) == expected | virtual
    assert settings.site.name in names


def test_hosts_file_leaves_out_a_vcenter_that_is_a_name(settings: Settings) -> None:
    named = settings_with(vcenter={"server": "vcenter.example.org"}, fencing={"user": ""})
    assert "vcenter" not in hosts_file(named)
    assert len(hosts_file(named).splitlines()) == len(hosts_file(settings).splitlines()) - 1


def test_hosts_file_has_a_named_vcenter_whose_address_is_given() -> None:
    """Fencing agents verify its certificate, which knows a name and mostly no address."""
    named = settings_with(vcenter={"server": "vcenter.example.org:8443", "address": "198.18.10.10"})
    assert "198.18.10.10\tvcenter.example.org vcenter\n" in hosts_file(named)


def test_hosts_file_takes_a_vcenter_with_a_port() -> None:
    assert "198.18.10.10\tvcenter.vmlabs.int vcenter\n" in hosts_file(
        settings_with(vcenter={"server": "198.18.10.10:8443"})
    )


def test_every_server_has_the_same_hosts_file(settings: Settings, values: dict[str, str]) -> None:
    found = {
        bundle["/etc/hosts"]["content"] for bundle in everything(settings, values).values() if "/etc/hosts" in bundle
    }
    assert found == {hosts_file(settings)}


def test_balancers_send_to_every_application_server_by_its_route(settings: Settings) -> None:
    members = rf"BalancerMember https://(\w+)\.{re.escape(settings.domain)}:8443 route=(\w+) .*hcuri=(\S+)"
    for name in settings.servers_of(Role.BALANCER):
        conf = guests.files(settings, name, GuestRole.BALANCER, {})["/etc/apache2/apache2.conf"].content
        found = re.findall(members, conf)
        path = settings.services["pnp-manager"].health_path
        assert found == [(node, node, path) for node in settings.servers_of(Role.APPLICATION)]


def test_routes_are_the_node_names_of_the_application_servers(settings: Settings) -> None:
    for name in settings.servers_of(Role.APPLICATION):
        files = guests.files(settings, name, GuestRole.APPLICATION, checksums(settings))
        assert wildfly(settings, name)["subsystem"]["undertow"]["instance-id"] == name
        assert f"-Djboss.node.name={name} " in files["/etc/systemd/system/wildfly.service"].content


def test_health_check_follows_the_stack_file() -> None:
    changed = settings_with(health_check={"interval_seconds": 1.5, "failures": 3, "passes": 2})
    conf = guests.files(changed, "lb01", GuestRole.BALANCER, {})["/etc/apache2/apache2.conf"].content
    assert conf.count("hcinterval=1500ms hcfails=3 hcpasses=2") == 2


@pytest.mark.parametrize("memory_mib", [512, 1024, 2048])
def test_httpd_s_threads_fit_into_the_memory_of_their_server(memory_mib: int) -> None:
    """Up to 0.2 MiB each (measured: 2048 of them, 408 MiB); the kernel ends processes where there is less."""
    conf = guests.files(sized("lb01", memory_mib=memory_mib), "lb01", GuestRole.BALANCER, {})[
        "/etc/apache2/apache2.conf"
    ].content
    directives = dict(re.findall(r"^(\w+) (\d+)$", conf, re.MULTILINE))
    workers = int(directives["MaxRequestWorkers"])
    assert workers == int(directives["StartServers"]) * int(directives["ThreadsPerChild"])
    assert int(directives["ServerLimit"]) > int(directives["StartServers"]), "room for those that end at a reload"
    assert 0.35 * memory_mib < 0.2 * workers < 0.5 * memory_mib
    assert directives["MaxSpareThreads"] == directives["MaxRequestWorkers"]


@pytest.mark.parametrize("services", [1, 2])
def test_requests_leave_threads_of_httpd_to_refusals_and_checks(services: int) -> None:
    """A request that is carried takes two threads of its process, one on each hop."""
    one = {
        "context_path": "/pnp-manager",
        "health_path": "/pnp-manager/health/live",
        "artifact": "apps/pnp-manager/target/pnp-manager.war",
        "database": True,
    }
    second = {"second": {**one, "context_path": "/second", "health_path": "/second/health/live"}}
    changed = settings_with(services=second if services == 2 else {})
    conf = guests.files(changed, "lb01", GuestRole.BALANCER, {})["/etc/apache2/apache2.conf"].content
    carried = [int(one) for one in re.findall(r" max=(\d+) acquire=100 ", conf)]
    assert len(carried) == services
    assert 0.5 < 2 * sum(carried) / int(re.findall(r"^ThreadsPerChild (\d+)$", conf, re.MULTILINE)[0]) < 0.65
    for service in changed.services.values():
        checks, users = (conf.index(f"ProxyPass {path} http:") for path in (service.health_path, service.context_path))
        assert checks < users, "httpd takes the first that fits"


def test_virtual_addresses_are_kept_by_pairs_that_know_each_other(settings: Settings) -> None:
    for role, guest_role, address in (
        (Role.BALANCER, GuestRole.BALANCER, settings.site.address),
        (Role.DATABASE, GuestRole.DATABASE, settings.database.address),
    ):
        tier = settings.servers_of(role)
        found = {
            name: guests.files(settings, name, guest_role, {})["/etc/keepalived/keepalived.conf"].content
            for name in tier
        }
        priorities = {re.findall(r"priority (\d+)", conf)[0] for conf in found.values()}
        assert len(priorities) == len(tier)
        assert len({re.findall(r"virtual_router_id (\d+)", conf)[0] for conf in found.values()}) == 1
        for name, conf in found.items():
            own, *peers = re.findall(r"^(?:    unicast_src_ip|       ) ([\d.]+)$", conf, re.MULTILINE)
            assert own == str(tier[name].address)
            assert peers == [str(twin.address) for twin_name, twin in tier.items() if twin_name != name]
            assert f"{address}/24" in conf


def test_every_vote_has_the_same_first_members(settings: Settings) -> None:
    found = set()
    for name, server in settings.quorum.items():
        files = guests.files(settings, name, GuestRole.QUORUM, {})
        env = files["/etc/default/etcd"].content
        assert "ETCD_PRE_VOTE=true" in env.splitlines(), "one that returns deposes the leader"
        cluster = files["/etc/default/etcd-cluster"].content
        found.add(re.findall(r"^ETCD_INITIAL_CLUSTER=(.+)$", cluster, re.MULTILINE)[0])
        assert f"ETCD_NAME={name}\n" in env
        assert f"ETCD_ADVERTISE_CLIENT_URLS=https://{server.address}:2379\n" in env
    members = ",".join(f"{name}=https://{server.address}:2380" for name, server in settings.quorum.items())
    assert found == {members}


def patroni(settings: Settings, name: str) -> dict[str, Any]:
    """Patroni's configuration without its secrets."""
    files = guests.files(settings, name, GuestRole.DATABASE, {})
    parsed: dict[str, Any] = yaml.safe_load(files["/etc/patroni/perenne/10-patroni.yml"].content)
    assert parsed["bootstrap"]["dcs"] == json.loads(files["/etc/patroni/dynamic.json"].content)
    return parsed


def test_a_lost_standby_never_stops_writes_and_no_acknowledged_write_is_lost(settings: Settings) -> None:
    dynamic = patroni(settings, "db01")["bootstrap"]["dcs"]
    assert dynamic["synchronous_mode"] is True
    assert dynamic["synchronous_mode_strict"] is False
    assert patroni(settings, "db01")["postgresql"]["parameters"]["synchronous_commit"] == "on"


def test_lease_times_follow_the_stack_file() -> None:
    dynamic = patroni(settings_with(database={"ttl": 40, "loop_wait": 5, "retry_timeout": 10}), "db02")["bootstrap"][
        "dcs"
    ]
    assert (dynamic["ttl"], dynamic["loop_wait"], dynamic["retry_timeout"]) == (40, 5, 10)


def test_postgresql_lets_nobody_in_without_tls_and_a_password(settings: Settings) -> None:
    for rule in patroni(settings, "db01")["postgresql"]["pg_hba"]:
        assert rule == "local all postgres peer" or re.fullmatch(r"hostssl .+/\d+ (scram-sha-256|reject)", rule)


def test_only_database_servers_and_operators_log_in_as_a_superuser(settings: Settings) -> None:
    """PostgreSQL takes the first line that fits."""
    rules = [rule.split() for rule in patroni(settings, "db01")["postgresql"]["pg_hba"]]
    general = rules.index(["hostssl", "all", "all", str(settings.networks.guests.cidr), "scram-sha-256"])
    for server in settings.servers.values():
        refused = ["hostssl", "all", "postgres,replicator,rewind", f"{server.address}/32", "reject"]
        assert (refused in rules[:general]) == (server.role is not Role.DATABASE)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_server_knows_the_authority_and_who_may_log_in(stack: str) -> None:
    found = loading.settings_from_config(loading.config_of(PROJECT / f"Pulumi.{stack}.yaml"), stack)
    for name, server in found.servers.items():
        roles = {*ROLES_OF[server.role], *([GuestRole.BACKUP] if name in found.backup.servers else [])}
        if not found.has_fencing:
            roles.discard(GuestRole.FENCING)
        files = [path for role in roles for path in guests.secret_files(found, name, role)]
        assert {"/etc/perenne/tls/ca.pem", "/root/.ssh/authorized_keys"} <= set(files), name
        assert len(files) == len(set(files)), f"two roles of {name} write the same file"


def test_replication_is_for_database_servers_and_backups_only(settings: Settings) -> None:
    rules = [rule.split() for rule in patroni(settings, "db01")["postgresql"]["pg_hba"] if "replication" in rule]
    takers = [*settings.servers_of(Role.DATABASE).values(), settings.servers["wit01"]]
    # Patroni asks its own server over the loopback interface.
    assert [rule[3] for rule in rules] == ["127.0.0.1/32", *(f"{server.address}/32" for server in takers)]
    assert [rule[2] for rule in rules] == ["replicator", "replicator", "replicator", "backup"]


def test_patroni_is_started_by_a_program_that_its_child_processes_can_read_too(settings: Settings) -> None:
    files = guests.files(settings, "db01", GuestRole.DATABASE, checksums(settings))
    unit = files["/etc/systemd/system/patroni.service.d/perenne.conf"].content
    (started,) = re.findall(r"^ExecStart=(/\S+)", unit, re.MULTILINE)
    assert files[started].mode == 0o755
    # multiprocessing's "spawn" imports the program in every child: one without the guard starts Patroni within Patroni.
    tree = ast.parse(files[started].content)
    run = [statement for statement in tree.body if not isinstance(statement, ast.FunctionDef)]
    calls = [node for statement in run for node in ast.walk(statement) if isinstance(node, ast.Call)]
    guarded = [node for node in tree.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
    assert len(guarded) == 1
    assert all(call in list(ast.walk(guarded[0])) for call in calls)


def test_the_watchdog_acts_before_the_lease_can_go_to_another(settings: Settings) -> None:
    member = patroni(settings, "db01")
    dynamic = member["bootstrap"]["dcs"]
    watchdog = member["watchdog"]
    assert watchdog["mode"] == "automatic"
    # Patroni, "Watchdog support": what is left of the lease must be enough for a round of its loop.
    assert dynamic["loop_wait"] + 2 * dynamic["retry_timeout"] <= dynamic["ttl"] - watchdog["safety_margin"]
    files = guests.files(settings, "db01", GuestRole.DATABASE, checksums(settings))
    assert "softdog" in files["/etc/modules-load.d/perenne-watchdog.conf"].content.splitlines()
    assert 'OWNER="postgres"' in files["/etc/udev/rules.d/60-perenne-watchdog.rules"].content


class _Loader(yaml.SafeLoader):
    """Knows the tags of WildFly's YAML extension."""


_Loader.add_constructor("!remove", lambda _loader, _node: "!remove")
_Loader.add_constructor("!undefine", lambda _loader, _node: "!undefine")


def wildfly(settings: Settings, name: str) -> dict[str, Any]:
    """WildFly's configuration on a server."""
    files = guests.files(settings, name, GuestRole.APPLICATION, checksums(settings))
    text = files["/etc/perenne/wildfly/configuration.yml"].content
    parsed: dict[str, Any] = yaml.load(text, Loader=_Loader)["wildfly-configuration"]  # noqa: S506  # a SafeLoader
    return parsed


def test_a_datasource_names_every_database_and_leaves_its_password_to_the_environment(settings: Settings) -> None:
    source = wildfly(settings, "app01")["subsystem"]["datasources"]["data-source"]["pnp-manager"]
    places = [str(settings.database.address), *map(settings.fqdn, settings.servers_of(Role.DATABASE))]
    hosts = ",".join(f"{place}:5432" for place in places)
    assert source["connection-url"].startswith(f"jdbc:postgresql://{hosts}/pnp-manager?targetServerType=primary&")
    variable = re.fullmatch(r"\$\{env\.(\w+)\}", source["password"])
    assert variable
    environment = guests.secret_files(settings, "app01", GuestRole.APPLICATION)["/etc/perenne/wildfly/environment"]
    values = dict.fromkeys(environment.secrets, "?") | {"database-pnp-manager-password": "the password"}
    assert f"{variable[1]}=the password\n" in environment.render(values)


def test_pools_together_leave_connections_to_administrators() -> None:
    service = {"artifact": "a.war", "context_path": "/b", "health_path": "/b", "database": True}
    names = [f"service{letter}" for letter in "abc"]
    more = {name: service | {"context_path": f"/{name}", "health_path": f"/{name}"} for name in names}
    many = settings_with(services=more)
    sources = wildfly(many, "app01")["subsystem"]["datasources"]["data-source"]
    sizes = [source["max-pool-size"] for source in sources.values() if isinstance(source, dict)]
    assert len(sizes) == 4
    assert 2 * sum(sizes) <= many.database.max_connections - 20


@pytest.mark.parametrize(("cpus", "size"), [(2, 10), (4, 10), (16, 32)])
def test_pools_are_as_large_as_the_database_servers_have_use_for(settings: Settings, cpus: int, size: int) -> None:
    changed = sized(*settings.servers_of(Role.DATABASE), cpus=cpus)
    source = wildfly(changed, "app01")["subsystem"]["datasources"]["data-source"]["pnp-manager"]
    assert source["max-pool-size"] == size


def test_a_service_without_database_gets_no_datasource() -> None:
    service = {"artifact": "a.war", "context_path": "/wiki", "health_path": "/wiki", "database": False}
    configured = wildfly(settings_with(services={"pages": service}), "app02")
    assert "pages" not in configured["subsystem"]["datasources"]["data-source"]
    assert configured["deployment"]["pages.war"]["runtime-name"] == "wiki.war"


def test_artifacts_are_named_with_their_checksum_and_where_to_fetch_them() -> None:
    service = {"artifact": "https://files.example.org/crm.war", "sha256": "c" * 64, "context_path": "/crm"}
    both = settings_with(services={"crm": service | {"health_path": "/crm/up", "database": False}})
    sums = {"pnp-manager": "a" * 64, "crm": "c" * 64}
    listed = guests.files(both, "app01", GuestRole.APPLICATION, sums)["/etc/perenne/wildfly/artifacts"].content
    assert listed == f"crm {'c' * 64} https://files.example.org/crm.war\npnp-manager {'a' * 64}\n"


def test_sessions_are_on_every_node(settings: Settings) -> None:
    subsystem = wildfly(settings, "app01")["subsystem"]
    cache = subsystem["distributable-web"]["infinispan-session-management"]["default"]["cache"]
    assert cache in subsystem["infinispan"]["cache-container"]["web"]["replicated-cache"]


def test_application_servers_know_each_other(settings: Settings) -> None:
    for name in settings.servers_of(Role.APPLICATION):
        stack = wildfly(settings, name)["subsystem"]["jgroups"]["stack"]["perenne"]
        hosts = stack["protocol"]["TCPPING"]["properties"]["initial_hosts"]
        assert hosts == ",".join(f"{node.address}[7600]" for node in settings.servers_of(Role.APPLICATION).values())


def test_time_sources_are_configured_only_where_the_stack_file_names_some() -> None:
    path = "/etc/chrony/chrony.conf"
    assert path not in guests.files(settings_with(), "lb01", GuestRole.BALANCER, {})
    timed = settings_with(ntp=["192.0.2.1", "time.example.org"])
    content = guests.files(timed, "lb01", GuestRole.BALANCER, {})[path].content
    assert re.findall(r"^server (\S+)", content, re.MULTILINE) == ["192.0.2.1", "time.example.org"]


def test_no_server_upgrades_itself(settings: Settings) -> None:
    """In Debian's order of files, the last one counts: unattended-upgrades' own are 20auto-upgrades, 50unattended-…."""
    for name, server in settings.servers.items():
        files = [
            path for role in ROLES_OF[server.role] for path in guests.files(settings, name, role, checksums(settings))
        ]
        assert files.count("/etc/apt/apt.conf.d/99perenne") == 1, name
    content = guests.files(settings, "lb01", GuestRole.BALANCER, {})["/etc/apt/apt.conf.d/99perenne"].content
    assert content.splitlines()[-1] == 'APT::Periodic::Unattended-Upgrade "0";'


def test_administrators_may_log_in_on_every_server() -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI test@example.org"
    admitted = settings_with(administrators=[key])
    for name, server in admitted.servers.items():
        files = guests.files(admitted, name, ROLES_OF[server.role][0], checksums(admitted))
        assert files["/etc/ssh/perenne_administrators"].content == f"{key}\n"
        assert "/etc/ssh/perenne_administrators" in files["/etc/ssh/sshd_config.d/perenne.conf"].content


def test_networkd_leaves_virtual_addresses_alone(settings: Settings) -> None:
    (interface,) = yaml.safe_load(cloud_init.metadata(settings, "lb01"))["network"]["ethernets"]
    path = (
        f"/etc/systemd/network/10-netplan-{interface}.network.d/perenne.conf"  # netplan's name for it, and networkd's
    )
    content = guests.files(settings, "lb01", GuestRole.BALANCER, {})[path].content
    assert re.findall(r"^[^#\n].*", content, re.MULTILINE) == ["[Network]", "KeepConfiguration=yes"]


def test_servers_ask_name_servers_only_where_the_stack_file_names_some(settings: Settings) -> None:
    networks = json.loads(settings.model_dump_json())["networks"]
    networks["guests"]["nameservers"] = ["192.0.2.53"]
    for given, expected in ((settings, None), (settings_with(networks=networks), {"addresses": ["192.0.2.53"]})):
        (interface,) = yaml.safe_load(cloud_init.metadata(given, "lb01"))["network"]["ethernets"].values()
        assert interface.get("nameservers") == expected


def test_metadata_gives_the_server_its_name_and_fixed_address(settings: Settings) -> None:
    parsed = yaml.safe_load(cloud_init.metadata(settings, "db01"))
    (interface,) = parsed["network"]["ethernets"].values()
    assert interface["addresses"] == ["198.18.20.31/24"]
    assert [IPv4Address(route["via"]) for route in interface["routes"]] == [settings.networks.guests.gateway]
    assert parsed["local-hostname"] == "db01.vmlabs.int"
    assert interface["mtu"] == settings.networks.guests.mtu
    config = loading.config_of(PROJECT / "Pulumi.dev.yaml")
    config["perenne:networks"]["guests"]["mtu"] = 9000
    jumbo = yaml.safe_load(cloud_init.metadata(loading.settings_from_config(config, "test"), "db01"))
    assert jumbo["network"]["ethernets"]["guests"]["mtu"] == 9000


def test_user_data_admits_by_key_only_and_brings_the_host_key(settings: Settings) -> None:
    text = cloud_init.user_data(
        settings, "db01", "ssh-ed25519 AAAA perenne", "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
    )
    assert text.startswith("#cloud-config\n")
    parsed = yaml.safe_load(text)
    assert parsed["ssh_keys"] == {"ed25519_private": "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"}
    assert parsed["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA perenne"]
    assert parsed["ssh_pwauth"] is False


def test_application_servers_that_know_another_key_are_another_cluster(
    settings: Settings, values: dict[str, str]
) -> None:
    """One that is restarted with a new key would else be turned away by the others, and not start."""

    def environment(name: str, key: str) -> dict[str, str]:
        bundle = installed(settings, {**values, "jgroups-key": key}, name, GuestRole.APPLICATION)
        lines = bundle["/etc/perenne/wildfly/environment"]["content"].splitlines()
        return dict(line.split("=", 1) for line in lines)

    first, second = (environment(name, "key")["PERENNE_JGROUPS_CLUSTER"] for name in ("app01", "app02"))
    assert first == second != environment("app01", "another key")["PERENNE_JGROUPS_CLUSTER"]
    assert (
        "${env.PERENNE_JGROUPS_CLUSTER}"
        in wildfly(settings, "app01")["subsystem"]["jgroups"]["channel"]["ee"]["cluster"]
    )
