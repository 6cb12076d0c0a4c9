"""Runs a command and, at this one edge, turns what went wrong into one message for the user."""

import contextlib
import errno
import os
import sys
import traceback
from typing import NoReturn

from cli import signals
from cli.app import app
from cli.signals import Interrupted
from machine.failure import Failure

INTERRUPTED = 130


def main() -> NoReturn:
    """Run what the command line says."""
    signals.hear()
    # Docker's command line would follow `docker context`, and its library, which the lab uses, knows only DOCKER_HOST.
    os.environ["DOCKER_CONTEXT"] = "default"
    try:
        app(prog_name="./perenne")
    except SystemExit as exit_:
        if exit_.code == INTERRUPTED:
            _say("\nInterrupted; the next run goes on from here.")
        raise
    except Interrupted as interrupted:
        _say(f"\nInterrupted: {interrupted}. The next run goes on from here.")
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 (the edge: nobody else can tell the user)
        _say(_explained(error))
        sys.exit(1)
    sys.exit(0)


def _explained(error: Exception) -> str:
    """One message: what failed, why, what to do. Only what nobody foresaw goes to a log with its traceback."""
    # Imported when something went wrong, which is soon enough.
    from blueprint.mistakes import StackFileError  # noqa: PLC0415
    from offline.build import BuildError  # noqa: PLC0415

    match error:
        case Failure():
            return f"Error: {error.told}"
        case StackFileError():
            return f"{error}\nNothing was started or changed."
        case BuildError():
            return f"Error: {error}"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EROFS):
            return _no_space(error)
    from stack.workspace import log_file  # noqa: PLC0415

    text = "".join(traceback.format_exception(error))
    try:
        log_path = log_file("crash")
        log_path.write_text(text)
    except OSError:
        return f"Error: {error!r}\n{text}"
    return (
        f"Error: {type(error).__name__}: {error}\n  This should not happen: please report it with {log_path}\n"
        "  to do: run the command again; it goes on from where it was"
    )


def _no_space(error: OSError) -> str:
    path = error.filename2 or error.filename  # of a copy, the second one is where to
    where = f" at {path}" if path else ""
    return (
        f"Error: nothing can be written{where}\n  {error.strerror or error}\n"
        "  to do: make room (df shows where; ./perenne doctor what is needed), then run the command again"
    )


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
