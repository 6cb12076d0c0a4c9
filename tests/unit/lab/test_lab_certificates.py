"""The lab's authority and the certificates of its vCenter."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lab import certificates
from lab.certificates import ensure_authority, ensure_server, write_bundle
from machine.certificates import general_name

NAMES = ("198.18.10.10", "vcenter.vmlabs.int")


def test_a_server_is_trusted_through_its_authority_by_address_and_name(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path / "authority", "Lab")
    server = ensure_server(tmp_path / "vcenter", NAMES, authority)
    root = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    leaf = x509.load_pem_x509_certificate(server.certificate.read_bytes())
    builder = PolicyBuilder().store(Store([root]))

    for name in map(general_name, NAMES):
        assert builder.build_server_verifier(name).verify(leaf, [])  # type: ignore[arg-type]
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("other.vmlabs.int")).verify(leaf, [])


def test_good_ones_stay_and_keys_are_private(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path / "authority", "Lab")
    server = ensure_server(tmp_path / "vcenter", NAMES, authority)
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]

    ensure_server(tmp_path / "vcenter", NAMES, ensure_authority(tmp_path / "authority", "Lab"))

    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before
    assert {pair.key.stat().st_mode & 0o777 for pair in (authority, server)} == {0o600}


def test_another_address_takes_another_certificate(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path / "authority", "Lab")
    before = ensure_server(tmp_path / "vcenter", NAMES, authority).certificate.read_bytes()

    assert ensure_server(tmp_path / "vcenter", ("198.18.10.11",), authority).certificate.read_bytes() != before


def test_another_authority_takes_another_certificate(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path / "authority", "Lab")
    before = ensure_server(tmp_path / "vcenter", NAMES, authority).certificate.read_bytes()
    authority.key.unlink()

    renewed = ensure_authority(tmp_path / "authority", "Lab")

    assert ensure_server(tmp_path / "vcenter", NAMES, renewed).certificate.read_bytes() != before


def test_one_that_is_about_to_expire_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "VALIDITY", certificates.RENEWAL - timedelta(days=1))
    before = ensure_authority(tmp_path / "authority", "Lab").certificate.read_bytes()
    monkeypatch.undo()

    assert ensure_authority(tmp_path / "authority", "Lab").certificate.read_bytes() != before


def test_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    ensure_authority(tmp_path / "authority", "Lab").certificate.write_text("half a cert")

    pair = ensure_authority(tmp_path / "authority", "Lab")

    assert x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def test_the_bundle_adds_the_authority_to_the_roots_that_the_user_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = ensure_authority(tmp_path / "authority", "Lab")
    company, bundle = tmp_path / "company.pem", tmp_path / "bundle.crt"
    company.write_text("the company's roots\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(company))

    write_bundle(bundle, authority)

    assert bundle.read_text() == f"the company's roots\n{authority.certificate.read_text()}"


def test_the_bundle_is_not_made_from_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = ensure_authority(tmp_path / "authority", "Lab")
    bundle = tmp_path / "bundle.crt"
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    write_bundle(bundle, authority)
    once = bundle.read_text()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    write_bundle(bundle, authority)

    assert bundle.read_text() == once
    assert once.count(authority.certificate.read_text()) == 1
