"""The search for secrets: what would be a leak is found, and what is public is not."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from blueprint.keys import certificate_of, public_key
from blueprint.secrets import Kind, Secret
from stack import keys
from tests.lab.secret_forms import Forms, forms_of

AUTHORITY = keys.make(Secret("tls-authority", Kind.CERTIFICATE_AUTHORITY, ""))
CERTIFICATE = keys.make(Secret("tls-lb01", Kind.CERTIFICATE, "", names=("lb01",)), AUTHORITY)
SSH_KEY = keys.make(Secret("ssh-key", Kind.SSH_KEY, ""))
HOST_KEY = keys.make(Secret("ssh-host-key-lb01", Kind.SSH_HOST_KEY, ""))
PASSWORD = keys.make(Secret("password", Kind.PASSWORD, ""))
SECRETS = {
    "tls-authority": AUTHORITY,
    "tls-lb01": CERTIFICATE,
    "ssh-key": SSH_KEY,
    "ssh-host-key-lb01": HOST_KEY,
    "password": PASSWORD,
}
FORMS = Forms(SECRETS)


@pytest.mark.parametrize(("name", "value"), SECRETS.items(), ids=SECRETS)  # the values differ from process to process
def test_a_secret_is_found_in_every_form(name: str, value: str) -> None:
    leaks = {
        "as it is": value.encode(),
        "in JSON": json.dumps({"a": value}).encode(),
        "in JSON within JSON": json.dumps(json.dumps({"a": value})).encode(),
        "indented, as YAML has it": "".join(f"    {line}\n" for line in value.splitlines()).encode(),
        "in one line": value.replace("\n", " ").encode(),
    }
    assert {form for form, leak in leaks.items() if name in FORMS.found_in(b"before " + leak + b" after")} == set(leaks)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_password_is_found_in_base64_wherever_it_begins(before: str) -> None:
    leak = base64.b64encode(f"{before}{PASSWORD} and more".encode())
    assert FORMS.found_in(leak) == {"password"}
    assert FORMS.found_in(base64.urlsafe_b64encode(f"{before}{PASSWORD}".encode())) == {"password"}


@pytest.mark.parametrize("name", ["ssh-key", "ssh-host-key-lb01"])
def test_a_key_without_its_pem_armour_is_found(name: str) -> None:
    body = "".join(SECRETS[name].splitlines()[1:-1])
    assert FORMS.found_in(body.encode()) == {name}
    assert FORMS.found_in(base64.b64decode(body).hex().encode()) == {name}


def test_a_key_that_begins_with_zeros_is_found() -> None:
    """OpenSSH writes an ECDSA key as a number, without zeros before it: that happens to one key in 256."""
    small = ec.derive_private_key(2**230, ec.SECP256R1())
    pem = small.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert Forms({"ssh-key": pem.decode()}).found_in(pem) == {"ssh-key"}


def test_what_is_public_is_no_leak() -> None:
    public = [
        certificate_of(AUTHORITY),
        certificate_of(CERTIFICATE),
        public_key(SSH_KEY),
        "-----BEGIN PRIVATE KEY-----",
    ]
    assert FORMS.found_in("\n".join(public).encode()) == set()
    other = keys.make(Secret("ssh-key", Kind.SSH_KEY, ""))
    assert FORMS.found_in(other.encode()) == set(), "the beginning of every key is the same"


def test_certificates_that_are_kept_as_a_secret_are_none() -> None:
    """`fencing-authorities` is encrypted, so that nobody can put other ones there; it hides nothing."""
    assert list(forms_of(certificate_of(AUTHORITY) * 2)) == []


def test_grep_is_given_a_line_for_each_form_and_none_that_matches_everything() -> None:
    forms = FORMS.lines.splitlines()
    assert all(len(form) >= 16 for form in forms)
    assert set(forms_of(PASSWORD)) <= set(forms)
