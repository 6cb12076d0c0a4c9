"""esxcli's command line: namespaces, commands and their options."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import EsxcliError
from .host import Host
from .output import Result

Options = Mapping[str, str]
Run = Callable[[Host, Options], Result]
R = TypeVar("R", bound=Run)
TRUE, FALSE = ("true", "1", "yes", "y"), ("false", "0", "no", "n")


@dataclass(frozen=True)
class Option:
    """An option of a command."""

    name: str
    letter: str
    required: bool = False
    choices: tuple[str, ...] = ()
    flag: bool = False
    """It takes no value."""
    repeats: bool = False
    """It may be given more than once; its values arrive with a space between them."""

    def __str__(self) -> str:
        return f"-{self.letter}|--{self.name}"

    def check(self, value: str) -> str:
        """Return the value, if it is one of the option's."""
        if self.choices and value not in self.choices:
            raise EsxcliError(f"Invalid value for option {self}: {value}. Choose from {', '.join(self.choices)}")
        return value


@dataclass(frozen=True)
class Command:
    """A command with its options."""

    path: tuple[str, ...]
    options: tuple[Option, ...]
    run: Run

    @property
    def usage(self) -> str:
        """How it is called."""
        described = "".join(f"\n  {option}{' (required)' if option.required else ''}" for option in self.options)
        return f"Usage: esxcli {' '.join(self.path)} [cmd options]\n\nCmd options:{described or ' none'}"

    def parse(self, words: Sequence[str]) -> Options:
        """Return the options' values by name; those that were not given are not in it.

        Raises:
            EsxcliError: An option is unknown, has no value or a wrong one, or is missing.
        """
        values: dict[str, str] = {}
        rest = list(words)
        while rest:
            word = rest.pop(0)
            name, equals, value = word.partition("=")
            option = next((each for each in self.options if name in (f"--{each.name}", f"-{each.letter}")), None)
            if option is None:
                raise EsxcliError(f"Invalid option {name}\n\n{self.usage}")
            if option.flag:
                value = value or "true"
            elif not equals:
                if not rest:
                    raise EsxcliError(f"Option {option} needs a value\n\n{self.usage}")
                value = rest.pop(0)
            value = option.check(value)
            values[option.name] = (
                f"{values[option.name]} {value}" if option.repeats and option.name in values else value
            )
        for option in self.options:
            if option.required and option.name not in values:
                raise EsxcliError(f"Missing required parameter {option}\n\n{self.usage}")
        return values


COMMANDS: dict[tuple[str, ...], Command] = {}


def command(path: str, *options: Option) -> Callable[[R], R]:
    """Declare the function below as the command `path`."""

    def declare(run: R) -> R:
        words = tuple(path.split())
        COMMANDS[words] = Command(words, options, run)
        return run

    return declare


def find(words: Sequence[str]) -> tuple[Command, Sequence[str]]:
    """Return the command that the words begin with, and the words after it.

    Raises:
        EsxcliError: There is none; the message has the commands below the namespace, if the words name one.
    """
    names = tuple(words[: next((i for i, word in enumerate(words) if word.startswith("-")), len(words))])
    if names in COMMANDS:
        return COMMANDS[names], words[len(names) :]
    below = sorted({path[len(names)] for path in COMMANDS if path[: len(names)] == names})
    if not below:
        raise EsxcliError(f"Unknown command or namespace {' '.join(names)}")
    usage = " ".join(("Usage: esxcli", *names, "{cmd} [cmd options]"))
    raise EsxcliError(f"{usage}\n\nAvailable Namespaces and Commands:\n  " + "\n  ".join(below), prefix="")


def boolean(value: str) -> bool:
    """Read a boolean option's value.

    Raises:
        EsxcliError: It is not a boolean.
    """
    if value.lower() in (*TRUE, *FALSE):
        return value.lower() in TRUE
    raise EsxcliError(f"Invalid boolean value: {value}. Expected true or false")
