"""YAML (and JSON, a part of it) in servers' files."""

from functools import lru_cache
from typing import Any

import yaml


class UnreadableError(Exception):
    """A document can't be read; the message holds nothing of it, since it may hold secrets."""


@lru_cache(maxsize=4096)
def document(text: str, path: str) -> Any:  # noqa: ANN401 (whatever the document is)
    """Read a document, once however often it occurs: servers of a tier share most of theirs. It must not be changed.

    Raises:
        UnreadableError: It isn't YAML.
    """
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):  # a date such as 2026-99-99 is a ValueError, and its text quotes it
        raise UnreadableError(f"{path} is not YAML") from None


def mapping(text: str, path: str) -> dict[str, Any]:
    """Read a document that must be a mapping; an empty one is one without keys.

    Raises:
        UnreadableError: It is something else.
    """
    found = document(text, path)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UnreadableError(f"{path} is not a mapping")
    return found


def section(found: object, key: str) -> dict[str, Any]:
    """A mapping in a mapping; empty where there is none, or something else is in its place."""
    inner = found.get(key) if isinstance(found, dict) else None
    return inner if isinstance(inner, dict) else {}


def entries(found: object, key: str) -> list[Any]:
    """A list in a mapping; empty where there is none, or something else is in its place."""
    inner = found.get(key) if isinstance(found, dict) else None
    return inner if isinstance(inner, list) else []


def switched_on(value: object) -> bool:
    """Whether a setting means yes, as YAML's readers and programs' own parsers have it."""
    return value is True or str(value).strip().lower() in ("true", "yes", "on", "1")


def switched_off(value: object) -> bool:
    """Whether a setting means no."""
    return value is False or str(value).strip().lower() in ("false", "no", "off", "0")
