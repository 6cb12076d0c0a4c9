"""A file on a server, and how it is made: from components/guest, as it is or as a template."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

SOURCES = Path(__file__).parent.parent / "components" / "guest"


@dataclass(frozen=True)
class File:
    """A file on a server; `owner` is user:group."""

    content: str
    mode: int = 0o644
    owner: str = "root:root"


@dataclass(frozen=True)
class SecretFile:
    """A file that is made from the secrets of these names (`blueprint.secrets`) once their values are known.

    While a secret is rotated, `render` is given its values of every stage.
    """

    secrets: tuple[str, ...]
    render: Callable[[Mapping[str, str]], str]
    mode: int = 0o600
    owner: str = "root:root"


def verbatim(secret: str, owner: str = "root:root") -> SecretFile:
    """A file that is a secret's value as it is."""
    return SecretFile((secret,), lambda values: values[secret], 0o600, owner)


def template(path: str, secrets: tuple[str, ...], context: Mapping[str, Any], owner: str = "root:root") -> SecretFile:
    """A file made from a template, in which `secret` has the values of these secrets by name."""
    return SecretFile(secrets, lambda values: render(path, {**context, "secret": values}), 0o600, owner)


def text(path: str) -> str:
    """A file of components/guest, as it is."""
    return (SOURCES / path).read_text()


def render(path: str, context: Mapping[str, Any]) -> str:
    """A template of components/guest, filled in."""
    return _ENVIRONMENT.get_template(path).render(context)


def _password_variable(service: str) -> str:
    """The environment variable that holds the password of a service's database role."""
    return f"PERENNE_DATABASE_{service.upper().replace('-', '_')}_PASSWORD"


def _fingerprint(secret: str) -> str:
    """Tells a secret drawn by chance from its successor, and nothing about either: 32 bits of its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(SOURCES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # configuration files, not HTML; the values are checked by blueprint.settings
    )
    environment.filters |= {"fingerprint": _fingerprint, "password_variable": _password_variable, "quote": quote}
    return environment


_ENVIRONMENT = _environment()
