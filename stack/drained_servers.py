"""Which servers `./perenne` took out of use: one that is stopped, which a drain is for, can't say so itself."""

from pydantic import TypeAdapter, ValidationError

from machine import files
from machine.failure import Failure
from stack.workspace import Stack

_NAMES = TypeAdapter(list[str])


def noted(stack: Stack) -> list[str]:
    """The servers that may be drained; what one of them says of itself counts more.

    Raises:
        Failure: It can't be understood.
    """
    file = stack.drained_file
    try:
        return _NAMES.validate_json(file.read_bytes())
    except FileNotFoundError:
        return []
    except ValidationError as error:
        why = f"{file} is not what a drain writes: {error}"
        remedy = f"If {stack.command('status')} reaches every server: rm {file}"
        raise Failure("it isn't known which servers are drained", why, remedy) from error


def note(stack: Stack, name: str) -> None:
    """A server is about to be taken out of use."""
    _write(stack, sorted({*noted(stack), name}))


def forget(stack: Stack, name: str) -> None:
    """It is in service again."""
    if name in (names := noted(stack)):
        _write(stack, [one for one in names if one != name])


def _write(stack: Stack, names: list[str]) -> None:
    if names:
        files.write(stack.drained_file, _NAMES.dump_json(names))
    else:
        stack.drained_file.unlink(missing_ok=True)
