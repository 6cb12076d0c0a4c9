"""Debian packages that building the lab takes, and what they are for."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from machine import apt
from machine.failure import Failure
from stack.workspace import log_file


@dataclass(frozen=True)
class Package:
    """A package, the executable by which it is recognised, and why it is wanted."""

    name: str
    executable: str
    purpose: str

    @property
    def is_there(self) -> bool:
        """Whether the executable is on the PATH."""
        return shutil.which(self.executable) is not None


LAB = (
    Package("util-linux", "setpriv", "ends what ./perenne starts when it is killed"),
    Package("default-jdk-headless", "javac", "compiles PNP Manager"),
    Package("maven", "mvn", "builds PNP Manager, fetches WildFly"),
    Package("mmdebstrap", "mmdebstrap", "makes the guests' root file system where Docker Hub does not answer"),
    Package("openssh-client", "ssh", "./perenne ssh and logs"),
)
DOCKER = Package("docker-cli", "docker", "builds images; Debian 13 has it apart from docker.io")
BROWSER = Package("chromium", "chromium", "opens the page in the lab's tests")


def missing(packages: Iterable[Package]) -> list[Package]:
    """Those that are not there."""
    return [package for package in packages if not package.is_there]


def command_for(packages: Iterable[Package]) -> str:
    """The one command that installs them."""
    return apt.command_for(package.name for package in packages)


def ensure(packages: Iterable[Package], progress: Callable[[str], None]) -> None:
    """Install what is missing, as root; say so first.

    Raises:
        Failure: Something is missing and can't be installed.
    """
    wanted = missing(packages)
    if not wanted:
        return
    what = "; ".join(f"{package.name} ({package.purpose})" for package in wanted)
    if shutil.which("apt-get") is None:
        raise Failure(
            "programs are missing, and this machine has no apt-get",
            what,
            f"Install what has these: {', '.join(package.executable for package in wanted)}",
        )
    if os.geteuid() != 0:
        raise Failure("packages are missing, and only root can install them", what, f"Run: {command_for(wanted)}")
    names = [package.name for package in wanted]
    progress(f"install {', '.join(names)} with apt-get")
    apt.install(names, log_file("apt"), progress)
