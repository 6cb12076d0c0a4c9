"""X.509 certificates, made new: an authority's own, and those that it signs. Keys are on curve P-256."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

_BACKDATING = timedelta(hours=1)
"""Clocks of machines may differ, those of containers after a suspend."""

Made = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]
"""A key, and its certificate."""


def new_authority(name: str, validity: timedelta) -> Made:
    """An authority of that common name, which may sign servers and clients, and no other authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    certificate = (
        _builder(subject, subject, key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def new_certificate(
    names: Sequence[str], purposes: Sequence[x509.ObjectIdentifier], authority: bytes, validity: timedelta
) -> Made:
    """A certificate that an authority signs.

    Args:
        names: DNS names and addresses that it is valid for, the first one its common name.
        purposes: What it proves (extended key usage).
        authority: The authority's key and certificate (PEM).
        validity: How long it is valid from now.

    Raises:
        TypeError: The authority's key is on no elliptic curve.
    """
    issuer = x509.load_pem_x509_certificate(authority)
    issuer_key = load_pem_private_key(authority, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(names[0]), issuer.subject, key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return key, certificate


def names_of(certificate: x509.Certificate) -> set[str]:
    """The DNS names and addresses that it is valid for; what its subject says counts no more (RFC 9525)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, validity: timedelta
) -> x509.CertificateBuilder:
    begins = datetime.now(UTC) - _BACKDATING
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + validity - timedelta(seconds=1))  # both ends count (RFC 5280, 4.1.2.5)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
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


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general_name(name: str) -> x509.GeneralName:
    """An address, or else a DNS name, as certificates have it."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
