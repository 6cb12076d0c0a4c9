"""The program while secrets are rotated: what a service may log in by, and what hosts and servers are told."""

import json
from pathlib import Path
from typing import Any

import pytest

from blueprint import loading
from blueprint.keys import public_key
from blueprint.secrets import Kind, secrets_of
from mutation.program import PROGRAM, recorded, throw_away
from policies.judging.stack import Stack

PROJECT = Path(__file__).parents[3]
PASSWORD = "database-pnp-manager-password"  # noqa: S105 (a secret's name)


def program(folder: Path, more: dict[str, str], **settings: Any) -> tuple[Stack, dict[str, str]]:  # noqa: ANN401
    """Record dev's program with further secrets, or other settings; also returns all secrets."""
    artifact = folder / "apps" / "pnp-manager" / "target" / "pnp-manager.war"
    artifact.parent.mkdir(parents=True, exist_ok=True)
    artifact.write_bytes(b"war")
    config = loading.config_of(PROJECT / "Pulumi.dev.yaml") | {
        f"perenne:{key}": value for key, value in settings.items()
    }
    config["perenne:host_keys"] = dict.fromkeys(config["perenne:hosts"], "ssh-ed25519 AAAA")
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    needed = secrets_of(loading.settings_from_config(texts, "dev"))
    values = {secret.name: throw_away(secret.kind, secret.name) for secret in needed} | more
    encrypted = {f"perenne:{name}": value for name, value in values.items()}
    return recorded(PROGRAM / "__main__.py", "perenne", "dev", texts | encrypted, list(encrypted)), values


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def roles(stack: Stack) -> dict[str, dict[str, Any]]:
    found = (resource.properties for resource in stack.of_type("postgresql:index/role:Role"))
    return {str(role["name"]): dict(role) for role in found if role["name"] != "backup"}


def told(stack: Stack, name: str) -> str:
    (command,) = [one for one in stack.of_type("command:remote:Command") if one.name == name]
    return str(command.properties["stdin"])


def test_a_service_has_one_role(tmp_path: Path) -> None:
    stack, values = program(tmp_path, {})
    assert {name: (role["login"], role["password"]) for name, role in roles(stack).items()} == {
        "pnp-manager": (True, values[PASSWORD])
    }


def test_a_second_role_logs_in_with_the_next_password_and_acts_as_the_first(tmp_path: Path) -> None:
    stack, values = program(tmp_path, {f"next-{PASSWORD}": "new"})
    owner, second = roles(stack)["pnp-manager"], roles(stack)["pnp-manager_b"]
    assert (owner["login"], owner["password"]) == (True, values[PASSWORD])
    assert (second["login"], second["password"]) == (True, "new")
    assert (second["roles"], second["assumeRole"]) == (["pnp-manager"], "pnp-manager")
    assert "user-name: pnp-manager\\n" in told(stack, "app01-application")


def test_both_roles_log_in_while_application_servers_change_over(tmp_path: Path) -> None:
    more = {f"previous-{PASSWORD}": "old"}
    stack, values = program(tmp_path, more, logins={"pnp-manager": "pnp-manager_b"})
    owner, second = roles(stack)["pnp-manager"], roles(stack)["pnp-manager_b"]
    assert (owner["login"], owner["password"]) == (True, "old")
    assert (second["login"], second["password"]) == (True, values[PASSWORD])
    assert "user-name: pnp-manager_b\\n" in told(stack, "app01-application")


def test_then_the_first_role_owns_all_and_logs_in_no_more(tmp_path: Path) -> None:
    """Nor is its old password in the state."""
    more = {f"retired-{PASSWORD}": "old"}
    stack, values = program(tmp_path, more, logins={"pnp-manager": "pnp-manager_b"})
    owner = roles(stack)["pnp-manager"]
    assert (owner["login"], owner["password"]) == (False, values[PASSWORD])
    assert roles(stack)["pnp-manager_b"]["login"]
    (database,) = stack.of_type("postgresql:index/database:Database")
    assert database.properties["owner"] == "pnp-manager"
    assert not [one.name for one in stack.resources if "'old'" in str(one.properties)]


@pytest.mark.parametrize(("stage", "authorized"), [("next-", 2), ("previous-", 2), ("retired-", 1)])
def test_hosts_and_servers_are_told_of_both_keys(tmp_path: Path, stage: str, authorized: int) -> None:
    other = throw_away(Kind.SSH_KEY, "other")
    stack, values = program(tmp_path, {f"{stage}ssh-key": other})
    ours, theirs = public_key(values["ssh-key"]), public_key(other)
    host = told(stack, "access-psexi02").splitlines()
    assert host == [f"accept {ours}", f"{'accept' if authorized > 1 else 'refuse'} {theirs}"]
    for name in ("lb01-balancer", "app01-application", "db01-quorum", "wit01-quorum"):
        files = json.loads(told(stack, name))
        keys = files["/root/.ssh/authorized_keys"]["content"].splitlines()
        assert keys == [ours, theirs][:authorized]


@pytest.mark.parametrize(("stage", "trusted"), [("next-", 2), ("previous-", 2), ("retired-", 1)])
def test_everybody_trusts_both_authorities_and_no_key_of_either_leaves(
    tmp_path: Path, stage: str, trusted: int
) -> None:
    stack, _ = program(tmp_path, {f"{stage}tls-authority": throw_away(Kind.CERTIFICATE_AUTHORITY, "other")})
    for name in ("lb01-balancer", "app01-application", "db01-quorum", "wit01-quorum"):
        authority = json.loads(told(stack, name))["/etc/perenne/tls/ca.pem"]["content"]
        assert authority.count("certificate of") == trusted
        assert "key of" not in authority
    assert (tmp_path / ".perenne" / "dev-ca.pem").read_text().count("certificate of") == trusted


@pytest.mark.parametrize(("stage", "trusted"), [("next-", 2), ("previous-", 2), ("retired-", 1)])
def test_who_asks_for_the_site_verifies_it_by_both_companies_authorities(
    tmp_path: Path, stage: str, trusted: int
) -> None:
    site = loading.config_of(PROJECT / "Pulumi.dev.yaml")["perenne:site"] | {"certificate": "given"}
    stack, _ = program(tmp_path, {f"{stage}tls-site-authorities": "throw-away-other"}, site=site)
    for name in ("lb01-balancer", "app01-application"):
        files = json.loads(told(stack, name))
        assert files["/etc/perenne/tls/site-ca.pem"]["content"].count("throw-away-") == trusted
        assert "throw-away" not in files["/etc/perenne/tls/ca.pem"]["content"]
    assert "throw-away" not in (tmp_path / ".perenne" / "dev-ca.pem").read_text()


def test_what_nothing_uses_yet_is_nowhere(tmp_path: Path) -> None:
    """A password that needs no overlap is in the program only from the moment that it is used."""
    stack, _ = program(tmp_path, {"next-database-rewind-password": "unused-yet", "next-tls-site": "unused-yet"})
    assert not [one.name for one in stack.resources if "unused-yet" in str(one.properties)]
