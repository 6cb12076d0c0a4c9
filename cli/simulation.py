"""A preview of any stack without its site: against the lab's simulated vCenter on the loopback interface.

Everything is thrown away afterwards: the secrets, Pulumi's state, and the copy of the stack file, which differs in the
vCenter's address and in what `init` adds: secrets, and SSH keys of hosts. The simulated vCenter has what a new site
has: nothing. So a preview shows every resource of the stack as it would be made at first.
"""

import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

from blueprint.keys import public_key
from blueprint.loading import NAMESPACE
from blueprint.secrets import Kind, Secret, is_secret_name, secrets_of
from cli.engine import Engine
from cli.toolchain import Pulumi
from lab import certificates
from machine.failure import Failure
from machine.files import PRIVATE, write
from stack import keys
from stack.workspace import Stack, link_program

_ADDRESS = "127.0.0.1"
_START_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_END_SECONDS = 5.0


@contextmanager
def simulated(stack: Stack, pulumi: Pulumi, vcenter: Path, progress: Callable[[str], None]) -> Iterator[Engine]:
    """An engine whose stack is the given one, new, on a simulated vCenter; both end with the block.

    Args:
        stack: Which stack file.
        pulumi: The engine's files.
        vcenter: The program of the simulated vCenter.
        progress: Is told what happens.

    Raises:
        Failure: The simulated vCenter does not start.
        StackFileError: The stack file can't be used.
    """
    with tempfile.TemporaryDirectory(prefix="perenne-check-") as name:
        scratch = Path(name)
        authority = certificates.ensure_authority(scratch / "authority", "Perenne check")
        bundle = scratch / "ca-bundle.crt"
        certificates.write_bundle(bundle, authority)
        values = _throw_away(stack)
        ports = _free_ports()
        folder = _project(scratch / "project", stack, f"{_ADDRESS}:{ports[0]}", values)
        passphrase = scratch / "passphrase"
        write(passphrase, secrets.token_urlsafe().encode(), PRIVATE)
        (scratch / "state").mkdir()
        password = scratch / "vcenter-password"
        write(password, values["vcenter-password"].encode(), PRIVATE)
        certificate = certificates.ensure_server(scratch / "vcenter", (_ADDRESS, "localhost"), authority)
        options = {
            "listen": f"{_ADDRESS}:{ports[0]}",
            "lab-listen": f"{_ADDRESS}:{ports[1]}",
            "engine": "none",  # without hosts and guests, so that no Docker is needed
            "user": stack.settings.vcenter.user,
            "password-file": password,
            "state": scratch / "datastores",
            "cert": certificate.certificate,
            "key": certificate.key,
        }
        with _running([vcenter, *(f"-{name}={value}" for name, value in options.items())], ports[0]):
            progress(f"simulated vCenter on {_ADDRESS}:{ports[0]}")
            extra = {
                "PULUMI_BACKEND_URL": (scratch / "state").as_uri(),
                "PULUMI_CONFIG_PASSPHRASE": passphrase.read_text(),
                "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
                "SSL_CERT_FILE": str(bundle),
                "NO_PROXY": _ADDRESS,
                "no_proxy": _ADDRESS,
            }
            engine = Engine(stack, pulumi, extra, folder)
            engine.ensure_stack()
            yield engine


def _throw_away(stack: Stack) -> dict[str, str]:
    """Secrets of the right form, which open nothing."""
    made: dict[str, str] = {}
    for secret in secrets_of(stack.settings):
        made[secret.name] = keys.make(secret, made.get("tls-authority", ""))
    return made


def _project(folder: Path, stack: Stack, server: str, values: dict[str, str]) -> Path:
    """The program with another stack file: links to the working copy, and a private folder of its own."""
    link_program(folder)
    write(folder / stack.file.name, yaml.safe_dump({"config": _config(stack, server, values)}).encode(), PRIVATE)
    return folder


def _config(stack: Stack, server: str, values: dict[str, str]) -> dict[str, Any]:
    described = {
        key: value
        for key, value in stack.config.items()
        if not (key.startswith(NAMESPACE) and is_secret_name(key.removeprefix(NAMESPACE)))
    }
    vcenter = {key: value for key, value in described[f"{NAMESPACE}vcenter"].items() if key != "address"}
    described[f"{NAMESPACE}vcenter"] = {**vcenter, "server": server}
    known = stack.settings.host_keys
    described[f"{NAMESPACE}host_keys"] = {host: known.get(host) or _host_key() for host in stack.settings.hosts}
    return described | {NAMESPACE + name: value for name, value in values.items()}


def _host_key() -> str:
    """A host's SSH key, which `init` learns from the site."""
    return public_key(keys.make(Secret("ssh-host-key", Kind.SSH_KEY, "a host that there is not")))


def _free_ports() -> tuple[int, int]:
    with closing(socket.socket()) as first, closing(socket.socket()) as second:
        first.bind((_ADDRESS, 0))
        second.bind((_ADDRESS, 0))
        return first.getsockname()[1], second.getsockname()[1]


@contextmanager
def _running(command: Sequence[str | Path], port: int) -> Iterator[None]:
    """Run the simulated vCenter, from when it answers on its port to the end of the block."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdout=log, stderr=log) as process,
    ):
        try:
            _await(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(process: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((_ADDRESS, port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            why = "\n".join(log.read().decode(errors="replace").splitlines()[-5:]) or "it does not answer"
            raise Failure("the simulated vCenter does not start", why, "Mend that, then run this again.")
        time.sleep(_PAUSE_SECONDS)
