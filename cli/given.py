"""Certificates and secrets that are given: read, checked, and brought into the form that servers use."""

import re
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from blueprint.secrets import SITE_AUTHORITIES, Kind, Secret
from blueprint.settings import Settings
from blueprint.terms import Certificate
from machine.failure import Failure
from stack import keys

_PEM_FILE = (
    "Give a PEM file. For a server: private key without passphrase, certificate, then those between it and its root; "
    "of a PFX file: openssl pkcs12 -nodes -in site.pfx -out site.pem. vCenter's authorities: "
    "https://VCENTER/certs/download.zip."
)


def text_of(file: str) -> str:
    """What stands in a file.

    Raises:
        Failure: It can't be read.
    """
    try:
        return Path(file).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file} can't be read", str(error), _PEM_FILE) from error


def checked(secret: Secret, value: str, source: str) -> str:
    """Bring what was given into its form; `source` is where it is from.

    Raises:
        Failure: It is not what was asked for.
    """
    match secret.kind:
        case Kind.AUTHORITIES:
            return _pem(_certificates_in(value, source))
        case Kind.CERTIFICATE:
            return _certificate(secret, value, source)
        case Kind.CHAP:
            return _chap(value, source)
        case _:
            return value


def _chap(value: str, source: str) -> str:
    """ESXi is told it in a line of words, and some arrays take no more than 16 characters (`Kind.CHAP`)."""
    if not re.fullmatch(r"[!-~]{12,16}", value):
        why = f"it has {len(value)} characters"
        if len(value) in range(12, 17):
            why = "it has blanks, or characters that are not of ASCII"
        raise Failure(f"{source} is no CHAP secret", why, "Give one of 12 to 16 letters, digits and signs.")
    return value


def check_site(settings: Settings, values: Mapping[str, str], changed: Mapping[str, str]) -> None:
    """Check that who trusts the given authorities takes the given certificate, where either is `changed`.

    Raises:
        Failure: Perenne's own checks would refuse it.
    """
    if settings.site.certificate is Certificate.OWN or not {"tls-site", SITE_AUTHORITIES} & changed.keys():
        return
    name, new = settings.site.name, {**values, **changed}
    if why := _refusal(new["tls-site"], new[SITE_AUTHORITIES], name):
        remedy = f"Give tls-site with every certificate up to its root, and the root as {SITE_AUTHORITIES}."
        raise Failure(f"who trusts {SITE_AUTHORITIES} would refuse the certificate of {name}", why, remedy)


def _certificate(secret: Secret, value: str, source: str) -> str:
    """A private key, the certificate that fits it, and the other ones in their order."""
    try:
        key = load_pem_private_key(value.encode(), password=None)
    except TypeError as error:
        raise Failure(f"the private key in {source} is encrypted", "servers know no passphrase", _PEM_FILE) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Failure(f"{source} has no private key that can be read", str(error), _PEM_FILE) from error
    found = _certificates_in(value, source)
    own = next((one for one in found if one.public_key() == key.public_key()), None)
    if own is None:
        why = f"its first certificate is {found[0].subject.rfc4514_string()}, of another key"
        raise Failure(f"the private key in {source} fits no certificate there", why, _PEM_FILE)
    pem = _pem([own, *(one for one in found if one != own)])
    for name in secret.names:
        if not keys.is_for(pem, name):
            why = f"its DNS names are: {', '.join(sorted(keys.names_of(pem))) or 'none'}"
            raise Failure(f"the certificate in {source} is not for {name}", why, "Have one made out to that name.")
    begins, ends = keys.validity(pem)
    if keys.has_ended(pem):
        raise Failure(f"the certificate in {source} has ended", f"it was valid until {ends}", "Give its successor.")
    if begins > datetime.now(UTC):
        why = f"it begins at {begins}"
        raise Failure(f"the certificate in {source} is not valid yet", why, "Wait, or set this machine's clock.")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() + pem


def _certificates_in(value: str, source: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(value.encode())
    except ValueError as error:
        raise Failure(f"{source} has no certificates that can be read", str(error), _PEM_FILE) from error


def _refusal(pem: str, trusted: str, name: str) -> str:
    """Why a client would not go on with a server that has this certificate, found by a handshake; empty if it would."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=trusted)
    # Servers' Python, before 3.13, takes nothing but a root for the end of the chain.
    client.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        keys.present(server, pem)
        ends = client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)
        for end in (*ends, ends[0]):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except ssl.SSLError as error:
        return str(error)
    return ""


def _pem(certificates: Iterable[x509.Certificate]) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)
