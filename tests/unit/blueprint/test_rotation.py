"""Rotations: at no moment does anything that is used meet somebody who doesn't accept it."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509

from blueprint import keys as public
from blueprint import loading, rotation
from blueprint.rotation import Change, Step
from blueprint.secrets import (
    SITE_AUTHORITIES,
    Kind,
    Secret,
    Stage,
    Way,
    accepted,
    is_secret_name,
    keys_of,
    other_login,
    password_of,
    secrets_of,
)
from blueprint.settings import Settings
from stack import keys

PROJECT = Path(__file__).parents[3]
SERVICE = "pnp-manager"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return loading.settings_from_file(PROJECT / "Pulumi.dev.yaml")


@pytest.fixture(scope="module")
def needed(settings: Settings) -> list[Secret]:
    return list(secrets_of(settings))


@pytest.fixture(scope="module")
def first(needed: list[Secret]) -> dict[str, str]:
    """A stack's secrets before any rotation."""
    made: dict[str, str] = {}
    for secret in needed:
        made[secret.name] = keys.make(secret, made.get("tls-authority", ""))
    return made


def written(values: dict[str, str], change: Change) -> dict[str, str]:
    return {name: value for name, value in (values | change.values).items() if name not in change.removed}


def through(settings: Settings, needed: list[Secret], values: dict[str, str], *only: str) -> Iterator[dict[str, str]]:
    """What the stack file says at each step, from before a rotation to after it."""
    yield values
    values = written(values, rotation.begin(rotation.chosen(needed, only), values, keys.make))
    while rotation.step_of(values):
        yield values
        values = written(values, rotation.advance(settings, needed, values))
    yield values


def test_the_keys_of_a_secret_are_not_those_of_one_whose_name_ends_alike() -> None:
    known = {"ssh-key": "a", "retired-ssh-key": "b", "next-ssh-key": "c", "ssh-host-key-x-ssh-key": "d"}
    assert keys_of(known, "ssh-key") == ["ssh-key", "next-ssh-key", "retired-ssh-key"]
    assert accepted(known, "ssh-key") == ["a", "c"]


def test_while_servers_change_over_every_old_and_new_value_in_use_is_accepted_by_all(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    """Between two steps some servers have the earlier, some the later files."""
    for earlier, later in pairwise(through(settings, needed, first)):
        for name in (secret.name for secret in needed if secret.way is Way.OVERLAP):
            in_use = {earlier[name], later[name]}
            assert in_use <= set(accepted(earlier, name)), name
            assert in_use <= set(accepted(later, name)), name


def test_every_certificate_in_use_is_signed_by_an_authority_that_all_trust(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    for earlier, later in pairwise(through(settings, needed, first)):
        for trusting in (earlier, later):
            trusted = x509.load_pem_x509_certificates(public.authorities(trusting).encode())
            for shown in (earlier, later):
                for secret in (one for one in needed if one.kind is Kind.CERTIFICATE):
                    issuer = x509.load_pem_x509_certificate(shown[secret.name].encode()).issuer
                    assert issuer in {authority.subject for authority in trusted}, secret.name


def test_everything_is_new_at_the_end_and_nothing_of_the_rotation_is_left(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    *_, last = through(settings, needed, first)
    assert last.keys() == first.keys()
    kept = {secret.name for secret in needed if secret.way in (Way.GIVEN, Way.COSTLY)}
    assert {name for name in first if first[name] == last[name]} == kept
    of_bmcs = {f"bmc-{host}" for host in settings.hosts} | {"fencing-password", "fencing-authorities"}
    assert kept - of_bmcs == {"vcenter-password", "esxi-password", "chap-san01", "chap-mutual-san01", "jgroups-key"}
    assert all(keys.is_good(secret, last[secret.name], last["tls-authority"]) for secret in needed)


def test_the_steps_come_in_their_order_and_each_is_told_by_the_names_alone(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    _, *steps, _ = through(settings, needed, first)
    assert [rotation.step_of(dict.fromkeys(values, "")) for values in steps] == [Step.ACCEPT, Step.USE, Step.DROP]
    assert all(rotation.must_be_deployed(needed, values) for values in steps)


def test_what_needs_no_overlap_takes_one_deployment(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    steps = list(through(settings, needed, first, "tls-lb01", "patroni-api-password"))
    assert [rotation.must_be_deployed(needed, values) for values in steps] == [False, False, True, False]


def test_a_new_authority_signs_every_certificate(needed: list[Secret], first: dict[str, str]) -> None:
    wanted = rotation.chosen(needed, ["tls-authority"])
    assert {secret.kind for secret in wanted} == {Kind.CERTIFICATE, Kind.CERTIFICATE_AUTHORITY}
    made = rotation.begin(wanted, first, keys.make).values
    site = x509.load_pem_x509_certificate(made["next-tls-site"].encode())
    site.verify_directly_issued_by(x509.load_pem_x509_certificate(made["next-tls-authority"].encode()))


@pytest.fixture(scope="module")
def given() -> Settings:
    """Dev with a given certificate."""
    config = loading.config_of(PROJECT / "Pulumi.dev.yaml")
    config["perenne:site"] |= {"certificate": "given"}
    return loading.settings_from_config(config, "test")


@pytest.mark.parametrize("only", [[], ["tls-authority"]])
def test_what_was_given_is_asked_for_only_if_it_is_named(given: Settings, only: list[str]) -> None:
    needed = list(secrets_of(given))
    assert {secret.name for secret in needed if secret.given} >= {"tls-site", SITE_AUTHORITIES}
    assert not [secret.name for secret in rotation.chosen(needed, only) if secret.given]


def test_balancers_that_change_to_another_company_s_certificate_verify_each_other(
    given: Settings, first: dict[str, str]
) -> None:
    needed = list(secrets_of(given))
    values = first | {"tls-site": "certificate of one", SITE_AUTHORITIES: "authority of one\n"}

    def ask(secret: Secret, _authority: str) -> str:
        return {"tls-site": "certificate of two", SITE_AUTHORITIES: "authority of two\n"}[secret.name]

    values = written(values, rotation.begin(rotation.chosen(needed, ["tls-site", SITE_AUTHORITIES]), values, ask))
    steps = [values]
    while rotation.step_of(values):
        values = written(values, rotation.advance(given, needed, values))
        steps.append(values)
    assert [rotation.must_be_deployed(needed, step) for step in steps] == [True, True, True, False]
    for earlier, later in pairwise(steps):
        for shown in (earlier, later):
            authority = shown["tls-site"].replace("certificate", "authority")
            assert all(f"{authority}\n" in public.site_authorities(trusting) for trusting in (earlier, later))
    assert public.site_authorities(values) == public.authorities(first) + "authority of two\n"


def test_a_name_that_is_none_is_refused(needed: list[Secret]) -> None:
    with pytest.raises(KeyError, match="tls-lb09"):
        rotation.chosen(needed, ["tls-lb09"])


def test_a_service_changes_its_role_when_its_new_password_is_used_and_back_the_next_time(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    begun = written(first, rotation.begin(rotation.chosen(needed, [password_of(SERVICE)]), first, keys.make))
    assert rotation.advance(settings, needed, begun).logins == {SERVICE: "pnp-manager_b"}
    again = settings.model_copy(update={"logins": {SERVICE: "pnp-manager_b"}})
    assert rotation.advance(again, needed, begun).logins == {SERVICE: SERVICE}
    assert other_login(SERVICE, other_login(SERVICE, SERVICE)) == SERVICE


def test_a_server_s_host_key_is_used_as_soon_as_it_shows_it(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    names = ["ssh-host-key-lb01", "ssh-host-key-lb02"]
    begun = written(first, rotation.begin(rotation.chosen(needed, names), first, keys.make))
    once = written(begun, rotation.use(settings, needed, begun, names[:1]))
    assert rotation.step_of(once) is Step.ACCEPT
    twice = written(once, rotation.use(settings, needed, once, names[1:]))
    assert rotation.step_of(twice) is Step.DROP
    assert [twice[name] for name in names] == [begun[f"next-{name}"] for name in names]


def test_names_of_every_stage_are_secrets(needed: list[Secret]) -> None:
    assert all(is_secret_name(stage + secret.name) for stage in Stage for secret in needed)


def test_a_host_takes_the_key_that_comes_and_loses_the_one_that_went_and_no_other(
    settings: Settings, needed: list[Secret], first: dict[str, str]
) -> None:
    old, new = public.public_key(first["ssh-key"]), ""
    told = [public.host_access(values).splitlines() for values in through(settings, needed, first, "ssh-key")]
    *_, last = through(settings, needed, first)
    assert told[0] == [f"accept {old}"]
    new = told[1][1].removeprefix("accept ")
    assert told[2] == [f"accept {new}", f"accept {old}"]
    assert told[3] == [f"accept {new}", f"refuse {old}"]
    assert told[4] == [f"accept {new}"]
    assert public.authorized_keys(last).count("\n") == 1


def test_every_secret_says_what_rotating_it_does(needed: list[Secret]) -> None:
    assert all(secret.touches for secret in needed)
