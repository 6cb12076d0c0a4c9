"""The reference of the stack file, made from the settings' own descriptions: `python -m blueprint.reference`."""

import re
from enum import StrEnum
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from blueprint.settings import Settings

_HEAD = """\
# The stack file

`Pulumi.<stack>.yaml` describes one site; every key below belongs to the namespace `perenne:`. This page is made from
`blueprint/settings.py` by `python -m blueprint.reference`; a test fails where they differ. Keys without a default are
required. Secrets are not here: `./perenne init STACK` makes them and keeps them encrypted in the same file.
"""


def reference() -> str:
    """Return the page as Markdown: one table per model, in the order in which a stack file mentions them."""
    sections: list[str] = []
    queue: list[type[BaseModel]] = [Settings]
    for model in queue:  # grows while it is read
        sections.append(_section(model))
        queue.extend(found for field in model.model_fields.values() for found in _models(field) if found not in queue)
    return "\n".join([_HEAD, *sections])


def _section(model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field)} | {field.description} |"
        for name, field in model.model_fields.items()
    ]
    summary = (model.__doc__ or "").strip().split("\n")[0]
    title = "Top level" if model is Settings else model.__name__
    return "\n".join(
        [f"## {title}", "", summary, "", "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""]
    )


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]


def _type(field: FieldInfo) -> str:
    models = _models(field)
    if models:
        link = f"[{models[0].__name__}](#{models[0].__name__.lower()})"
        if get_origin(field.annotation) is dict:
            return f"{link} by name"
        return link if field.annotation is models[0] else f"{link} or none"
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", _plain(field.annotation)).replace("|", "or")


def _plain(annotation: Any) -> str:  # noqa: ANN401  # what typing gives has no common type
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f"`{word}`" for word in annotation)
    if isinstance(annotation, type) and not getattr(annotation, "__args__", ()):
        return annotation.__name__
    text = re.sub(r"Annotated\[(\w+),.*?\)\]", r"\1", str(annotation))
    text = re.sub(r"(?:typing\.)?Optional\[(\w+)\]", r"\1 or none", text)
    return text.replace("Literal[", "one of [").replace("NoneType", "none").replace("None", "none")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        return "; ".join(f"{key}: {value}" for key, value in default.model_dump(mode="json").items())
    return "none" if default is None else f"`{default}`" if default not in ((), {}, "") else "empty"


if __name__ == "__main__":
    print(reference(), end="")
