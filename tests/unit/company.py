"""A company's authority, and what it signs for a site."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

KEY, OTHER_KEY, AUTHORITY_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(3))
"""The site's, nobody's, and that of every authority."""
NAME = "pnp.vmlabs.int"
HOURS = timedelta(hours=1)


def name(text: str) -> x509.Name:
    """A name that is nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key(of: rsa.RSAPrivateKey = KEY, *, encrypted: bool = False) -> str:
    """A private key, PEM."""
    encryption = BestAvailableEncryption(b"passphrase") if encrypted else NoEncryption()
    return of.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def certificate(
    subject: str,
    issuer: str,
    *names: str,
    begins: timedelta = -HOURS,
    ends: timedelta = timedelta(days=90),
    of: rsa.RSAPrivateKey = AUTHORITY_KEY,
) -> str:
    """A certificate, PEM; of the authorities' key it is an authority's."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(of.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=of is AUTHORITY_KEY, path_length=None), critical=True)
    )
    if names:
        dns_names = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(dns_names, critical=False)
    return builder.sign(AUTHORITY_KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass(frozen=True)
class Company:
    """Root and intermediate."""

    root: str = certificate("Root", "Root")
    intermediate: str = certificate("Intermediate", "Root")

    def site(self, *names: str, begins: timedelta = -HOURS, ends: timedelta = timedelta(days=90)) -> str:
        """What the company gives for a site: key, certificate and intermediate."""
        site = certificate("Site", "Intermediate", *(names or (NAME,)), begins=begins, ends=ends, of=KEY)
        return key() + site + self.intermediate
