"""Running a provider as a Pulumi plugin: a gRPC server whose port goes to standard output, until the engine is gone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import Final

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

from offline.provider.servicer import Provider, Servicer

_OPTIONS: Final = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
"""400 MiB, like the engine itself: assets travel in messages."""
_ENGINE_PATIENCE: Final = 5.0
"""Seconds without the engine after which the plugin ends itself."""
_GRACE: Final = 3.0
"""Seconds in which interrupted operations end their processes and answer."""


def serve(provider: Provider) -> None:
    """Serves until the engine ends it (SIGINT, SIGTERM) or is gone. The last argument is the engine's address."""
    asyncio.run(_serve(provider, sys.argv[-1] if len(sys.argv) > 1 else ""))


class _Engine:
    """The connection back to the engine, for log lines."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS) if address else None
        self._lines: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def log(self, urn: str, line: str) -> None:
        """Shows a line at the resource while it is being worked on."""
        if self._channel is not None:
            self._lines.put_nowait((urn, line))

    async def flush(self) -> None:
        """Returns when every line has been shown."""
        await self._lines.join()

    async def send(self) -> None:
        """Sends lines in their order, for ever."""
        if self._channel is None:
            return
        stub = engine_pb2_grpc.EngineStub(self._channel)
        while True:
            urn, line = await self._lines.get()
            request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn, ephemeral=True)
            with contextlib.suppress(grpc.RpcError):  # an engine that is gone needs no log
                await stub.Log(request)
            self._lines.task_done()

    async def gone(self) -> None:
        """Returns when the engine can't be reached any more."""
        if self._channel is None:
            await asyncio.Event().wait()
            return
        await self._channel.channel_ready()
        while True:
            await self._channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
            try:
                await asyncio.wait_for(self._channel.channel_ready(), _ENGINE_PATIENCE)
            except TimeoutError:
                return


async def _serve(provider: Provider, address: str) -> None:
    engine = _Engine(address)
    servicer = Servicer(provider, engine.log, engine.flush)
    server = grpc.aio.server(options=_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    print(port, flush=True)

    sending = asyncio.create_task(engine.send())
    ends = [asyncio.create_task(told.wait()), asyncio.create_task(engine.gone())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    servicer.interrupt()
    await server.stop(_GRACE)
    for task in (sending, *ends):
        task.cancel()
