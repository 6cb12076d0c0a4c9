"""The lab's certificate authority, and the certificate by which its vCenter is known."""

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from machine.files import PRIVATE, write

VALIDITY = timedelta(days=730)
RENEWAL = timedelta(days=30)
"""A certificate with less than this left is replaced."""

_BACKDATING = timedelta(hours=1)
"""Clocks of containers and machine may differ after a suspend."""


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
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _key_usage(key_cert_sign=True)
    certificate = (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(pair, key, certificate)
    return pair


def ensure_server(stem: Path, names: tuple[str, ...], authority: Pair) -> Pair:
    """Make a certificate of `authority` for a server with these DNS names or addresses, unless there is a good one."""
    pair = Pair.at(stem)
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    certificate = _read(pair)
    if certificate and not _expires(certificate) and _names(certificate) == set(names) and _signed(certificate, issuer):
        return pair
    issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority.key} is not an elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        _builder(subject, issuer.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    _write(pair, key, certificate)
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


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATING)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


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


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in extension.value}


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
