"""`command:remote:Command`."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, ClassVar

from offline.command.command import LIFE, OUTPUT, PROCESS, Capture, Command, previous_output
from offline.command.connection import CONNECTION, connect
from offline.provider.resource import Call, Property, ProviderError

if TYPE_CHECKING:
    import asyncssh

    from offline.provider.values import Properties


class RemoteCommand(Command):
    """A command on another machine, over SSH."""

    urn_type: ClassVar[str] = "command:remote:Command"
    inputs: ClassVar[dict[str, Property]] = {**LIFE, **PROCESS, "connection": CONNECTION}
    outputs: ClassVar[dict[str, Property]] = OUTPUT

    async def run(self, command: str, inputs: Properties, previous: Properties, call: Call) -> Properties:
        """Runs a command with the user's login shell.

        As in pulumi-command, `environment` needs the server's AcceptEnv, and variables that it refuses are an error.
        The output of the run before is offered in the same way, but its refusal is no error.
        """
        capture = Capture(inputs.get("logging"), call)
        async with connect(inputs["connection"], call) as connection:
            environment = inputs.get("environment", {})
            await _require_accepted(connection, environment)
            status = await _run(
                connection,
                command,
                {**environment, **previous_output(inputs, previous)},
                inputs.get("stdin", ""),
                capture,
            )
        outputs = capture.end()
        if status:
            raise ProviderError(f"{status}: running {command!r}:\n{capture.both}")
        return outputs


async def _run(
    connection: asyncssh.SSHClientConnection, command: str, environment: dict[str, str], stdin: str, capture: Capture
) -> str:
    """Runs a command to its end; returns how it failed, or an empty text."""
    import asyncssh  # noqa: PLC0415

    try:
        process = await connection.create_process(command, env=environment, encoding="utf-8", errors="replace")
        try:
            await asyncio.gather(
                _write(process.stdin, stdin),
                _pump(process.stdout, "stdout", capture),
                _pump(process.stderr, "stderr", capture),
            )
            await process.wait_closed()
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):  # it ended by itself just now
                process.terminate()
            process.close()
            raise
    except asyncssh.Error as error:
        return f"the SSH connection broke ({error.reason})"
    if process.exit_signal is not None:
        return f"ended by signal {process.exit_signal[0]}"
    if process.exit_status is None:
        return "the SSH connection broke"
    return f"exit status {process.exit_status}" if process.exit_status else ""


async def _write(stream: asyncssh.SSHWriter[str], text: str) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a command need not read all of its input
        stream.write(text)
        stream.write_eof()
        await stream.drain()


async def _pump(stream: asyncssh.SSHReader[str], name: str, capture: Capture) -> None:
    while text := await stream.read(1 << 16):
        capture.feed(name, text)


async def _require_accepted(connection: asyncssh.SSHClientConnection, environment: dict[str, str]) -> None:
    """Raises `ProviderError` unless the server accepts these variables.

    The protocol's own answer can't be had from asyncssh, so a harmless command is asked which of the names arrive.
    """
    if not environment:
        return
    import asyncssh  # noqa: PLC0415

    mark = secrets.token_hex(8)
    shown = await connection.run(
        "env", stdin=asyncssh.DEVNULL, env=dict.fromkeys(environment, mark), encoding="utf-8", errors="replace"
    )
    arrived = set(str(shown.stdout).splitlines())
    refused = sorted(name for name in environment if f"{name}={mark}" not in arrived)
    if refused:
        raise ProviderError(
            f"the SSH server refuses the environment variables {', '.join(refused)}: name them in AcceptEnv of its "
            "sshd_config, or give their values on standard input"
        )
