"""Mistakes in a stack file, each as one line that names the file, the field, the value and the remedy."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        return f"perenne:{self.field}{shown}: {self.problem}; {self.remedy}"


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
    """Put pydantic's findings about `model` into our words."""
    mistakes: list[Mistake] = []
    for detail in error.errors(include_url=False):
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, MistakesError):
            mistakes.extend(cause.mistakes)
        else:
            mistakes.append(_from_detail(detail, model))
    return mistakes


def _from_detail(detail: "ErrorDetails", model: type["BaseModel"]) -> Mistake:
    field = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    value = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            return Mistake(field, value, "unknown key", _suggestion(detail["loc"], model))
        case "missing":
            return Mistake(field, None, "is missing", "add it (docs/settings.md describes every key)")
        case "value_error":  # of Python's ipaddress, the only types that raise one
            problem = (
                f"is not what it should be: {cause}" if (cause := detail.get("ctx", {}).get("error")) else "is wrong"
            )
            remedy = "write an address like 198.18.20.11, a network like 198.18.20.0/24, without host bits"
            return Mistake(field, value, problem, remedy)
        case "string_pattern_mismatch":
            pattern = detail.get("ctx", {}).get("pattern", "")
            return Mistake(field, value, "has the wrong form", f"it must match {pattern}")
        case _:
            message = detail["msg"]
            return Mistake(field, value, message[0].lower() + message[1:], "correct the value")


def _suggestion(location: Sequence[int | str], model: type["BaseModel"]) -> str:
    """Name the known key that an unknown one at `location` most resembles."""
    known = _keys_at(location[:-1], model)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"remove it or use one of: {', '.join(sorted(known))}"


def _keys_at(location: Sequence[int | str], model: type["BaseModel"]) -> list[str]:
    """Return the keys that the model found by following `location` from `model` has."""
    for position, part in enumerate(location):
        field = model.model_fields.get(str(part))
        if field is None:
            return []
        annotation = field.annotation
        if hasattr(annotation, "model_fields"):
            model = annotation  # type: ignore[assignment]  # narrowed by the line above, which mypy can't see
            continue
        values = getattr(annotation, "__args__", ())
        if values and hasattr(values[-1], "model_fields"):  # dict[Name, Model]: skip the key
            return _keys_at(location[position + 2 :], values[-1])
        return []
    return list(model.model_fields)


_LONGEST_VALUE = 80


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else f"{value}"
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
