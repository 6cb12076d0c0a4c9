"""A certificate that the company gives: what is refused says why, and what is taken serves."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from blueprint import loading
from blueprint.keys import authorities
from blueprint.rotation import Change
from blueprint.secrets import SITE_AUTHORITIES, Kind, secrets_of
from blueprint.settings import Settings
from cli import given
from cli.initialise import asking, initialise, variable_of
from drills.workload.site import plan_for
from machine.failure import Failure
from stack import keys
from stack.workspace import Stack
from tests.unit.company import HOURS, KEY, NAME, OTHER_KEY, Company, certificate, key

PROJECT = Path(__file__).parents[3]
COMPANY = Company()
SOUND = COMPANY.site()
DAY = timedelta(days=1)


def _settings() -> Settings:
    """Prod with a given certificate."""
    config = loading.config_of(PROJECT / "Pulumi.prod.yaml")
    config["perenne:site"] |= {"certificate": "given"}
    return loading.settings_from_config(config, "test")


SETTINGS = _settings()
NEEDED = {secret.name: secret for secret in secrets_of(SETTINGS)}


def typed(answer: str) -> str:
    """What becomes of an answer to the question for the site's certificate."""
    return asking(lambda _question: answer)(NEEDED["tls-site"])


def test_a_file_in_another_order_becomes_key_certificate_and_chain(tmp_path: Path) -> None:
    site = certificate("Site", "Intermediate", NAME, of=KEY)
    file = tmp_path / "site.pem"
    bag = "Bag Attributes\n    friendlyName: site\nsubject=CN = Site\n"
    other = certificate("Old", "Root", of=OTHER_KEY)
    file.write_text(other + COMPANY.intermediate + bag + site + bag + key())
    pem = typed(str(file))
    assert pem == key() + site + other + COMPANY.intermediate
    made = tmp_path / "normal.pem"
    made.write_text(pem)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made)


REFUSED = {
    "no text": (b"\x30\x82\x00\xff", "can't be read: .*codec"),
    "nothing": (b"", "has no private key that can be read"),
    "no key": (COMPANY.intermediate.encode(), "has no private key that can be read"),
    "no certificate": (key().encode(), "has no certificates that can be read"),
    "an encrypted key": (SOUND.replace(key(), key(encrypted=True)).encode(), "is encrypted"),
    "another key": (SOUND.replace(key(), key(OTHER_KEY)).encode(), "fits no certificate there: .*CN=Site, of another"),
    "another name": (COMPANY.site("www.vmlabs.int").encode(), f"is not for {NAME}: its DNS names are: www.vmlabs.int"),
    "two labels": (COMPANY.site("*.int").encode(), f"is not for {NAME}: .*\\*.int"),
    "a part of a label": (COMPANY.site("pn*.vmlabs.int").encode(), f"is not for {NAME}"),
    "no DNS name": (
        (key() + certificate(NAME, "Root", of=KEY)).encode(),
        f"is not for {NAME}: its DNS names are: none",
    ),
    "an end": (COMPANY.site(begins=-DAY, ends=-HOURS).encode(), "has ended: it was valid until"),
    "a beginning": (COMPANY.site(begins=HOURS, ends=DAY).encode(), "is not valid yet: it begins at"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_serves_nobody_is_refused_with_the_reason(what: str, tmp_path: Path) -> None:
    content, message = REFUSED[what]
    file = tmp_path / "site.pem"
    file.write_bytes(content)
    with pytest.raises(Failure, match=message) as failure:
        typed(str(file))
    assert str(file) in failure.value.what


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"missing\.pem can't be read: .*No such file"):
        typed(str(tmp_path / "missing.pem"))


@pytest.mark.parametrize("name", [NAME, "PNP.vmlabs.int", "*.vmlabs.int", "*.VMLABS.int"])
def test_a_name_and_a_wildcard_for_its_first_label_are_taken(name: str, tmp_path: Path) -> None:
    (tmp_path / "site.pem").write_text(COMPANY.site("www.vmlabs.int", name))
    assert typed(str(tmp_path / "site.pem")).startswith(key())


def test_the_environment_holds_the_text_and_is_checked_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERENNE_TLS_SITE", SOUND)
    assert asking(None)(NEEDED["tls-site"]) == SOUND
    monkeypatch.setenv("PERENNE_TLS_SITE", COMPANY.site(begins=-DAY, ends=-HOURS))
    with pytest.raises(Failure, match="PERENNE_TLS_SITE has ended"):
        asking(None)(NEEDED["tls-site"])
    monkeypatch.setenv("PERENNE_TLS_SITE_AUTHORITIES", f"the company's\n{COMPANY.root}")
    assert asking(None)(NEEDED[SITE_AUTHORITIES]) == COMPANY.root
    monkeypatch.setenv("PERENNE_TLS_SITE_AUTHORITIES", "none")
    with pytest.raises(Failure, match="PERENNE_TLS_SITE_AUTHORITIES has no certificates"):
        asking(None)(NEEDED[SITE_AUTHORITIES])


def test_who_trusts_the_authorities_takes_the_certificate() -> None:
    given.check_site(SETTINGS, {}, {"tls-site": SOUND, SITE_AUTHORITIES: COMPANY.root})
    given.check_site(SETTINGS, {"tls-site": SOUND}, {SITE_AUTHORITIES: COMPANY.intermediate + COMPANY.root})


@pytest.mark.parametrize(
    ("site", "trusted", "why"),
    [
        (SOUND, certificate("Another", "Another"), "unable to get local issuer"),
        (SOUND, COMPANY.intermediate, "unable to get issuer"),  # curl would take it, Python 3.11 does not
        (SOUND.replace(COMPANY.intermediate, ""), COMPANY.root, "unable to get local issuer"),
        (key() + certificate("Site", "Root", "*.int", of=KEY), COMPANY.root, "[Hh]ostname mismatch"),
    ],
    ids=["another root", "no root", "a gap", "another name"],
)
def test_what_clients_would_refuse_is_refused_when_it_is_given(site: str, trusted: str, why: str) -> None:
    with pytest.raises(Failure, match=f"would refuse the certificate of {NAME}: .*{why}"):
        given.check_site(SETTINGS, {"tls-site": site}, {SITE_AUTHORITIES: trusted})


def test_a_workload_s_users_trust_the_authorities_and_who_asks_servers_does_not(dev: Stack, tmp_path: Path) -> None:
    opened = initialise(dev, None, {}).vault
    opened.keep(Change({"tls-site": SOUND, SITE_AUTHORITIES: COMPANY.root}))
    plan = plan_for(dev, opened, tmp_path)
    assert plan.site.name == NAME
    assert COMPANY.root in plan.site.authority
    assert plan.authority == authorities(opened.values)


def test_of_a_certificate_s_names_and_signers_only_the_site_s_name_counts() -> None:
    authority, site = keys.make(NEEDED["tls-authority"]), NEEDED["tls-site"]
    assert keys.is_good(site, COMPANY.site("www.vmlabs.int", "*.vmlabs.int"), authority)
    assert not keys.is_good(site, COMPANY.site("www.vmlabs.int"), authority)
    assert not keys.is_good(site, COMPANY.site(ends=keys.RENEWAL - HOURS), authority)
    assert keys.is_good(site, COMPANY.site(ends=keys.RENEWAL + HOURS), authority)


@pytest.mark.parametrize(
    ("value", "why"),
    [("short", "has 5 characters"), ("x" * 17, "has 17"), ("with a blank in", "blanks"), ("x" * 12, "")],
)
def test_a_chap_secret_is_one_word_that_arrays_take(monkeypatch: pytest.MonkeyPatch, value: str, why: str) -> None:
    secret = next(secret for secret in NEEDED.values() if secret.kind is Kind.CHAP)
    monkeypatch.setenv(variable_of(secret), value)
    for ask in (asking(None), asking(lambda _question: value)):
        if not why:
            assert ask(secret) == value
            continue
        with pytest.raises(Failure, match="is no CHAP secret") as caught:
            ask(secret)
        assert why in caught.value.why
        assert value not in str(caught.value)
        monkeypatch.delenv(variable_of(secret), raising=False)
