"""From configuration to `Settings`: the one place where a stack file is read and checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from blueprint import mistakes, secrets
from blueprint.mistakes import Mistake, StackFileError
from blueprint.settings import Settings

NAMESPACE = "perenne:"


def settings_from_file(file: Path) -> Settings:
    """Read `Pulumi.<stack>.yaml`.

    Raises:
        StackFileError: The file can't be read as YAML, or what it says can't be a site.
    """
    return settings_from_config(config_of(file), file.name)


def config_of(file: Path) -> dict[str, Any]:
    """The `config:` block of a stack file; encrypted values are mappings with the key `secure`."""
    try:
        document = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise StackFileError(
            file.name, [Mistake("", None, "there is no such file", "see Pulumi.dev.yaml for one")]
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise StackFileError(file.name, [Mistake("", None, f"is not YAML: {problem}", "correct the syntax")]) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise StackFileError(file.name, [Mistake("", None, "has no config: block", "see Pulumi.dev.yaml for one")])
    return config


def settings_from_config(config: Mapping[str, Any], source: str) -> Settings:
    """Check a stack's configuration, whose keys carry their namespace; other namespaces than ours are ignored.

    Values may be JSON text, as Pulumi hands structured configuration to a program, or the values themselves.

    Raises:
        StackFileError: What it says can't be a site; `source` is the file that its messages name.
    """
    ours = {key.removeprefix(NAMESPACE): value for key, value in config.items() if key.startswith(NAMESPACE)}
    plain = {key: _value(value) for key, value in ours.items() if not secrets.is_secret_name(key)}
    try:
        return Settings.model_validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        raise StackFileError(source, mistakes.from_pydantic(error, Settings)) from None


def _value(value: object) -> object:
    """Undo the text form in which Pulumi hands over anything but a string."""
    if not isinstance(value, str):
        return value
    try:
        decoded = json.loads(value)
    except json.JSONDecodeError:
        return value
    return decoded if isinstance(decoded, dict | list | bool) else value
