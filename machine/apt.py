"""Debian packages, installed with apt-get."""

import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from machine import files
from machine.failure import Failure

_INSTALL = ("install", "--yes", "--no-install-recommends")


def command_for(packages: Iterable[str]) -> str:
    """The one command with which a user installs them."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return " ".join([f"{sudo}apt-get", *_INSTALL, *packages])


def install(packages: Iterable[str], log: Path, progress: Callable[[str], None]) -> None:
    """Install packages as root; the lists of what there is are renewed where it takes that.

    Args:
        packages: Their names.
        log: Is begun afresh with what apt-get says.
        progress: Is told where it takes longer.

    Raises:
        Failure: They can't be installed.
    """
    packages = list(packages)
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log.write_bytes(b"")
    if _apt([*_INSTALL, *packages], log):
        return
    progress("the package lists are out of date; apt-get update, then again")
    if not (_apt(["update"], log) and _apt([*_INSTALL, *packages], log)):
        remedy = f"See whether apt-get update works here, then: {command_for(packages)}"
        raise Failure("packages can't be installed", files.tail(log), remedy, log=log)


def _apt(arguments: list[str], log: Path) -> bool:
    # Another apt-get, such as unattended-upgrades, is waited for. This one is in a session of its own, so that Ctrl-C
    # leaves it alone: a dpkg that was killed has to be mended by hand (dpkg --configure -a).
    command = ["apt-get", "--option=DPkg::Lock::Timeout=300", *arguments]
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
    return done.returncode == 0
