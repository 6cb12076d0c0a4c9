"""Passwords, keys and certificates of a stack, made new."""

import os
import secrets
import ssl
import string
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from blueprint.keys import certificate_of
from blueprint.secrets import Kind, Secret, secrets_of
from blueprint.settings import Settings
from machine import certificates
from machine.certificates import new_authority, new_certificate

AUTHORITY_VALIDITY = timedelta(days=3650)
CERTIFICATE_VALIDITY = timedelta(days=825)
"""The longest that browsers and Apple's platforms take from an authority that a user has added."""
RENEWAL = timedelta(days=30)
"""A certificate with less than this left is made anew."""

_PASSWORD_LENGTH = 32
_CHAP_LENGTH = 16
_ALPHABET = string.ascii_letters + string.digits


def make(secret: Secret, authority: str = "") -> str:
    """Make the value of a secret; certificates are signed by `authority`, a key with its certificate in PEM.

    What would be given is made likewise where nobody gives it: in a lab, and for a preview without a site.
    """
    match secret.kind:
        case Kind.PASSWORD:
            return _password(_PASSWORD_LENGTH)
        case Kind.CHAP:
            return _password(_CHAP_LENGTH)
        case Kind.SSH_KEY | Kind.SSH_HOST_KEY:
            return _ssh_key(secret.kind)
        case Kind.CERTIFICATE_AUTHORITY:
            return _authority()
        case Kind.AUTHORITIES:
            return certificate_of(authority or _authority())
        case Kind.CERTIFICATE:
            return _certificate(secret, authority)


def validity(pem: str) -> tuple[datetime, datetime]:
    """From when, and until when, a certificate is valid."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def has_ended(pem: str) -> bool:
    """Whether a certificate is valid no more."""
    return validity(pem)[1] <= datetime.now(UTC)


def is_good(secret: Secret, value: str, authority: str = "") -> bool:
    """Whether a value still serves: certificates expire, names change, and authorities are made anew.

    Who signed a given certificate, and for whom else it is valid, is the company's.
    """
    if secret.kind not in (Kind.CERTIFICATE, Kind.CERTIFICATE_AUTHORITY):
        return True
    if validity(value)[1] - datetime.now(UTC) < RENEWAL:
        return False
    if secret.kind is Kind.CERTIFICATE_AUTHORITY:
        return True
    if secret.given:
        return all(is_for(value, name) for name in secret.names)
    return (
        names_of(value) == set(secret.names)
        and _purposes_of(value) == _purposes(secret)
        and is_signed_by(value, authority)
    )


def names_of(pem: str) -> set[str]:
    """The DNS names and addresses that a certificate is valid for."""
    return certificates.names_of(x509.load_pem_x509_certificate(pem.encode()))


def is_for(pem: str, name: str) -> bool:
    """Whether a certificate is valid for a DNS name; in it, `*` stands for the whole first label (RFC 6125, 6.4.3)."""
    _, _, parent = name.partition(".")
    return bool({name, f"*.{parent}"} & {one.lower() for one in names_of(pem)})


def is_signed_by(pem: str, authority: str) -> bool:
    """Whether a certificate is from a stack's authority: no two of them have the same name."""
    certificate, issuer = (x509.load_pem_x509_certificate(one.encode()) for one in (pem, authority))
    return certificate.issuer == issuer.subject


def certificates_to_renew(settings: Settings, values: Mapping[str, str]) -> list[str]:
    """Names of certificates to make anew: they end soon, or no longer fit names or authority.

    `init` and `rotate` do that, but for the authority and for what was given, which `rotate` alone does.
    """
    authority = values["tls-authority"]
    return [
        secret.name
        for secret in secrets_of(settings)
        if (value := values.get(secret.name)) and not is_good(secret, value, authority)
    ]


def present(context: ssl.SSLContext, pem: str) -> None:
    """Have one end of TLS present a certificate; the key comes with it, in one PEM.

    Raises:
        ssl.SSLError: They don't fit each other.
    """
    # OpenSSL wants a file; this one is never on a disk.
    with os.fdopen(os.memfd_create("certificate"), "w") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def _password(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _ssh_key(kind: Kind) -> str:
    is_host_s = kind is Kind.SSH_HOST_KEY
    key = Ed25519PrivateKey.generate() if is_host_s else ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def _authority() -> str:
    # A number in its name keeps a browser from taking one clone's authority for another's.
    return _bundle(*new_authority(f"Perenne authority {secrets.token_hex(4)}", AUTHORITY_VALIDITY))


def _purposes(secret: Secret) -> list[x509.ObjectIdentifier]:
    client = [ExtendedKeyUsageOID.CLIENT_AUTH] if secret.is_client_s else []
    return [ExtendedKeyUsageOID.SERVER_AUTH, *client]


def _purposes_of(pem: str) -> list[x509.ObjectIdentifier]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []


def _certificate(secret: Secret, authority: str) -> str:
    return _bundle(*new_certificate(secret.names, _purposes(secret), authority.encode(), CERTIFICATE_VALIDITY))


def _bundle(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> str:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + certificate.public_bytes(Encoding.PEM)).decode()
