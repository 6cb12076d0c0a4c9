"""How a drill reaches what it breaks: a shell on servers; in the lab also the containers that stand for machines."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

import asyncssh

from machine.failure import Failure
from stack import ssh
from stack.vault import Vault
from stack.workspace import Stack, lab_name

SHELL_SECONDS = 30.0
"""How long a script on a server may take."""

ContainerAction = Literal["kill", "pause", "unpause", "start"]


class Hands(Protocol):
    """Does things to a site."""

    async def shell(self, server: str, script: str, *, seconds: float = SHELL_SECONDS) -> str:
        """Run a Bash script as root on a server; returns what it printed, without spaces at either end.

        Raises:
            Failure: The server can't be reached, or the script failed.
        """
        ...

    async def container(self, action: ContainerAction, machine: str) -> str:
        """Do something to the container that stands for a machine; returns its state then, in Docker's words.

        Raises:
            Failure: There is none, or Docker refuses.
        """
        ...

    async def packets(self, machine: str, script: str) -> str:
        """Run a script in a machine's network namespace, with the tools of the machine that the lab runs on.

        Raises:
            Failure: There is none, or the script failed.
        """
        ...

    def starts(self, machine: str) -> AsyncGenerator[None]:
        """Every start of a machine's container, as it happens, without end.

        Raises:
            Failure: Docker tells no more.
        """
        ...


@dataclass(frozen=True)
class LabHands:
    """In the lab: without the network, so that a server that is cut off can be reached too."""

    stack: Stack

    async def shell(self, server: str, script: str, *, seconds: float = SHELL_SECONDS) -> str:
        """Run a script in the server's container."""
        command = ["docker", "exec", "--interactive", _container(server), "bash", "-euo", "pipefail", "-s"]
        return await self._run(command, f"a command on {server} failed", text=script, seconds=seconds)

    async def container(self, action: ContainerAction, machine: str) -> str:
        """Have Docker do it."""
        await self._run(["docker", action, _container(machine)], f"Docker could not {action} {machine}")
        inspect = ["docker", "inspect", "--format={{.State.Status}}", _container(machine)]
        return await self._run(inspect, f"Docker says nothing of {machine}")

    async def packets(self, machine: str, script: str) -> str:
        """Enter the container's network namespace alone; a machine that is off has none."""
        what = f"the network of {machine} can't be changed"
        process = await self._run(["docker", "inspect", "--format={{.State.Pid}}", _container(machine)], what)
        if process == "0":
            return ""
        command = ["nsenter", f"--target={process}", "--net", "bash", "-euo", "pipefail", "-s"]
        return await self._run(command, what, text=script)

    async def starts(self, machine: str) -> AsyncGenerator[None]:
        """Listen to Docker's events."""
        name = _container(machine)
        # Docker's filter takes a name for the beginning of one, too.
        filters = ["--filter=event=start", f"--filter=container={name}", "--format={{.Actor.Attributes.name}}"]
        command = ["docker", "events", *filters]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL, start_new_session=True)
        try:
            while process.stdout and (line := await process.stdout.readline()):
                if line.decode().strip() == name:
                    yield
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        what = f"it is not known whether {machine} is started again"
        raise Failure(what, "`docker events` has ended", f"Look at {self.stack.command('status')}.")

    async def _run(self, command: list[str], what: str, *, text: str = "", seconds: float = SHELL_SECONDS) -> str:
        """Run a program. Ctrl-C does not reach it: what was begun is finished, and then undone.

        Raises:
            Failure: It failed, or took too long.
        """
        remedy = f"Look at {self.stack.command('status')}."
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        try:
            async with asyncio.timeout(seconds):
                output, errors = await process.communicate(text.encode())
        except TimeoutError:
            raise Failure(what, f"it did not end within {seconds:g} s", remedy) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            why = errors.decode(errors="replace").strip() or f"status {process.returncode}"
            raise Failure(what, why, remedy)
        return output.decode(errors="replace").strip()


@dataclass(frozen=True)
class SshHands:
    """On a real site: over SSH, with the stack's own key."""

    stack: Stack
    vault: Vault

    async def shell(self, server: str, script: str, *, seconds: float = SHELL_SECONDS) -> str:
        """Log in and run the script."""
        login = ssh.login(self.stack, self.vault, server)
        try:
            async with asyncio.timeout(seconds), login as connection:
                done = await connection.run("bash -euo pipefail -s", input=script)
        except (OSError, TimeoutError, asyncssh.Error) as error:
            why = str(error) or f"no answer within {seconds:g} s"
            remedy = f"Look at {self.stack.command('logs', server)}"
            raise Failure(f"{server} can't be reached", why, remedy) from error
        if done.exit_status:
            remedy = f"Look there: {self.stack.command('ssh', server)}"
            raise Failure(f"a command on {server} failed", str(done.stderr).strip(), remedy)
        return str(done.stdout).strip()

    async def container(self, action: ContainerAction, machine: str) -> str:
        """Not on a real site: no such fault is offered there."""
        raise Failure(f"{machine} is no container", f"{action} is for the lab alone", "Choose another drill.")

    async def packets(self, machine: str, script: str) -> str:  # noqa: ARG002 (the protocol's)
        """Not on a real site: no such fault is offered there."""
        raise Failure(
            f"{machine} is no container", "its packets can't be filtered from outside", "Choose another drill."
        )

    async def starts(self, machine: str) -> AsyncGenerator[None]:
        """Not on a real site: no such fault is offered there."""
        raise Failure(f"{machine} is no container", "nobody tells when it starts", "Choose another drill.")
        yield  # makes it a generator


def hands_for(stack: Stack, vault: Vault) -> Hands:
    """The hands for a stack."""
    return LabHands(stack) if stack.is_lab else SshHands(stack, vault)


def _container(machine: str) -> str:
    return f"{lab_name()}-{machine}"
