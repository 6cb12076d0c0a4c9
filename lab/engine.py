"""The Docker engine: a running one, or one that is installed and started for the lab."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker import DockerClient
from docker.errors import DockerException

from lab.errors import LabError
from lab.images.progress import Progress
from lab.label import Label
from machine import apt, files, processes

SOCKET = Path("/var/run/docker.sock")
START_SECONDS = 60
STOP_SECONDS = 60
REQUEST_SECONDS = 60
"""One request to Docker; building images, which takes longer, doesn't go this way."""

NEEDED_BYTES = 6 * 2**30
"""Images, their layers while they are built, and the containers of a whole site."""

_PACKAGES = ("docker.io", "iptables")
_NO_DOCKER = "the lab has no Docker engine"


@dataclass(frozen=True)
class Engine:
    """The machine's Docker engine, seen from one working copy.

    A daemon started from here carries the label `perenne.clone=<clone>` on its command line. That is how `stop` finds
    it again, and it alone: no file has to be kept, and no process id can be mistaken for another's.
    """

    clone: Path

    @property
    def log(self) -> Path:
        """What a daemon started from here says."""
        return self.clone / ".perenne" / "dockerd.log"

    @property
    def socket(self) -> Path:
        """Where the engine listens."""
        return Path(os.environ.get("DOCKER_HOST", f"unix://{SOCKET}").removeprefix("unix://"))

    def find(self) -> DockerClient | None:
        """Connect to the engine if one runs.

        Raises:
            LabError: One runs, but the lab can't use it.
        """
        given = os.environ.get("DOCKER_HOST", "")
        if given and not given.startswith("unix://"):
            why = f"DOCKER_HOST is {given}, and the lab's addresses exist only on the machine that runs its containers"
            raise LabError(_NO_DOCKER, why, "Unset DOCKER_HOST, or run ./perenne on that machine.")
        try:
            client = docker.from_env(timeout=REQUEST_SECONDS)
            client.ping()
        except DockerException as error:
            if self.socket.exists() and not os.access(self.socket, os.R_OK | os.W_OK):
                why = f"this user may not use {self.socket}"
                remedy = "Run sudo ./perenne, or: sudo usermod -aG docker $USER, and log in again."
                raise LabError(_NO_DOCKER, why, remedy) from error
            if given:
                why = f"DOCKER_HOST is {given}, and nothing answers there ({error})"
                raise LabError(_NO_DOCKER, why, "Start that engine, or unset DOCKER_HOST.") from error
            return None
        _check_usable(client.info())
        return client

    def ensure(self, progress: Progress) -> DockerClient:
        """Connect to the running engine, or install (Debian, Ubuntu; as root) and start one.

        Raises:
            Failure: There is none, and none can be had.
        """
        return self.find() or self.start(progress, install=True)

    def start(self, progress: Progress, *, install: bool) -> DockerClient:
        """Start the engine that is installed; install it if asked to.

        Raises:
            LabError: It does not start, is not installed, or the user is not root.
            Failure: It can't be installed.
        """
        if os.geteuid() != 0:
            why = "none is running, and only root can install or start one"
            raise LabError(_NO_DOCKER, why, "Start Docker, or run sudo ./perenne.")
        if shutil.which("dockerd") is None:
            if not install:
                raise LabError(_NO_DOCKER, "it is not installed any more", "Install docker.io, then run this again.")
            self._install(progress)
            if client := self.find():  # a machine with an init system has started it
                return client
        if Path("/run/systemd/system").is_dir():
            progress("Docker: start the service docker, which stays with the machine's other services")
            _run(["systemctl", "start", "docker"], self.log, "Docker's service can't be started")
            return self._await(None)
        return self._start_daemon(progress)

    def stop(self, progress: Progress) -> None:
        """Stop the daemon that was started from this working copy, unless containers of others run in it.

        Raises:
            LabError: It does not end.
        """
        process = self._daemon()
        daemon = None if process is None else processes.opened(process)
        if process is None or daemon is None:
            return
        if (client := self.find()) and (others := client.containers.list()):
            names = ", ".join(sorted(str(other.name) for other in others))
            progress(f"Docker: goes on running for containers that are not this lab's: {names}")
            os.close(daemon)
            return
        progress("Docker: stop the engine that was started for the lab")
        containerd = [one for child in processes.children(process) if (one := processes.opened(child)) is not None]
        handles = [daemon, *containerd]
        try:
            signal.pidfd_send_signal(daemon, signal.SIGTERM)
            if not processes.wait_for_all(handles, STOP_SECONDS):
                why = f"dockerd or containerd still runs after {STOP_SECONDS} s:\n{files.tail(self.log)}"
                raise LabError("the Docker engine did not stop", why, f"The whole log is in {self.log}.")
        finally:
            for handle in handles:
                os.close(handle)

    def _install(self, progress: Progress) -> None:
        if shutil.which("apt-get") is None:
            why = "none is installed, and this machine has no apt-get to install Debian's docker.io with"
            raise LabError(_NO_DOCKER, why, "Install and start Docker 20.10 or later, then run this again.")
        progress(f"Docker: install Debian's packages {' and '.join(_PACKAGES)} with apt-get")
        apt.install(_PACKAGES, self.log.with_name("apt.log"), lambda line: progress(f"Docker: {line}"))

    def _start_daemon(self, progress: Progress) -> DockerClient:
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        progress(f"Docker: start the engine in the background; its log is {self.log}")
        with self.log.open("wb") as log:
            # A session of its own: a Ctrl-C meant for ./perenne must not end it.
            process = subprocess.Popen(
                ["dockerd", f"--label={Label.CLONE}={self.clone}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._await(process)

    def _await(self, process: "subprocess.Popen[bytes] | None") -> DockerClient:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if client := self.find():
                return client
            if process and process.poll() is not None:
                why = f"dockerd ended with status {process.returncode}:\n{files.tail(self.log)}"
                raise LabError("the Docker engine did not start", why, f"The whole log is in {self.log}.")
            time.sleep(0.1)
        why = f"it did not answer within {START_SECONDS} s:\n{files.tail(self.log)}"
        raise LabError("the Docker engine did not start", why, f"The whole log is in {self.log}.")

    def _daemon(self) -> int | None:
        """The process id of the daemon that was started from this working copy."""
        mark = f"--label={Label.CLONE}={self.clone}"
        for process in processes.every():
            arguments = processes.arguments(process)
            if arguments and Path(arguments[0]).name == "dockerd" and mark in arguments:
                return process
        return None


def check_space(client: DockerClient, cache: Path) -> None:
    """Check that there is room for building the lab's images: on Docker's disk and on that of the cache.

    Raises:
        LabError: There is not; it says where and how much is missing.
    """
    for what, directory in (("Docker's directory", Path(client.info()["DockerRootDir"])), ("the cache", cache)):
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if free < NEEDED_BYTES:
            missing = (NEEDED_BYTES - free) / 2**30
            raise LabError(
                "there is not enough disk space to build the lab",
                f"{what} {directory} has {free / 2**30:.1f} GiB free of the {NEEDED_BYTES / 2**30:.0f} that it takes",
                f"Free at least {missing:.1f} GiB there.",
            )


def _check_usable(info: Mapping[str, Any]) -> None:
    options = info.get("SecurityOptions") or []
    for form, found in {
        "rootless": any("name=rootless" in option for option in options),
        "of a user namespace of its own (userns-remap)": any("name=userns" in option for option in options),
        "Docker Desktop's": "Docker Desktop" in info.get("OperatingSystem", ""),
    }.items():
        if found:
            why = f"the one that runs is {form}: its containers can't be reached or equipped as the lab needs"
            raise LabError(_NO_DOCKER, why, "Use the machine's own engine, such as Debian's docker.io.")


def _run(command: Sequence[str], log: Path, what: str) -> None:
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("wb") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        why = f"{' '.join(command)} ended with status {done.returncode}:\n{files.tail(log)}"
        raise LabError(what, why, f"Mend that, then run this again. The whole log is in {log}.")
