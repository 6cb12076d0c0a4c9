"""Secrets of a stack: made once, kept encrypted, and gone with the lab."""

import os
import re
import resource
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from blueprint.keys import public_key
from blueprint.mistakes import StackFileError
from blueprint.secrets import SITE_AUTHORITIES, Kind, Secret, secrets_of
from cli import given, simulation
from cli.initialise import Initialised, asking, check_secrets, initialise, variable_of
from machine.failure import Failure
from stack import keys, vault
from stack.keys import is_signed_by
from stack.vault import Vault
from stack.workspace import Stack
from tests.unit.company import HOURS, Company

COMPANY = Company()
SITE = COMPANY.site()
HOST_KEYS = {"psexi02": "ssh-ed25519 AAAA"}


def _to_renew(opened: Vault) -> list[str]:
    return keys.certificates_to_renew(opened.stack.settings, opened.values)


def test_every_secret_is_made_and_read_back(dev: Stack) -> None:
    done = initialise(dev, None, HOST_KEYS)
    assert set(done.made) == {secret.name for secret in secrets_of(dev.settings)}
    again = Stack("dev")
    assert Vault.open(again).values == done.vault.values
    assert again.settings.host_keys == HOST_KEYS
    check_secrets(again)


def test_no_secret_is_in_the_file_in_clear(dev: Stack) -> None:
    values = initialise(dev, None, {}).vault.values.values()
    text = dev.file.read_text()
    assert not [value for value in values if value in text]
    assert "PRIVATE KEY" not in text
    assert dev.passphrase_file.stat().st_mode & 0o777 == 0o600
    assert dev.passphrase_file.read_text().strip() not in text


def test_a_second_time_changes_nothing(dev: Stack) -> None:
    initialise(dev, None, HOST_KEYS)
    before = dev.file.read_bytes()
    again = initialise(Stack("dev"), None, HOST_KEYS)
    assert (again.made, again.host_keys) == ([], [])
    assert dev.file.read_bytes() == before


def test_the_lab_s_end_leaves_the_file_as_git_has_it(dev: Stack) -> None:
    before = dev.file.read_bytes()
    initialise(dev, None, HOST_KEYS)
    assert dev.file.read_bytes() != before
    vault.discard(Stack("dev"))
    assert dev.file.read_bytes() == before
    assert not dev.passphrase_file.exists()


def test_a_full_disk_leaves_what_was_noted(dev: Stack) -> None:
    vault.note_made(dev, ["esxi-password"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # nothing can be written, as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            vault.note_made(dev, ["ssh-key"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert vault.made_by_init(dev) == ["esxi-password"]


def test_a_note_that_can_t_be_read_is_named(dev: Stack) -> None:
    initialise(dev, None, {})
    dev.made_file.write_text("")
    before = dev.file.read_bytes()
    with pytest.raises(Failure) as failure:
        vault.discard(dev)
    assert str(dev.made_file) in failure.value.why
    assert f"remove {dev.made_file}" in failure.value.remedy
    assert dev.file.read_bytes() == before


def test_a_lost_passphrase_of_the_lab_means_new_secrets(dev: Stack) -> None:
    before = dev.file.read_bytes()
    first = initialise(dev, None, {}).vault.values
    dev.passphrase_file.unlink()
    second = initialise(Stack("dev"), None, {})
    assert set(second.made) == set(first)
    assert second.vault.values["esxi-password"] != first["esxi-password"]
    vault.discard(Stack("dev"))
    assert dev.file.read_bytes() == before


def test_a_server_s_new_address_means_a_new_certificate(dev: Stack) -> None:
    initialise(dev, None, {})
    dev.file.write_text(dev.file.read_text().replace("address: 198.18.20.21", "address: 198.18.20.23"))
    assert initialise(Stack("dev"), None, {}).made == ["tls-app01"]


def test_certificates_that_end_soon_are_named_until_init_has_made_new_ones(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as soon:
        soon.setattr(keys, "CERTIFICATE_VALIDITY", keys.RENEWAL - timedelta(minutes=1))
        made = initialise(dev, None, {})
    certificates = [secret.name for secret in secrets_of(dev.settings) if secret.kind is Kind.CERTIFICATE]
    assert _to_renew(made.vault) == certificates
    renewed = initialise(Stack("dev"), None, {})
    assert renewed.made == certificates
    assert _to_renew(renewed.vault) == []


def test_a_new_authority_signs_every_certificate_anew(dev: Stack) -> None:
    done = initialise(dev, None, {})
    needed = {secret.name: secret for secret in secrets_of(dev.settings)}
    other = keys.make(needed["tls-authority"])
    assert not keys.is_good(needed["tls-db01"], done.vault.values["tls-db01"], other)


def test_certificates_are_for_their_names_and_signed_by_the_authority(dev: Stack) -> None:
    values = initialise(dev, None, {}).vault.values
    authority = x509.load_pem_x509_certificate(values["tls-authority"].encode())
    site = x509.load_pem_x509_certificate(values["tls-site"].encode())
    site.verify_directly_issued_by(authority)
    assert load_pem_private_key(values["tls-site"].encode(), None).public_key() == site.public_key()
    names = site.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"pnp.vmlabs.int", "198.18.20.100", "localhost", "127.0.0.1"}
    now = datetime.now(UTC)
    assert now - timedelta(hours=2) < site.not_valid_before_utc < now
    # Both ends count, and Apple takes no more than 825 days.
    assert site.not_valid_after_utc - site.not_valid_before_utc + timedelta(seconds=1) == timedelta(days=825)


def value_for(secret: Secret) -> str:
    """Something that could be it, and no other one's."""
    return f"given-{secret.name}"[-16:] if secret.kind is Kind.CHAP else f"given {secret.name}"


def test_a_given_secret_of_a_real_stack_comes_from_the_environment(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prod = Stack("prod")
    given = [secret for secret in secrets_of(prod.settings) if secret.given]
    for secret in given:
        monkeypatch.setenv(f"PERENNE_{secret.name.upper().replace('-', '_')}", value_for(secret))
    done = initialise(prod, asking(None), {})
    assert {secret.name: done.vault.values[secret.name] for secret in given} == {
        secret.name: value_for(secret) for secret in given
    }
    assert (clone / ".perenne" / "prod.passphrase").exists()
    assert not prod.made_file.exists()


@pytest.fixture
def given_by(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has prod's stack file say whose certificate it is, and the environment give what `init` asks for."""
    file = clone / "Pulumi.prod.yaml"
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a test")
    for secret in secrets_of(Stack("prod").settings):
        if secret.given:
            monkeypatch.setenv(variable_of(secret), value_for(secret))

    def say(whose: str, certificate: str = SITE, authorities: str = COMPANY.root) -> None:
        text = re.sub(r"(# )?certificate: \w+", f"certificate: {whose}", file.read_text(), count=1)
        file.write_text(text)
        monkeypatch.setenv("PERENNE_TLS_SITE", certificate)
        monkeypatch.setenv("PERENNE_TLS_SITE_AUTHORITIES", authorities)

    return say


def prod() -> Initialised:
    """What `init` does with it."""
    return initialise(Stack("prod"), asking(None), {})


def test_a_given_certificate_is_asked_for_instead_of_made_and_stays(given_by: Callable[..., None]) -> None:
    given_by("given")
    values = prod().vault.values
    assert (values["tls-site"], values[SITE_AUTHORITIES]) == (SITE, COMPANY.root)
    assert is_signed_by(values["tls-lb01"], values["tls-authority"])
    given_by("given", COMPANY.site("*.vmlabs.int"))
    assert prod().made == []


def test_a_running_stack_changes_to_a_given_certificate_and_back(given_by: Callable[..., None]) -> None:
    given_by("own")
    own = prod().vault.values
    assert SITE_AUTHORITIES not in own
    given_by("given")
    assert sorted(prod().made) == ["tls-site", SITE_AUTHORITIES]
    given_by("own")
    assert prod().made == ["tls-site"]
    assert is_signed_by(Vault.open(Stack("prod")).values["tls-site"], own["tls-authority"])
    given_by("given")
    assert prod().made == ["tls-site"]


def test_a_given_certificate_that_ends_soon_is_named_and_left_until_it_has_ended(
    given_by: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    given_by("given", soon := COMPANY.site(ends=keys.RENEWAL - HOURS))
    prod()
    given_by("given")
    assert prod().made == []
    assert _to_renew(Vault.open(Stack("prod"))) == ["tls-site"]
    monkeypatch.setattr(keys, "has_ended", lambda value: value == soon)
    assert prod().made == ["tls-site"]
    assert _to_renew(Vault.open(Stack("prod"))) == []


def test_a_site_of_another_name_asks_for_a_certificate(given_by: Callable[..., None], clone: Path) -> None:
    given_by("given")
    prod()
    file = clone / "Pulumi.prod.yaml"
    file.write_text(file.read_text().replace("name: pnp.vmlabs.int", "name: www.vmlabs.int"))
    assert _to_renew(Vault.open(Stack("prod"))) == ["tls-site"]
    with pytest.raises(Failure, match=r"is not for www\.vmlabs\.int"):
        prod()


def test_a_certificate_that_its_authorities_don_t_verify_leaves_the_file_as_it_was(
    given_by: Callable[..., None], clone: Path
) -> None:
    given_by("given", authorities=COMPANY.intermediate)
    before = (clone / "Pulumi.prod.yaml").read_bytes()
    with pytest.raises(Failure, match="would refuse the certificate of pnp"):
        prod()
    assert (clone / "Pulumi.prod.yaml").read_bytes() == before


def test_the_lab_s_company_is_the_stack_s_own_authority(clone: Path) -> None:
    """So that a lab can be told to be given a certificate, with nothing in it but the site's name."""
    file = clone / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("name: pnp.vmlabs.int", "name: pnp.vmlabs.int\n    certificate: given"))
    values = initialise(Stack("dev"), None, {}).vault.values
    assert keys.names_of(values["tls-site"]) == {"pnp.vmlabs.int"}
    given.check_site(Stack("dev").settings, {}, values)


def test_a_preview_without_a_site_has_certificates_to_throw_away(given_by: Callable[..., None]) -> None:
    given_by("given")
    stack = Stack("prod")
    given.check_site(stack.settings, {}, simulation._throw_away(stack))


def test_a_given_secret_that_nobody_can_be_asked_for_is_named(clone: Path) -> None:
    before = (clone / "Pulumi.prod.yaml").read_bytes()
    with pytest.raises(Failure) as failure:
        initialise(Stack("prod"), asking(None), {})
    assert "PERENNE_VCENTER_PASSWORD" in failure.value.remedy
    assert (clone / "Pulumi.prod.yaml").read_bytes() == before


def test_the_user_is_asked_with_the_purpose() -> None:
    asked: list[str] = []

    def prompt(question: str) -> str:
        asked.append(question)
        return "typed-by-hand"

    assert asking(prompt)(Secret("chap-san01", Kind.CHAP, "the hosts' to san01", given=True)) == "typed-by-hand"
    assert "the hosts' to san01" in asked[0]


def test_missing_secrets_are_one_line_each(dev: Stack) -> None:
    with pytest.raises(StackFileError) as error:
        check_secrets(dev)
    lines = str(error.value).splitlines()
    assert len(lines) == len(list(secrets_of(dev.settings)))
    assert all("./perenne init dev" in line for line in lines)


def test_hosts_are_logged_in_on_with_a_key_that_esxi_takes(dev: Stack) -> None:
    """ESXi's sshd runs in FIPS mode: it takes ECDSA and RSA keys, and no Ed25519 key."""
    made = initialise(dev, None, {}).vault.values
    assert made["ssh-key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert public_key(made["ssh-key"]).startswith("ecdsa-sha2-nistp256 AAAA")
    assert public_key(made["ssh-host-key-db01"]).startswith("ssh-ed25519 AAAA"), "as cloud-init is told to install it"


def test_a_login_key_that_esxi_takes_not_is_made_anew(dev: Stack) -> None:
    opened = initialise(dev, None, {}).vault
    opened.write({"ssh-key": keys.make(Secret("ssh-key", Kind.SSH_HOST_KEY, "from before"))}, {})

    again = initialise(Stack("dev"), None, {})

    assert again.made == ["ssh-key"]
    assert public_key(again.vault.values["ssh-key"]).startswith("ecdsa-sha2-nistp256 AAAA")


def test_nothing_is_left_open_for_others(dev: Stack) -> None:
    dev.passphrase_file.parent.mkdir(mode=0o755)
    initialise(dev, None, {})
    assert os.stat(dev.passphrase_file.parent).st_mode & 0o077 == 0  # noqa: PTH116
