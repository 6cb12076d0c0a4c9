"""Secrets are made as those who get them take them."""

import contextlib
import ssl
from dataclasses import replace

import pytest

from blueprint.keys import certificate_of
from blueprint.secrets import Kind, Secret, secrets_of
from stack import keys
from stack.workspace import Stack


@pytest.mark.parametrize(("kind", "length"), [(Kind.PASSWORD, 32), (Kind.CHAP, 16)])
def test_passwords_are_letters_and_digits(kind: Kind, length: int) -> None:
    password = keys.make(Secret("password", kind, "a test"))
    assert len(password) == length
    assert password.isascii()
    assert password.isalnum()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_server_that_runs_users_requests_can_write_to_etcd(stack: str) -> None:
    settings = Stack(stack).settings
    clients = {secret.name for secret in secrets_of(settings) if secret.is_client_s}
    assert clients == {f"tls-{vote}" for vote in settings.quorum}


@pytest.mark.parametrize("is_client_s", [True, False])
def test_only_a_client_s_certificate_proves_a_client(*, is_client_s: bool) -> None:
    authority = keys.make(Secret("tls-authority", Kind.CERTIFICATE_AUTHORITY, ""))
    asks = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asks.verify_mode = ssl.CERT_REQUIRED
    asks.load_verify_locations(cadata=certificate_of(authority))
    keys.present(asks, keys.make(Secret("", Kind.CERTIFICATE, "", names=("etcd",)), authority))
    shows = ssl.create_default_context(cadata=certificate_of(authority))
    keys.present(
        shows, keys.make(Secret("", Kind.CERTIFICATE, "", names=("peer",), is_client_s=is_client_s), authority)
    )
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = shows.wrap_bio(down, up, server_hostname="etcd")
    server = asks.wrap_bio(up, down, server_side=True)
    with contextlib.nullcontext() if is_client_s else pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        for end in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()


def test_a_certificate_for_other_purposes_is_made_anew() -> None:
    authority = keys.make(Secret("tls-authority", Kind.CERTIFICATE_AUTHORITY, ""))
    server = Secret("tls-lb01", Kind.CERTIFICATE, "", names=("lb01",))
    before = keys.make(replace(server, is_client_s=True), authority)
    assert not keys.is_good(server, before, authority)
    assert keys.is_good(server, keys.make(server, authority), authority)
