"""Running the tools that build images."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.images.errors import EndedError, ImageError

_ENDED = {128 + signal.SIGINT, 128 + signal.SIGTERM}
"""With which status a tool ends that hears a signal, beside the negative one of a tool that does not."""


def run(
    command: Sequence[str | Path],
    *,
    tried: str,
    remedy: str,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run a tool that ends with its caller, even when that is killed, and return what it printed.

    Args:
        command: The tool and its arguments; no secrets, since every user of the machine can read them.
        tried: What the tool is run for, for the error.
        remedy: What a user can do when it fails, for the error.
        env: The whole environment, if not this process's.
        timeout: Seconds after which the tool is stopped.

    Raises:
        ImageError: The tool is missing, failed or took too long.
        EndedError: Somebody ended it.
    """
    try:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "TERM", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError(tried, str(error), "Install util-linux, which has setpriv.") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(tried, f"It did not end within {timeout} s.", remedy) from error
    if done.returncode < 0 or done.returncode in _ENDED:
        raise EndedError(tried, f"It was ended by a signal (status {done.returncode}).", "Run it again.")
    if done.returncode != 0:
        raise ImageError(tried, done.stdout, remedy)
    return done.stdout
