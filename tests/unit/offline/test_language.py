"""The Python language host, driven as the engine drives it: a process, and gRPC in both directions."""
# ruff: noqa: ASYNC110, ASYNC240 (other processes write the files and end: there is no event to wait for)
# ruff: noqa: ARG002, D102, N802 (the protocol names the calls and their arguments)

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import pytest
import pytest_asyncio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import (
    analyzer_pb2_grpc,
    engine_pb2,
    engine_pb2_grpc,
    language_pb2,
    language_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

REPOSITORY = Path(__file__).resolve().parents[3]
SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # the protocol's, for a value that is secret
TIMEOUT = 20.0


Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


@dataclass
class Engine(engine_pb2_grpc.EngineServicer, resource_pb2_grpc.ResourceMonitorServicer):
    """The engine's two services, as far as a program without resources calls them."""

    logged: list[engine_pb2.LogRequest] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    async def Log(self, request: engine_pb2.LogRequest, context: Context) -> Empty:
        self.logged.append(request)
        return Empty()

    async def SupportsFeature(
        self, request: resource_pb2.SupportsFeatureRequest, context: Context
    ) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)

    async def RegisterResource(
        self, request: resource_pb2.RegisterResourceRequest, context: Context
    ) -> resource_pb2.RegisterResourceResponse:
        return resource_pb2.RegisterResourceResponse(urn=f"urn:pulumi:dev::site::{request.type}::{request.name}")

    async def RegisterResourceOutputs(
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: Context
    ) -> Empty:
        self.outputs.update(request.outputs)
        return Empty()

    async def SignalAndWaitForShutdown(self, request: Empty, context: Context) -> Empty:
        return Empty()

    def errors(self) -> list[str]:
        return [entry.message for entry in self.logged if entry.severity == engine_pb2.ERROR]


@dataclass
class Site:
    """A running host, its engine, and a folder for the program."""

    folder: Path
    engine: Engine
    server: grpc.aio.Server
    address: str
    process: asyncio.subprocess.Process
    host: Any  # the stub, whose types know synchronous channels only

    def write(self, program: str, name: str = "__main__.py") -> None:
        (self.folder / name).write_text(dedent(program))

    def info(self, **options: str) -> language_pb2.ProgramInfo:
        given = Struct()
        given.update(options)
        folder = str(self.folder)
        return language_pb2.ProgramInfo(root_directory=folder, program_directory=folder, entry_point=".", options=given)

    def request(
        self,
        config: Mapping[str, str] | None = None,
        secret: tuple[str, ...] = (),
        dry_run: bool = False,
        **options: str,
    ) -> language_pb2.RunRequest:
        return language_pb2.RunRequest(
            project="site",
            stack="dev",
            organization="organization",
            pwd=str(self.folder),
            monitor_address=self.address,
            parallel=4,
            dryRun=dry_run,
            config=config or {},
            configSecretKeys=secret,
            info=self.info(**options),
        )

    async def run(self, program: str, request: language_pb2.RunRequest | None = None) -> language_pb2.RunResponse:
        self.write(program)
        response: language_pb2.RunResponse = await self.host.Run(request or self.request(), timeout=TIMEOUT)
        return response

    async def pid(self) -> int:
        """The id that the program or pack writes to `pid` when it is running."""
        async with asyncio.timeout(TIMEOUT):
            while not (self.folder / "pid").exists():
                await asyncio.sleep(0.01)
        return int((self.folder / "pid").read_text())


BLOCKS = """
    import os, pathlib, threading
    pathlib.Path("pid.new").write_text(str(os.getpid()))
    pathlib.Path("pid.new").rename("pid")
    threading.Event().wait()
"""


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    engine, server = Engine(), grpc.aio.server()
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(engine, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "offline.language", address),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    port = int(await process.stdout.readline())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        host = language_pb2_grpc.LanguageRuntimeStub(channel)
        yield Site(tmp_path, engine, server, address, process, host)
        if process.returncode is None:
            process.kill()
        await process.communicate()
        await server.stop(grace=None)


async def gone(pid: int) -> bool:
    """Wait until no process has the id."""
    async with asyncio.timeout(TIMEOUT):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)
    return True


async def test_program_gets_configuration_and_keeps_secrets_secret(site: Site) -> None:
    response = await site.run(
        """
        import pulumi
        config = pulumi.Config()
        pulumi.export("plain", config.require("region"))
        pulumi.export("secret", config.require_secret("password"))
        pulumi.export("context", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])
        pulumi.export("preview", pulumi.runtime.is_dry_run())
        """,
        site.request(
            config={"site:region": "bogota", "site:password": "hush"}, secret=("site:password",), dry_run=True
        ),
    )
    assert (response.error, response.bail) == ("", False)
    outputs = site.engine.outputs
    assert outputs["plain"] == "bogota"
    assert SIGNATURE in outputs["secret"].values()
    assert outputs["secret"]["value"] == "hush"
    assert list(outputs["context"]) == ["site", "dev", "organization"]
    assert outputs["preview"] is True


async def test_update_is_no_preview(site: Site) -> None:
    await site.run("import pulumi; pulumi.export('preview', pulumi.runtime.is_dry_run())")
    assert site.engine.outputs["preview"] is False


async def test_program_imports_its_neighbours_late_too(site: Site) -> None:
    site.write("name = 'psexi02'", "run.py")  # also the name of the host's own script
    response = await site.run(
        """
        import pulumi
        def late(_):
            import run
            return run.name
        pulumi.export("name", pulumi.Output.from_input(1).apply(late))
        """
    )
    assert response.error == ""
    assert site.engine.outputs["name"] == "psexi02"


async def test_exception_is_shown_from_the_programs_first_line_on(site: Site) -> None:
    site.write("def place():\n    raise ValueError('no host left')\n", "placement.py")
    response = await site.run("import placement\nplacement.place()")
    assert (response.error, response.bail) == ("", True)
    (message,) = site.engine.errors()
    lines = message.splitlines()
    assert lines[0] == "Program failed with an unhandled exception:"
    assert lines[-1] == "ValueError: no host left"
    assert f'File "{site.folder / "__main__.py"}", line 2' in lines[2]
    assert "offline/language" not in message


async def test_run_error_is_shown_without_a_traceback(site: Site) -> None:
    response = await site.run("import pulumi\nraise pulumi.RunError('hosts: give at least three')")
    assert response.bail
    assert site.engine.errors() == ["hosts: give at least three"]


async def test_exit_code_is_reported(site: Site) -> None:
    response = await site.run("raise SystemExit(3)")
    assert (response.error, response.bail) == ("Program exited with non-zero exit code: 3", False)


async def test_missing_program_is_named(site: Site) -> None:
    response = await site.host.Run(site.request(), timeout=TIMEOUT)
    assert response.bail
    assert site.engine.errors() == [f"unable to find main python program `__main__.py` in `{site.folder}`"]


async def test_cancel_ends_the_program(site: Site) -> None:
    site.write(BLOCKS)
    running = site.host.Run(site.request(), timeout=TIMEOUT)
    pid = await site.pid()
    await site.host.Cancel(Empty(), timeout=TIMEOUT)
    assert not Path(f"/proc/{pid}").exists()
    assert (await running).bail


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_host_and_program(site: Site, number: signal.Signals) -> None:
    site.write(BLOCKS)
    running = asyncio.ensure_future(site.host.Run(site.request(), timeout=TIMEOUT))
    pid = await site.pid()
    site.process.send_signal(number)
    _, errors = await asyncio.wait_for(site.process.communicate(), TIMEOUT)
    assert (site.process.returncode, errors) == (0, b"")
    assert not Path(f"/proc/{pid}").exists()
    assert (await running).bail


async def test_host_and_program_end_with_a_killed_engine(site: Site) -> None:
    site.write(BLOCKS)
    asyncio.ensure_future(site.host.Run(site.request())).add_done_callback(lambda call: call.exception())
    pid = await site.pid()
    await site.server.stop(grace=None)
    await asyncio.wait_for(site.process.communicate(), TIMEOUT)
    assert not Path(f"/proc/{pid}").exists()


async def test_dropped_call_ends_the_program(site: Site) -> None:
    site.write(BLOCKS)
    running = site.host.Run(site.request(), timeout=TIMEOUT)
    asyncio.ensure_future(running).add_done_callback(lambda call: call.cancelled())
    pid = await site.pid()
    running.cancel()
    assert await gone(pid)


async def test_policy_pack_serves_until_the_engine_drops_it(site: Site) -> None:
    site.write(
        """
        from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy
        rule = ResourceValidationPolicy("no-single-points", "Nothing stands alone", lambda args, report: None)
        PolicyPack("perenne", enforcement_level=EnforcementLevel.MANDATORY, policies=[rule])
        """
    )
    site.write("runtime: python\nversion: 1.2.3\n", "PulumiPolicy.yaml")
    request = language_pb2.RunPluginRequest(
        pwd=str(site.folder), kind="analyzer", args=[site.address], info=site.info(), env=[f"MARK={site.folder}"]
    )
    call = site.host.RunPlugin(request)
    port = int((await asyncio.wait_for(call.read(), TIMEOUT)).stdout)
    (pid,) = (
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and f"MARK={site.folder}".encode() in environment(process)
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        pack = await analyzer_pb2_grpc.AnalyzerStub(channel).GetAnalyzerInfo(Empty(), timeout=TIMEOUT)
    assert (pack.name, [policy.name for policy in pack.policies]) == ("perenne", ["no-single-points"])
    await site.host.Cancel(Empty(), timeout=TIMEOUT)
    assert Path(f"/proc/{pid}").exists()
    call.cancel()
    assert await gone(pid)


def environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


async def test_failing_plugin_passes_on_its_output_and_exit_code(site: Site) -> None:
    site.write("import sys; print('out'); print('err', file=sys.stderr); sys.exit(4)")
    request = language_pb2.RunPluginRequest(pwd=str(site.folder), kind="resource", info=site.info())
    said: dict[str, Any] = {"stdout": b"", "stderr": b"", "exitcode": []}
    async for response in site.host.RunPlugin(request, timeout=TIMEOUT):
        kind = response.WhichOneof("output")
        said[kind] += [response.exitcode] if kind == "exitcode" else getattr(response, kind)
    assert said == {"stdout": b"out\n", "stderr": b"err\n", "exitcode": [4]}


async def test_virtual_environment_of_the_project_is_activated(site: Site) -> None:
    python = site.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    response = await site.run(
        """
        import os, pulumi
        pulumi.export("environment", os.environ["VIRTUAL_ENV"])
        pulumi.export("first", os.environ["PATH"].split(":")[0])
        """,
        site.request(virtualenv=".venv"),
    )
    assert response.error == ""
    assert site.engine.outputs == {"environment": str(site.folder / ".venv"), "first": str(python.parent)}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"virtualenv": ".venv"}, "no virtual environment in"), ({"toolchain": "poetry"}, "toolchain: poetry needs")],
)
async def test_options_that_cannot_be_honoured(site: Site, options: dict[str, Any], message: str) -> None:
    assert message in (await site.run("", site.request(**options))).error


async def test_questions_of_other_commands(site: Site) -> None:
    about = await site.host.About(language_pb2.AboutRequest(info=site.info()), timeout=TIMEOUT)
    assert Path(about.executable).samefile(sys.executable)
    assert about.version == ".".join(map(str, sys.version_info[:3]))
    request = language_pb2.GetProgramDependenciesRequest(info=site.info(), transitiveDependencies=True)
    listed = await site.host.GetProgramDependencies(request, timeout=TIMEOUT)
    assert "pulumi" in {dependency.name for dependency in listed.dependencies}
    needed = await site.host.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(info=site.info()))
    assert not needed.packages


async def test_failing_installation_is_reported(site: Site) -> None:
    site.write("--no-index\nno-such-package-of-perenne\n", "requirements.txt")
    call = site.host.InstallDependencies(language_pb2.InstallDependenciesRequest(info=site.info()), timeout=TIMEOUT)
    with pytest.raises(grpc.aio.AioRpcError, match=r"pip install -r requirements\.txt` exited with 1"):
        async for _ in call:
            pass
