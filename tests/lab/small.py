"""A second, small site beside the one of the stack file: other addresses, other names, the same program."""

import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from docker import DockerClient

from blueprint.loading import config_of, settings_from_config
from blueprint.settings import Settings
from lab.equipment import LabSecrets
from lab.images.build import Images

NAME = "perenne-small"
STACK = Path(__file__).parents[2] / "Pulumi.dev.yaml"


def small_site(**changes: object) -> Settings:
    """The dev stack with addresses of its own; `changes` replace keys of the stack file."""
    config = config_of(STACK)
    config.pop("perenne:fencing")  # its hosts have no BMCs
    config |= {
        "perenne:vcenter": config["perenne:vcenter"] | {"server": "198.19.7.10"},
        "perenne:networks": {
            "management": {"cidr": "198.19.7.0/26"},
            "guests": {"cidr": "198.19.70.0/25", "gateway": "198.19.70.1", "mtu": 1400},
            "storage": {"a": {"cidr": "198.19.7.64/26"}, "b": {"cidr": "198.19.7.128/26"}},
        },
        "perenne:hosts": {
            name: {
                "address": f"198.19.7.{20 + number}",
                "storage": {"a": f"198.19.7.{84 + number}", "b": f"198.19.7.{148 + number}"},
                "cpus": 8,
                "memory_gib": 32,
            }
            for number, name in enumerate(config["perenne:hosts"])
        },
        "perenne:storage": {
            name: array | {"portals": {"a": "198.19.7.74", "b": "198.19.7.138"}}
            for name, array in config["perenne:storage"].items()
        },
        "perenne:servers": {
            name: server | {"address": server["address"].replace("198.18.20.", "198.19.70.")}
            for name, server in config["perenne:servers"].items()
        },
        "perenne:site": config["perenne:site"] | {"address": "198.19.70.100"},
        "perenne:database": config["perenne:database"] | {"address": "198.19.70.110"},
    }
    return settings_from_config(config | {f"perenne:{key}": value for key, value in changes.items()}, STACK.name)


def small_secrets() -> LabSecrets:
    """Secrets of one run."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    public = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    chap = (secrets.token_hex(8), secrets.token_hex(8))
    return LabSecrets(secrets.token_hex(16), secrets.token_hex(16), {"san01": chap}, public)


def small_images(engine: DockerClient) -> Images:
    """The images that were built last."""
    newest = {name: _newest(engine, name) for name in ("guest", "esxi", "san", "client", "vcenter")}
    return Images(**newest)


def _newest(engine: DockerClient, name: str) -> str:
    images = sorted(engine.images.list(f"perenne/{name}"), key=lambda image: str(image.attrs["Created"]))
    assert images, f"there is no image perenne/{name}: run ./perenne up"
    return str(images[-1].tags[0])
