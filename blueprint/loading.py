"""From configuration to `Settings`: the one place where a stack file is read and checked."""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blueprint import mistakes, secrets
from blueprint.document import document_of
from blueprint.mistakes import Mistake, MistakesError, StackFileError
from blueprint.settings import Settings

NAMESPACE = "perenne:"

_LARGEST_BYTES = 1024 * 1024
"""More than a hundred times the stack file of three hosts and seven servers."""
_EXAMPLE = "see Pulumi.dev.yaml for an example"
_TOO_DEEP = Mistake("", None, "has lists or maps in one another, deeper than any setting", _EXAMPLE)


def settings_from_file(file: Path) -> Settings:
    """Read `Pulumi.<stack>.yaml`.

    Raises:
        StackFileError: The file can't be read as YAML, or what it says can't be a site.
    """
    config = config_of(file)
    if mixed_up := list(_encryption_mistakes(config)):
        raise StackFileError(file.name, mixed_up)
    return settings_from_config(config, file.name)


def config_of(file: Path) -> dict[str, Any]:
    """The `config:` block of a stack file; encrypted values are mappings with the key `secure`.

    Raises:
        StackFileError: There is no such file or block.
    """
    try:
        return _config_in(document_of(_text_of(file)))
    except MistakesError as error:
        raise StackFileError(file.name, error.mistakes) from None


def _config_in(document: object) -> dict[str, Any]:
    if document is None:
        raise MistakesError([Mistake("", None, "is empty", _EXAMPLE)])
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise MistakesError([Mistake("", None, "has no config: block with keys in it", _EXAMPLE)])
    if mistaken := list(_namespace_mistakes(config)):
        raise MistakesError(mistaken)
    return config


def _text_of(file: Path) -> str:
    try:
        if file.exists() and not file.is_file():
            raise MistakesError([Mistake("", None, "is not a file", "remove it, or give the stack another name")])
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise MistakesError([Mistake("", None, "has more than 1 MiB, which no site needs", _EXAMPLE)])
        return content.decode()
    except FileNotFoundError:
        raise MistakesError([Mistake("", None, "there is no such file", _EXAMPLE)]) from None
    except OSError as error:
        raise MistakesError([Mistake("", None, f"can't be read: {error.strerror}", "mend that")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = f"line {line}: byte {error.object[error.start]:#04x} is not UTF-8"
        raise MistakesError([Mistake("", None, problem, "save the file as UTF-8")]) from None


def _namespace_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Keys that would be passed over in silence, or refused by the engine, because of what is before their colon."""
    for key in config:
        namespace, colon, name = key.partition(":")
        if not colon:
            meant = f"did you mean {NAMESPACE}{key}?"
            yield Mistake("", None, f"config.{key}: a key needs a namespace", meant)
        elif key == NAMESPACE:
            yield Mistake("", None, f"config.{key}: a key needs a name after its namespace", "add it or remove the key")
        elif namespace != NAMESPACE[:-1] and difflib.get_close_matches(namespace, [NAMESPACE[:-1]], cutoff=0.7):
            yield Mistake("", None, f"config.{key}: unknown namespace", f"did you mean {NAMESPACE}{name}?")
    if not any(key.startswith(NAMESPACE) for key in config):
        yield Mistake("", None, f"has no setting: no key under config: begins with {NAMESPACE}", _EXAMPLE)


def _encryption_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Secrets that are in clear, of which no value is shown, and settings that are encrypted."""
    for key, value in config.items():
        name = key.removeprefix(NAMESPACE)
        encrypted = isinstance(value, dict) and value.keys() == {"secure"}
        if name == key or encrypted == secrets.is_secret_name(name):
            continue
        if encrypted:
            yield Mistake(name, "…", "is encrypted, which only secrets are", "write it in clear")
        else:
            remedy = "remove it, and change it where it is used; ./perenne init asks for secrets and encrypts them"
            yield Mistake(name, "…", "is in clear, under the name of a secret", remedy)


def settings_from_config(config: Mapping[str, Any], source: str) -> Settings:
    """Check a stack's configuration, whose keys carry their namespace; other namespaces than ours are ignored.

    Values may be JSON text, as Pulumi hands structured configuration to a program, or the values themselves.

    Raises:
        StackFileError: What it says can't be a site; `source` is the file that its messages name.
    """
    ours = {key.removeprefix(NAMESPACE): value for key, value in config.items() if key.startswith(NAMESPACE)}
    plain = {key: _value(value) for key, value in ours.items() if not secrets.is_secret_name(key)}
    try:
        # Keys become text, as in JSON, before they are put in order.
        text = json.dumps(plain, default=str)
        return Settings.model_validate_json(json.dumps(_in_order(json.loads(text))))
    except ValidationError as error:
        if any(detail["type"] == "json_invalid" for detail in error.errors(include_url=False)):
            raise StackFileError(source, [_TOO_DEEP]) from None
        raise StackFileError(source, mistakes.from_pydantic(error, Settings)) from None
    except RecursionError:
        raise StackFileError(source, [_TOO_DEEP]) from None
    except ValueError as error:  # an integer that nobody can write out
        raise StackFileError(source, [Mistake("", None, f"has a value that is none: {error}", "correct it")]) from None


def _in_order(settings: dict[str, Any]) -> dict[str, Any]:
    """All by name, as Pulumi hands them to the program, so that the command line has the same first path or service.

    Only servers keep their order, in which pages show them; who is first in a tier, `Settings.servers_of` says by name.
    """
    by_name: dict[str, Any] = json.loads(json.dumps(settings, sort_keys=True))
    return by_name | {"servers": settings["servers"]} if "servers" in settings else by_name


def _value(value: object) -> object:
    """Undo the text form in which Pulumi hands over anything but a string."""
    if not isinstance(value, str):
        return value
    try:
        decoded = json.loads(value)
    except json.JSONDecodeError:
        return value
    return decoded if isinstance(decoded, dict | list | bool) else value
