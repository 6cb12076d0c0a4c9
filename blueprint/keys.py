"""What is public of a secret key, and what servers and clients trust while keys are rotated."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from blueprint.secrets import SITE_AUTHORITIES, Stage, accepted


def public_key(private_key: str) -> str:
    """Return the public half of an OpenSSH private key, in the one-line form of `authorized_keys`."""
    key = load_ssh_private_key(private_key.encode(), password=None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def certificate_of(bundle: str) -> str:
    """Leave the key out of a PEM bundle: a private key followed by certificates."""
    return bundle[bundle.index("-----BEGIN CERTIFICATE-----") :]


def authorities(values: Mapping[str, str]) -> str:
    """The certificates of the site's authority that are trusted: more than one while it is rotated (PEM)."""
    return "".join(certificate_of(bundle) for bundle in accepted(values, "tls-authority"))


def site_authorities(values: Mapping[str, str]) -> str:
    """What the site's certificate is verified by: those, and the authorities behind a given one (PEM).

    Both, as while a given certificate takes the place of the stack's own, balancers show either.
    """
    return authorities(values) + "".join(accepted(values, SITE_AUTHORITIES))


def authorized_keys(values: Mapping[str, str]) -> str:
    """The public keys by which Perenne may log in on servers, a line each."""
    return "".join(f"{public_key(key)}\n" for key in accepted(values, "ssh-key"))


def host_access(values: Mapping[str, str]) -> str:
    """What an ESXi host, whose other keys are not ours, is told of Perenne's: lines `accept KEY` and `refuse KEY`."""
    taken = [public_key(key) for key in accepted(values, "ssh-key")]
    gone = [public_key(values[key]) for key in (f"{Stage.RETIRED}ssh-key",) if key in values]
    return "".join([*(f"accept {key}\n" for key in taken), *(f"refuse {key}\n" for key in gone if key not in taken)])
