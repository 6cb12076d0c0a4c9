"""Runs in a process of the program's own, under the program's own interpreter; needs nothing but the SDK there.

`run.py program SETTINGS PATH [ARGUMENT…]` runs a Pulumi program: SETTINGS are the arguments of
`pulumi.runtime.Settings` as JSON, the configuration is in the environment. It exits with 0, with `SHOWN` when the user
has been told what is wrong, or with any other code.
`run.py module NAME [ARGUMENT…]` and `run.py path PATH [ARGUMENT…]` run a plugin as Python itself would.
"""

import asyncio
import json
import logging
import runpy
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SHOWN = 32
"""The exit code by which the official host, too, knows that the error is already on the screen."""


def main() -> None:
    """Run what the command line says."""
    # The engine ends its plugins by an interrupt of their whole process group: no reason for a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    kind, *rest = sys.argv[1:]
    if kind == "module":
        name, *sys.argv[1:] = rest
        sys.path[0] = str(Path.cwd())
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    elif kind == "path":
        sys.argv = rest
        sys.path[0] = _folder(Path(rest[0]))
        runpy.run_path(rest[0], run_name="__main__")
    else:
        settings, *sys.argv = rest
        sys.path[0] = _folder(Path(sys.argv[0]))
        sys.exit(run_program(json.loads(settings), Path(sys.argv[0])))


def run_program(settings: dict[str, Any], program: Path) -> int:
    """Run a program's top-level code, wait for its resources and return the exit code."""
    try:
        import pulumi  # noqa: PLC0415 (its absence is the user's to mend, with this message)
        import pulumi.runtime  # noqa: PLC0415
    except ImportError:
        traceback.print_exc()
        sys.stderr.write(
            f"The Pulumi SDK is not installed for {sys.executable}: "
            "`pulumi install` installs the program's requirements.\n"
        )
        return 1

    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings))
    if program.is_dir() and not (program / "__main__.py").is_file():
        pulumi.log.error(f"unable to find main python program `__main__.py` in `{program}`")
        return SHOWN

    # A program that fails leaves futures that nobody awaits; asyncio's complaints would bury the program's own message.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Every call to the engine blocks a thread while its resource is worked on.
    executor = ThreadPoolExecutor(max_workers=max(settings["parallel"], 1) * 4)
    loop.set_default_executor(executor)

    def top_level() -> None:
        runpy.run_path(str(program), run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(top_level))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return SHOWN
    except Exception as error:  # noqa: BLE001 (whatever a user's program raises is shown to its user)
        pulumi.log.error(f"Program failed with an unhandled exception:\n{_user_traceback(error, program)}")
        return SHOWN
    finally:
        executor.shutdown(wait=True)
        loop.close()
    return 0


def _user_traceback(error: BaseException, program: Path) -> str:
    """The traceback from the program's first own frame on: what is above it is this file and the SDK."""
    main_file = program / "__main__.py" if program.is_dir() else program
    frames = traceback.extract_tb(error.__traceback__)
    own = (index for index, frame in enumerate(frames) if Path(frame.filename).resolve() == main_file.resolve())
    return "".join(traceback.format_exception(error, limit=next(own, 0) - len(frames)))


def _folder(program: Path) -> str:
    return str(program if program.is_dir() else program.parent)


if __name__ == "__main__":
    main()
