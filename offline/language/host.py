"""The server that the engine talks to."""
# ruff: noqa: N802 (the protocol names the calls)

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from google.protobuf.empty_pb2 import Empty

from offline.language.interpreter import Interpreter, UnsupportedOptionError
from offline.language.protocol import messages, plugin_messages, services
from offline.language.run import SHOWN

RUN = str(Path(__file__).with_name("run.py"))
MESSAGE_LIMIT = 400 * 1024 * 1024
"""Bytes; the limit of the engine and of the SDKs."""
GRACE = 2.0
"""Seconds between asking a process to end and killing it."""

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Process: TypeAlias = asyncio.subprocess.Process


async def serve(engine: str) -> None:
    """Serve until the engine interrupts this process or is gone; then end the programs that still run."""
    options = [("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)]
    server = grpc.aio.server(options=options)
    host = LanguageHost(engine)
    services.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()

    watch = asyncio.create_task(_stop_with_engine(engine, stop))
    await stop.wait()
    watch.cancel()
    await host.end_children()
    await server.stop(grace=GRACE)


async def _stop_with_engine(engine: str, stop: asyncio.Event) -> None:
    """See the engine's port close: an engine that was killed interrupts nobody."""
    async with grpc.aio.insecure_channel(engine) as channel:
        state = channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            await channel.wait_for_state_change(state)
            state = channel.get_state(try_to_connect=True)
    stop.set()


class LanguageHost(services.LanguageRuntimeServicer):
    """The calls of `pulumirpc.LanguageRuntime`, except those that generate code."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._programs: set[Process] = set()
        self._plugins: set[Process] = set()
        self._cancelled = False

    async def end_children(self) -> None:
        """End whatever still runs, and return when it has ended."""
        self._cancelled = True
        await asyncio.gather(*map(_end, self._programs | self._plugins))

    async def Handshake(
        self, _request: messages.LanguageHandshakeRequest, _context: Context
    ) -> messages.LanguageHandshakeResponse:
        """Accept every engine."""
        return messages.LanguageHandshakeResponse()

    async def GetPluginInfo(self, _request: Empty, _context: Context) -> plugin_messages.PluginInfo:
        """Give the SDK's version."""
        from importlib.metadata import version  # noqa: PLC0415 (a preview can do without it)

        return plugin_messages.PluginInfo(version=version("pulumi"))

    async def GetRequiredPackages(
        self, _request: messages.GetRequiredPackagesRequest, _context: Context
    ) -> messages.GetRequiredPackagesResponse:
        """Name none: the engine would download what is named here, and finds the plugins on the PATH when used."""
        return messages.GetRequiredPackagesResponse()

    async def GetRequiredPlugins(
        self, _request: messages.GetRequiredPluginsRequest, _context: Context
    ) -> messages.GetRequiredPluginsResponse:
        """Name none, for the same reason; older engines ask here."""
        return messages.GetRequiredPluginsResponse()

    async def Run(self, request: messages.RunRequest, _context: Context) -> messages.RunResponse:
        """Run a program to its end."""
        if request.attach_debugger:
            return messages.RunResponse(error="the offline Python host runs no debugger; use the official Pulumi")
        try:
            python = Interpreter.of(request.info.root_directory, request.info.options)
            python.require()
        except UnsupportedOptionError as error:
            return messages.RunResponse(error=str(error))
        settings = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "stack": request.stack,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
        }
        environment = {
            **python.activate(os.environ),
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        program = str(Path(request.info.program_directory, request.info.entry_point))
        # Standard output and error are this process's own: the engine shows what arrives there.
        child = await asyncio.create_subprocess_exec(
            *(python.path, "-u", RUN, "program", json.dumps(settings), program, *request.args),
            cwd=request.pwd or None,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
        )
        async with _ended(child, self._programs):
            status = await child.wait()
        if self._cancelled or status == SHOWN:
            return messages.RunResponse(bail=True)
        if status < 0:
            return messages.RunResponse(error=f"Program was ended by {signal.Signals(-status).name}")
        return messages.RunResponse(error=f"Program exited with non-zero exit code: {status}" if status else "")

    async def RunPlugin(
        self, request: messages.RunPluginRequest, context: Context
    ) -> AsyncIterator[messages.RunPluginResponse]:
        """Run a policy pack (or another plugin that is a folder of Python), passing on what it prints."""
        python = await self._required(request.info, context)
        folder = request.info.program_directory
        if request.kind == "analyzer":
            arguments = ["module", "pulumi.policy", *request.args, folder]
        else:
            arguments = ["path", folder, *request.args]
        child = await asyncio.create_subprocess_exec(
            *(python.path, "-u", RUN, *arguments),
            cwd=request.pwd or None,
            env=python.activate(os.environ | dict(variable.split("=", 1) for variable in request.env)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with _ended(child, self._plugins):  # the engine ends a plugin by dropping this call
            async for stream, text in _output(child):
                if stream == "stdout":
                    yield messages.RunPluginResponse(stdout=text)
                else:
                    yield messages.RunPluginResponse(stderr=text)
            yield messages.RunPluginResponse(exitcode=await child.wait())

    async def Cancel(self, _request: Empty, _context: Context) -> Empty:
        """End the programs; the policy packs go on until the engine drops them, as it may still ask them."""
        self._cancelled = True
        await asyncio.gather(*map(_end, self._programs))
        return Empty()

    async def About(self, request: messages.AboutRequest, context: Context) -> messages.AboutResponse:
        """Say which Python runs the programs."""
        python = await self._required(request.info, context)
        version = await self._captured(context, python.path, "-c", "import platform; print(platform.python_version())")
        return messages.AboutResponse(executable=python.path, version=version.strip(), metadata={"toolchain": "pip"})

    async def GetProgramDependencies(
        self, request: messages.GetProgramDependenciesRequest, context: Context
    ) -> messages.GetProgramDependenciesResponse:
        """List the installed Python packages."""
        python = await self._required(request.info, context)
        which = [] if request.transitiveDependencies else ["--not-required"]
        listed = await self._captured(context, python.path, "-m", "pip", "list", "--format", "json", *which)
        return messages.GetProgramDependenciesResponse(
            dependencies=[
                messages.DependencyInfo(name=package["name"], version=package["version"])
                for package in json.loads(listed)
            ]
        )

    async def InstallDependencies(
        self, request: messages.InstallDependenciesRequest, context: Context
    ) -> AsyncIterator[messages.InstallDependenciesResponse]:
        """Make the virtual environment if there is none, and install requirements.txt into it."""
        python = await self._interpreter(request.info, context)
        folder = Path(request.info.program_directory)
        steps = []
        if python.virtualenv and not python.exists():
            steps.append([sys.executable, "-m", "venv", str(python.virtualenv)])
        if (folder / "requirements.txt").is_file():
            steps.append([python.path, "-m", "pip", "install", "-r", "requirements.txt"])
        for step in steps:
            child = await asyncio.create_subprocess_exec(
                *step,
                cwd=folder,
                env=python.activate(os.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with _ended(child, self._plugins):
                async for stream, text in _output(child):
                    if stream == "stdout":
                        yield messages.InstallDependenciesResponse(stdout=text)
                    else:
                        yield messages.InstallDependenciesResponse(stderr=text)
                status = await child.wait()
            if status:
                await context.abort(grpc.StatusCode.INTERNAL, f"`{' '.join(step)}` exited with {status}")

    async def _interpreter(self, info: messages.ProgramInfo, context: Context) -> Interpreter:
        try:
            return Interpreter.of(info.root_directory, info.options)
        except UnsupportedOptionError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise  # abort raises; its types don't say so

    async def _required(self, info: messages.ProgramInfo, context: Context) -> Interpreter:
        python = await self._interpreter(info, context)
        try:
            python.require()
        except UnsupportedOptionError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return python

    async def _captured(self, context: Context, *command: str) -> str:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        output, errors = await child.communicate()
        if child.returncode:
            message = f"`{' '.join(command)}` exited with {child.returncode}: {errors.decode().strip()}"
            await context.abort(grpc.StatusCode.INTERNAL, message)
        return output.decode()


async def _output(child: Process) -> AsyncIterator[tuple[str, bytes]]:
    """The lines of both streams as they come, as ("stdout" or "stderr", line)."""
    lines: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()

    async def read(name: str, stream: asyncio.StreamReader | None) -> None:
        while stream and (text := await stream.read(64 * 1024)):
            lines.put_nowait((name, text))
        lines.put_nowait(None)

    readers = [asyncio.create_task(read(name, getattr(child, name))) for name in ("stdout", "stderr")]
    try:
        for _ in readers:
            while (line := await lines.get()) is not None:
                yield line
    finally:
        for reader in readers:
            reader.cancel()


@asynccontextmanager
async def _ended(child: Process, running: set[Process]) -> AsyncIterator[None]:
    """List the child as running; end it when the block ends, which is early when the engine drops the call."""
    running.add(child)
    try:
        yield
    finally:
        running.discard(child)
        await _end(child)


async def _end(child: Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        await asyncio.wait_for(child.wait(), GRACE)
    except TimeoutError:
        child.kill()
        await child.wait()
