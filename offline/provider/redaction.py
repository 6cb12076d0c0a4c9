"""Keeping secrets out of messages: log lines and errors quote commands and their output, which may repeat a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from offline.provider.values import Properties, Secret, Value, reveal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from offline.provider.resource import Property

_SHOWN: Final = "[secret]"
_SHORTEST_LINE: Final = 8
"""Lines of a longer secret are hidden one by one, but not those so short that ordinary text contains them."""


class Redactor:
    """Replaces every secret text of some inputs by `[secret]`."""

    def __init__(self, spec: Mapping[str, Property], inputs: Properties) -> None:
        texts = {text for name, value in inputs.items() for text in _secrets(spec.get(name), value, secret=False)}
        lines = {line for text in texts for line in text.splitlines() if len(line) >= _SHORTEST_LINE}
        self._texts = sorted(texts | lines, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._texts:
            text = text.replace(secret, _SHOWN)
        return text


def _secrets(prop: Property | None, value: Value, *, secret: bool) -> Iterator[str]:
    """Secret texts in a value. Of an object of fixed shape only its secret fields: a connection's port is no secret."""
    if isinstance(value, Secret):
        yield from _secrets(prop, value.value, secret=True)
    elif isinstance(value, dict) and prop is not None and prop.fields:
        for name, item in value.items():
            inner = prop.fields.get(name)
            yield from _secrets(inner, item, secret=inner is not None and (inner.secret or bool(inner.fields)))
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _secrets(prop.items if prop else None, item, secret=secret)
    elif secret and isinstance(reveal(value), str) and value:
        yield value
