"""YAML (and JSON, a part of it) in servers' files."""

from functools import lru_cache
from typing import Any

import yaml


class UnreadableError(Exception):
    """A document can't be read; the message holds nothing of it, since it may hold secrets."""


@lru_cache(maxsize=128)
def document(text: str, path: str) -> Any:  # noqa: ANN401 (whatever the document is)
    """Read a document, once however often it occurs: servers of a tier share most of theirs. It must not be changed.

    Raises:
        UnreadableError: It isn't YAML.
    """
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        raise UnreadableError(f"{path} is not YAML") from None
