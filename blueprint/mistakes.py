"""Mistakes in a stack file, each as one line that names the file, the field, the value and the remedy."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blueprint.forms import WORDS

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong: which field, what it says, why that can't be, and what to do."""

    field: str
    value: object
    problem: str
    remedy: str

    def __str__(self) -> str:
        """The mistake in one line, without the file."""
        shown = "" if self.value is None else f" = {_shown(self.value)}"
        where = f"perenne:{self.field}{shown}: " if self.field else ""
        return f"{where}{self.problem}; {self.remedy}"


class MistakesError(ValueError):
    """All mistakes that a check found."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class StackFileError(Exception):
    """A stack file that can't be used; its text has one line per mistake."""

    def __init__(self, file: str, mistakes: Iterable[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(f"{file}: {mistake}" for mistake in self.mistakes))


def from_pydantic(error: "ValidationError", model: type["BaseModel"]) -> list[Mistake]:
    """Put pydantic's findings about `model` into our words: one for each thing that somebody wrote wrong."""
    details = error.errors(include_url=False)
    misnamed = {detail["loc"][:-1] for detail in details if detail["loc"][-1:] == ("[key]",)}
    misspelt = {
        (*detail["loc"][:-1], meant)
        for detail in details
        if detail["type"] == "extra_forbidden" and (meant := _meant(detail["loc"], model))
    }
    mistakes: dict[str, Mistake] = {}  # of alternatives (`ntp`: address or name), the last one found names both
    for detail in details:
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, MistakesError):
            return list(cause.mistakes)
        place = detail["loc"]
        within = [each["loc"] for each in details if each["loc"][: len(place)] == place and each["loc"] != place]
        consequence = (detail["type"] == "missing" and (place in misspelt or place[:-1] in misnamed)) or (
            detail["type"] == "too_short" and within  # only good entries are counted
        )
        if not consequence:
            found = _from_detail(detail, model)
            mistakes[found.field] = found
    return list(mistakes.values())


def _from_detail(detail: "ErrorDetails", model: type["BaseModel"]) -> Mistake:
    value, kind = detail["input"], detail["type"]
    field = ".".join(str(part) for part in detail["loc"] if part not in _NO_KEYS and "[" not in str(part))
    if kind == "extra_forbidden":  # its value is not shown: a password may stand where none is asked for
        return Mistake(field, None, "unknown key", _suggestion(detail["loc"], model))
    if kind == "missing":
        return Mistake(field, None, "is missing", f"add it: {_description(detail['loc'], model) or _PAGE}")
    problem, remedy = _told(kind, detail, _description(detail["loc"], model))
    if value is None:
        return Mistake(field, None, "has no value", remedy)
    return Mistake(field, value, problem, remedy)


_NO_KEYS = {"[key]", "constrained-str"}
"""What pydantic puts into a location beside keys: that the key is what is wrong, and which alternative was tried."""


_TOLD = {
    "value_error": (  # of Python's ipaddress, the only types that raise one
        "{error}",
        "write an address like 198.18.20.11, or for a cidr a network like 198.18.20.0/24, without host bits",
    ),
    "string_pattern_mismatch": ("has the wrong form", "write {words}"),
    "enum": ("is not a word that is known here", "{one_of}"),
    "literal_error": ("is not a word that is known here", "{one_of}"),
    "string_type": ("is not text", "write text, in quotes where YAML sees something else{meaning}"),
    "string_too_short": ("is empty or too short", "write it{meaning}"),
    "int_type": ("is not a whole number", "write one without quotes and without a decimal point"),
    "float_type": ("is not a number", "write one without quotes, such as 0.5"),
    "bool_type": ("is neither true nor false", "write true or false, without quotes"),
    "greater_than": ("is too small", "write more than {gt:g}"),
    "greater_than_equal": ("is too small", "write at least {ge:g}"),
    "less_than_equal": ("is too large", "write at most {le:.0f}"),
    "too_short": ("has too few entries", "write at least {min_length}"),
    "tuple_type": ("is not a list", "write its entries in brackets: [one, another]"),
    "dict_type": ("is not a map", "write keys and values below it, as docs/settings.md describes them"),
    "model_type": ("is not a map", "write keys and values below it, as docs/settings.md describes them"),
}
"""Problem and remedy by pydantic's kind of error (its "Validation Errors")."""


def _told(kind: str, detail: "ErrorDetails", meaning: str) -> tuple[str, str]:
    """The problem and the remedy of a finding about a key of that meaning."""
    value, context = detail["input"], detail.get("ctx", {})
    if kind == "string_type" and isinstance(value, list | dict):
        return "is not one piece of text", "write one value, not a list or a map"
    if kind not in _TOLD:
        message = detail["msg"]
        return message[0].lower() + message[1:], f"correct the value ({_PAGE})"
    more = {
        "words": WORDS.get(context.get("pattern", "")),
        "one_of": _one_of(value, context.get("expected", "")),
        "meaning": f": {meaning}" if meaning else "",
    }
    problem, remedy = (text.format(**context, **more) for text in _TOLD[kind])
    return problem, remedy


def _one_of(value: object, expected: str) -> str:
    """Suggest one of pydantic's quoted words: `'dev' or 'prod'`."""
    words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    close = difflib.get_close_matches(str(value), words, n=1)
    return f"did you mean {close[0]}?" if close else f"use one of: {', '.join(words)}"


def _suggestion(location: Sequence[int | str], model: type["BaseModel"]) -> str:
    """Say what to do about an unknown key."""
    if meant := _meant(location, model):
        return f"did you mean {meant}?"
    return f"remove it or use one of: {', '.join(sorted(_keys_at(location[:-1], model)))}"


def _meant(location: Sequence[int | str], model: type["BaseModel"]) -> str | None:
    """The known key that an unknown one at `location` resembles most, if it resembles any."""
    return next(iter(difflib.get_close_matches(str(location[-1]), _keys_at(location[:-1], model), n=1)), None)


def _description(location: Sequence[int | str], model: type["BaseModel"]) -> str:
    """What the key at `location` is for, as docs/settings.md has it; empty for an entry of a list or map."""
    found = _model_at(location[:-1], model)
    field = found.model_fields.get(str(location[-1])) if found else None
    return (field.description or "").rstrip(".") if field else ""


def _keys_at(location: Sequence[int | str], model: type["BaseModel"]) -> list[str]:
    found = _model_at(location, model)
    return list(found.model_fields) if found else []


def _model_at(location: Sequence[int | str], model: type["BaseModel"]) -> type["BaseModel"] | None:
    """The model found by following `location` from `model`."""
    for position, part in enumerate(location):
        field = model.model_fields.get(str(part))
        if field is None:
            return None
        annotation = field.annotation
        if hasattr(annotation, "model_fields"):
            model = annotation  # type: ignore[assignment]  # narrowed by the line above, which mypy can't see
            continue
        values = getattr(annotation, "__args__", ())
        if values and hasattr(values[-1], "model_fields"):  # dict[Name, Model]: skip the key
            return _model_at(location[position + 2 :], values[-1])
        return None
    return model


_PAGE = "docs/settings.md describes it"
_LONGEST_VALUE = 80


def _shown(value: object) -> str:
    """A value in one line, as a stack file would have it."""
    if isinstance(value, str):
        text = repr(value)
    else:
        text = (
            json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, bool | list | dict) else f"{value}"
        )
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
