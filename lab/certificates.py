"""The lab's certificate authority, and the certificate by which its vCenter is known."""

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from machine.certificates import names_of, new_authority, new_certificate
from machine.files import PRIVATE, write

VALIDITY = timedelta(days=730)
RENEWAL = timedelta(days=30)
"""A certificate with less than this left is replaced."""


@dataclass(frozen=True)
class Pair:
    """A key and its certificate in PEM files `<stem>.key` (mode 0600) and `<stem>.crt`."""

    key: Path
    certificate: Path

    @classmethod
    def at(cls, stem: Path) -> "Pair":
        """Name the two files."""
        return cls(stem.with_suffix(".key"), stem.with_suffix(".crt"))


def ensure_authority(stem: Path, name: str) -> Pair:
    """Make an authority that may sign servers only, unless there is a good one."""
    pair = Pair.at(stem)
    if (certificate := _read(pair)) and not _expires(certificate):
        return pair
    _write(pair, *new_authority(name, VALIDITY))
    return pair


def ensure_server(stem: Path, names: tuple[str, ...], authority: Pair) -> Pair:
    """Make a certificate of `authority` for a server with these DNS names or addresses, unless there is a good one."""
    pair = Pair.at(stem)
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    certificate = _read(pair)
    if (
        certificate
        and not _expires(certificate)
        and names_of(certificate) == set(names)
        and _signed(certificate, issuer)
    ):
        return pair
    signer = authority.key.read_bytes() + authority.certificate.read_bytes()
    _write(pair, *new_certificate(names, [ExtendedKeyUsageOID.SERVER_AUTH], signer, VALIDITY))
    return pair


def write_bundle(path: Path, authority: Pair) -> None:
    """Write the machine's trusted roots and the lab's authority into one file, for SSL_CERT_FILE."""
    write(path, f"{_system_roots(path)}\n{authority.certificate.read_text()}")


def _system_roots(bundle: Path) -> str:
    """Read the roots that this process trusts; SSL_CERT_FILE may name the very bundle that is to be written."""
    given = os.environ.get("SSL_CERT_FILE")
    candidates = [Path(given)] if given and Path(given).resolve() != bundle.resolve() else []
    candidates += [Path(ssl.get_default_verify_paths().openssl_cafile), Path("/etc/ssl/certs/ca-certificates.crt")]
    roots = next((path for path in candidates if path.is_file()), Path(certifi.where()))
    return roots.read_text().rstrip()


def _read(pair: Pair) -> x509.Certificate | None:
    """The certificate, if both files are there, readable and belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    return certificate if key.public_key() == certificate.public_key() else None


def _expires(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - datetime.now(UTC) < RENEWAL


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature):
        return False
    return True


def _write(pair: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write(pair.key, private, PRIVATE)
    write(pair.certificate, certificate.public_bytes(pem))
