"""Which Python runs a program: the `runtime` options of Pulumi.yaml and PulumiPolicy.yaml."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class UnsupportedOptionError(Exception):
    """The project asks for something that needs the official host, or for a virtual environment that isn't there."""


@dataclass(frozen=True)
class Interpreter:
    """A Python, of a virtual environment or not."""

    path: str
    virtualenv: Path | None = None

    @classmethod
    def of(cls, root: str, options: Mapping[str, object]) -> "Interpreter":
        """Choose as the official host does, with one difference.

        `virtualenv` (relative to the project's root) comes first, then `$PULUMI_PYTHON_CMD`. Then the official host
        takes the PATH's python3; this one takes its own interpreter, which has the SDK for certain.

        Raises:
            UnsupportedOptionError: A package manager or type checker is asked for that this host doesn't run.
        """
        for option in ("toolchain", "typechecker"):
            if option in options and options[option] != "pip":
                raise UnsupportedOptionError(f"runtime option {option}: {options[option]} needs the official Pulumi")
        if "virtualenv" in options:
            folder = Path(root) / str(options["virtualenv"])
            return cls(path=str(folder / "bin" / "python"), virtualenv=folder)
        command = os.environ.get("PULUMI_PYTHON_CMD")
        return cls(path=(command and shutil.which(command)) or sys.executable)

    def exists(self) -> bool:
        """Whether there is an executable."""
        return Path(self.path).is_file()

    def require(self) -> None:
        """Check that it exists.

        Raises:
            UnsupportedOptionError: It does not; the message says how to make it.
        """
        if not self.exists():
            raise UnsupportedOptionError(
                f"runtime option virtualenv: there is no virtual environment in {self.virtualenv}; "
                "`pulumi install` makes it and installs requirements.txt into it"
            )

    def activate(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment variables for its programs, as the virtual environment's own `activate` would set them."""
        if not self.virtualenv:
            return dict(environment)
        activated = {key: value for key, value in environment.items() if key != "PYTHONHOME"}
        activated["VIRTUAL_ENV"] = str(self.virtualenv)
        activated["PATH"] = os.pathsep.join(filter(None, [str(self.virtualenv / "bin"), environment.get("PATH")]))
        return activated
