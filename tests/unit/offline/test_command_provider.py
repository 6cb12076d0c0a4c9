"""The offline provider `command`, spoken to over gRPC as the engine does; its SSH server lives in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from offline.command.local import glob_pattern
from offline.command.package import CommandProvider
from offline.provider.servicer import Servicer
from offline.provider.values import (
    ARCHIVE_SIGNATURE,
    ASSET_SIGNATURE,
    SIGNATURE,
    UNKNOWN,
    Properties,
    Secret,
    decode,
    encode,
    reveal,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
LOCAL, REMOTE, COPY = "command:local:Command", "command:remote:Command", "command:remote:CopyToRemote"


def _private(key: asyncssh.SSHKey) -> str:
    return key.export_private_key().decode()


def _public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode()


@dataclass
class Engine:
    """The engine's side of the protocol, in plain values."""

    stub: Any
    lines: list[str]

    async def check(self, kind: str, news: Properties) -> tuple[Properties, list[tuple[str, str]]]:
        """Inputs as the provider completes them, and its complaints."""
        answer = await self.stub.Check(provider_pb2.CheckRequest(urn=_urn(kind), news=encode(news)))
        return decode(answer.inputs), [(item.property, item.reason) for item in answer.failures]

    async def inputs(self, kind: str, news: Properties) -> Properties:
        """Inputs without complaints."""
        inputs, failures = await self.check(kind, news)
        assert failures == []
        return inputs

    async def diff(self, kind: str, olds: Properties, news: Properties) -> provider_pb2.DiffResponse:
        """The difference that the provider sees."""
        old_inputs = encode(await self.inputs(kind, olds))
        request = provider_pb2.DiffRequest(
            urn=_urn(kind), olds=old_inputs, old_inputs=old_inputs, news=encode(await self.inputs(kind, news))
        )
        answer: provider_pb2.DiffResponse = await self.stub.Diff(request)
        return answer

    async def create(self, kind: str, news: Properties, *, preview: bool = False, timeout: float = 0) -> Properties:  # noqa: ASYNC109 - sent to the provider
        """Outputs of a new resource."""
        inputs = await self.inputs(kind, news)
        request = provider_pb2.CreateRequest(
            urn=_urn(kind), properties=encode(inputs), preview=preview, timeout=timeout
        )
        return decode((await self.stub.Create(request)).properties)

    async def update(self, kind: str, olds: Properties, news: Properties, *, preview: bool = False) -> Properties:
        """Outputs of a changed resource."""
        inputs = await self.inputs(kind, news)
        request = provider_pb2.UpdateRequest(
            urn=_urn(kind), id="x", olds=encode(olds), news=encode(inputs), preview=preview
        )
        return decode((await self.stub.Update(request)).properties)

    async def delete(self, kind: str, olds: Properties) -> None:
        """Deletes a resource."""
        await self.stub.Delete(provider_pb2.DeleteRequest(urn=_urn(kind), id="x", properties=encode(olds)))


def _urn(kind: str) -> str:
    return f"urn:pulumi:dev::perenne::perenne:index:Site${kind}::thing"


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    lines: list[str] = []

    async def flush() -> None:
        """Lines are there at once."""

    servicer = Servicer(CommandProvider(), lambda _urn, line: lines.append(line), flush)
    server = grpc.aio.server()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Engine(provider_pb2_grpc.ResourceProviderStub(channel), lines)
    servicer.interrupt()
    await server.stop(1)


class Login(asyncssh.SSHServer):
    """Accepts the user root with `KEY` or the password `letmein`."""

    def begin_auth(self, username: str) -> bool:
        """Every user has to log in."""
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        """Keys are accepted."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """One key is right."""
        return username == "root" and key.public_data == KEY.public_data

    def password_auth_supported(self) -> bool:
        """Passwords are accepted."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """One password is right."""
        return username == "root" and password == "letmein"  # noqa: S105


async def _shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Runs the command here, like sshd with `AcceptEnv ACCEPTED PULUMI_COMMAND_*`."""
    allowed = {
        name: value for name, value in process.env.items() if name == "ACCEPTED" or name.startswith("PULUMI_COMMAND_")
    }
    stdin = await process.stdin.read()
    child = await asyncio.create_subprocess_shell(
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **allowed},
        start_new_session=True,
    )
    done = asyncio.create_task(child.communicate(stdin))
    closed = asyncio.create_task(process.wait_closed())
    await asyncio.wait([done, closed], return_when=asyncio.FIRST_COMPLETED)
    if not done.done():
        os.killpg(child.pid, signal.SIGTERM)
    stdout, stderr = await done
    process.stdout.write(stdout)
    process.stderr.write(stderr)
    process.exit(child.returncode or 0)
    await closed


@asynccontextmanager
async def _sshd(port: int = 0, host_key: Any = HOST_KEY) -> AsyncIterator[int]:  # noqa: ANN401 - a key, or a pair
    server = await asyncssh.create_server(
        Login,
        "127.0.0.1",
        port,
        server_host_keys=[host_key],
        process_factory=_shell,
        encoding=None,
        sftp_factory=True,
    )
    async with server:
        yield server.get_port()


@pytest.fixture
async def connection() -> AsyncIterator[Properties]:
    async with _sshd() as port:
        yield {
            "host": "127.0.0.1",
            "port": port,
            "privateKey": _private(KEY),
            "hostKey": _public(HOST_KEY),
            "dialErrorLimit": 0,
        }


async def _error(work: Any) -> str:  # noqa: ANN401 - any call
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    return str(caught.value.details())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the other process has no event to wait for
            await asyncio.sleep(0.01)


def _alive(pid: int) -> bool:
    """Whether the process still runs; one that ended may wait to be collected."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(") ", 1)[1][0] != "Z"


async def test_defaults_are_filled_in_and_a_connection_is_secret(engine: Engine) -> None:
    inputs = await engine.inputs(REMOTE, {"connection": {"host": "h", "password": "p"}})

    assert inputs["connection"] == Secret(
        {
            "host": "h",
            "port": 22,
            "user": "root",
            "password": Secret("p"),
            "dialErrorLimit": 10,
            "perDialTimeout": 15,
        }
    )


@pytest.mark.parametrize(
    ("news", "failed"),
    [
        ({"connection": {"host": "h"}, "crate": "ls"}, "crate"),
        ({"connection": {"host": "h", "prt": 1}}, "connection.prt"),
        ({"connection": {}}, "connection.host"),
        ({}, "connection"),
        ({"connection": {"host": "h"}, "logging": "all"}, "logging"),
        ({"connection": {"host": "h"}, "environment": {"A": 1}}, "environment['A']"),
    ],
)
async def test_a_wrong_input_is_named(engine: Engine, news: Properties, failed: str) -> None:
    _, failures = await engine.check(REMOTE, news)

    assert [name for name, _ in failures] == [failed]


async def test_triggers_replace_and_other_changes_update(engine: Engine) -> None:
    olds: Properties = {"create": "true", "triggers": [1, "a"], "environment": {"A": "b"}}

    same = await engine.diff(LOCAL, olds, olds)
    changed = await engine.diff(LOCAL, olds, {**olds, "environment": {"A": "c"}})
    triggered = await engine.diff(LOCAL, olds, {**olds, "triggers": [2, "a"]})

    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert (dict(changed.detailedDiff)["environment.A"].kind, list(changed.replaces)) == (
        provider_pb2.PropertyDiff.UPDATE,
        [],
    )
    assert list(triggered.replaces) == ["triggers"]
    assert not triggered.deleteBeforeReplace


async def test_an_unknown_input_is_a_change(engine: Engine) -> None:
    found = await engine.diff(LOCAL, {"stdin": "a"}, {"stdin": UNKNOWN})

    assert found.changes == provider_pb2.DiffResponse.DIFF_SOME


async def test_a_preview_runs_nothing_and_knows_no_output(engine: Engine, tmp_path: Path) -> None:
    news = {"create": f"touch {tmp_path}/made"}

    created = await engine.create(LOCAL, news, preview=True)
    updated = await engine.update(LOCAL, {**news, "stdout": "1", "stderr": ""}, news, preview=True)

    assert created["stdout"] is updated["stdout"] is UNKNOWN
    assert created["create"] == news["create"]
    assert not (tmp_path / "made").exists()


async def test_create_update_delete_each_run_their_command(engine: Engine, tmp_path: Path) -> None:
    news = {
        "create": "echo made; echo why >&2",
        "update": 'echo "was $PULUMI_COMMAND_STDOUT, $PULUMI_COMMAND_STDERR"',
        "delete": f'echo "last $PULUMI_COMMAND_STDOUT" > {tmp_path}/gone',
    }

    made = await engine.create(LOCAL, news)
    changed = await engine.update(LOCAL, made, news)
    await engine.delete(LOCAL, changed)

    assert (made["stdout"], made["stderr"]) == ("made", "why")
    assert changed["stdout"] == "was made, why"
    assert (tmp_path / "gone").read_text() == "last was made, why\n"


async def test_without_update_create_runs_again(engine: Engine) -> None:
    news = {"create": 'echo "[$PULUMI_COMMAND_STDOUT]"', "addPreviousOutputInEnv": False}

    assert (await engine.update(LOCAL, {**news, "stdout": "x", "stderr": ""}, news))["stdout"] == "[]"


async def test_a_local_command_gets_its_surroundings(engine: Engine, tmp_path: Path) -> None:
    news = {
        "create": "import os, sys; print(os.getcwd(), os.environ['A'], sys.stdin.read())",
        "interpreter": ["python3", "-c"],
        "dir": str(tmp_path),
        "environment": {"A": "b"},
        "stdin": "héllo",
    }

    assert (await engine.create(LOCAL, news))["stdout"] == f"{tmp_path} b héllo"


async def test_a_failure_shows_the_output_but_no_secret(engine: Engine) -> None:
    news = {"create": "cat; echo oops >&2; exit 3", "stdin": Secret("a secret line\nanother secret")}

    message = await _error(engine.create(LOCAL, news))

    assert message.startswith("exit status 3: running 'cat; echo oops >&2; exit 3':")
    assert "oops" in message
    assert "a secret" not in message
    assert not any("a secret" in line for line in engine.lines)


async def test_a_secret_input_makes_the_outputs_secret(engine: Engine) -> None:
    plain = await engine.create(LOCAL, {"create": "echo 1"})
    secret = await engine.create(LOCAL, {"create": "cat", "stdin": Secret("s")})

    assert plain["stdout"] == "1"
    assert (secret["stdin"], secret["stdout"], secret["create"]) == (Secret("s"), Secret("s"), "cat")


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        (None, {"out", "err"}),
        ("stdoutAndStderr", {"out", "err"}),
        ("stdout", {"out"}),
        ("stderr", {"err"}),
        ("none", set()),
    ],
)
async def test_logging_shows_what_is_wanted(engine: Engine, logging: str | None, shown: set[str]) -> None:
    await engine.create(LOCAL, {"create": "echo out; echo err >&2", "logging": logging})

    assert set(engine.lines) == shown


async def test_assets_and_archive_are_the_files_that_match(engine: Engine, tmp_path: Path) -> None:
    news = {
        "create": "mkdir -p a/b; echo 1 > a/x.txt; echo 2 > a/b/y.txt; echo 3 > a/secret.txt",
        "dir": str(tmp_path),
        "assetPaths": ["a/*.txt", "!**secret*"],
        "archivePaths": ["a/**"],
    }

    made = await engine.create(LOCAL, news)

    assert {name: item["path"] for name, item in made["assets"].items()} == {"a/x.txt": str(tmp_path / "a/x.txt")}
    assert set(made["archive"]["assets"]) == {"a/x.txt", "a/b/y.txt", "a/secret.txt"}
    assert len(made["archive"]["hash"]) == 64


@pytest.mark.parametrize(
    ("glob", "pattern"),
    [("a/*.t?t", r"a/[^/]*\.t[^/]t"), ("**/x", ".*/x"), ("{a,b}[!0-9]", "(?:a|b)[^0-9]"), ("a,b", "a,b")],
)
def test_glob(glob: str, pattern: str) -> None:
    assert glob_pattern(glob) == pattern


async def test_run_answers_at_once(engine: Engine) -> None:
    request = provider_pb2.InvokeRequest(tok="command:local:run", args=encode({"command": "cat", "stdin": Secret("s")}))

    answer = await engine.stub.Invoke(request)

    assert decode(getattr(answer, "return"))["stdout"] == Secret("s")


async def test_cancel_ends_a_local_command_and_its_children(engine: Engine, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    news = {"create": f"sleep 600 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait"}
    running = asyncio.create_task(_error(engine.create(LOCAL, news)))
    await _until(pids.exists)

    await engine.stub.Cancel(empty_pb2.Empty())

    assert "interrupted" in await running
    assert not any(_alive(int(pid)) for pid in pids.read_text().split())


async def test_the_timeout_of_the_resource_ends_a_command(engine: Engine) -> None:
    assert "not done within 0.2 s" in await _error(engine.create(LOCAL, {"create": "sleep 600"}, timeout=0.2))


async def test_a_remote_command_runs_with_standard_input(engine: Engine, connection: Properties) -> None:
    made = await engine.create(REMOTE, {"connection": connection, "create": "cat; echo why >&2", "stdin": "héllo\n\n"})

    assert made["stdout"] == Secret("héllo\n")
    assert reveal(made["stderr"]) == "why"
    assert reveal(made["connection"])["host"] == "127.0.0.1"


async def test_remote_update_and_delete_see_the_output_before(
    engine: Engine, connection: Properties, tmp_path: Path
) -> None:
    news = {
        "connection": connection,
        "create": "echo 1",
        "update": 'echo "$PULUMI_COMMAND_STDOUT+1"',
        "delete": f'echo "$PULUMI_COMMAND_STDOUT" > {tmp_path}/gone',
    }

    changed = await engine.update(REMOTE, await engine.create(REMOTE, news), news)
    await engine.delete(REMOTE, changed)

    assert reveal(changed["stdout"]) == "1+1"
    assert (tmp_path / "gone").read_text() == "1+1\n"


async def test_a_remote_failure_tells_status_and_output(engine: Engine, connection: Properties) -> None:
    message = await _error(engine.create(REMOTE, {"connection": connection, "create": "echo no; exit 7"}))

    assert message == "exit status 7: running 'echo no; exit 7':\nno\n"


async def test_the_password_works_too(engine: Engine, connection: Properties) -> None:
    with_password = {**connection, "privateKey": None, "password": "letmein"}

    assert reveal((await engine.create(REMOTE, {"connection": with_password, "create": "echo in"}))["stdout"]) == "in"


async def test_a_wrong_host_key_is_refused(engine: Engine, connection: Properties, tmp_path: Path) -> None:
    wrong = {**connection, "hostKey": _public(OTHER_KEY)}

    message = await _error(engine.create(REMOTE, {"connection": wrong, "create": f"touch {tmp_path}/made"}))

    assert message == (
        f"no SSH connection to root@127.0.0.1:{connection['port']} after 1 attempts: "
        "the server's host key is not the one in hostKey"
    )
    assert not (tmp_path / "made").exists()


async def test_an_rsa_host_key_is_asked_for_with_sha_1_as_pulumi_command_does(engine: Engine) -> None:
    """OpenSSH 8.8 and later show an RSA key with SHA-2 only."""
    (host_key,) = asyncssh.load_keypairs([asyncssh.generate_private_key("ssh-rsa")])
    host_key.host_key_algorithms = [b"rsa-sha2-256", b"rsa-sha2-512"]
    async with _sshd(host_key=host_key) as port:
        shown = await asyncssh.get_server_host_key("127.0.0.1", port, config=None)
        assert shown is not None
        connection = {"host": "127.0.0.1", "port": port, "privateKey": _private(KEY), "hostKey": _public(shown)}

        message = await _error(
            engine.create(REMOTE, {"connection": {**connection, "dialErrorLimit": 0}, "create": "true"})
        )

    assert "after 1 attempts: SSH: " in message


async def test_a_wrong_key_is_an_authentication_failure(engine: Engine, connection: Properties) -> None:
    wrong = {**connection, "privateKey": _private(OTHER_KEY)}

    message = await _error(engine.create(REMOTE, {"connection": wrong, "create": "true"}))

    assert message.endswith("authentication failed: the server accepts root with none of privateKey")


@pytest.mark.parametrize("name", ["privateKey", "hostKey"])
async def test_an_unreadable_key_is_no_reason_to_try_again(engine: Engine, connection: Properties, name: str) -> None:
    wrong = {**connection, name: "nonsense", "dialErrorLimit": -1}

    assert f"{name} " in await _error(engine.create(REMOTE, {"connection": wrong, "create": "true"}))


async def test_attempts_end_at_their_limit(engine: Engine) -> None:
    port = _free_port()

    message = await _error(
        engine.create(
            REMOTE, {"connection": {"host": "127.0.0.1", "port": port, "dialErrorLimit": 2}, "create": "true"}
        )
    )

    assert message == f"no SSH connection to root@127.0.0.1:{port} after 3 attempts: connection refused"


async def test_attempts_go_on_until_the_server_is_there(engine: Engine) -> None:
    port = _free_port()
    connection = {"host": "127.0.0.1", "port": port, "privateKey": _private(KEY), "dialErrorLimit": -1}
    waiting = asyncio.create_task(engine.create(REMOTE, {"connection": connection, "create": "echo there"}))
    await _until(lambda: any("connection refused" in line for line in engine.lines))

    async with _sshd(port):
        assert reveal((await waiting)["stdout"]) == "there"


async def test_a_server_that_says_nothing_is_given_up(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = {
            "host": "127.0.0.1",
            "port": silent.getsockname()[1],
            "dialErrorLimit": 0,
            "perDialTimeout": 1,
        }
        message = await _error(engine.create(REMOTE, {"connection": connection, "create": "true"}))

    assert message.endswith("no answer within 1 s")


async def test_a_proxy_is_passed_through(engine: Engine, connection: Properties) -> None:
    through = {**connection, "proxy": {**connection, "hostKey": _public(OTHER_KEY)}}

    message = await _error(engine.create(REMOTE, {"connection": through, "create": "true"}))

    assert message.startswith("no SSH connection to proxy root@127.0.0.1:")


async def test_an_accepted_environment_arrives_and_a_refused_one_is_an_error(
    engine: Engine, connection: Properties
) -> None:
    accepted = {"connection": connection, "create": "echo $ACCEPTED", "environment": {"ACCEPTED": "yes"}}
    refused = {**accepted, "environment": {"ACCEPTED": "yes", "REFUSED": "no"}}

    assert reveal((await engine.create(REMOTE, accepted))["stdout"]) == "yes"
    assert "refuses the environment variables REFUSED" in await _error(engine.create(REMOTE, refused))


async def test_cancel_ends_a_remote_command(engine: Engine, connection: Properties, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    news = {"connection": connection, "create": f"echo $$ > {pids}.new; mv {pids}.new {pids}; sleep 600"}
    running = asyncio.create_task(_error(engine.create(REMOTE, news)))
    await _until(pids.exists)

    await engine.stub.Cancel(empty_pb2.Empty())

    assert "interrupted" in await running
    await _until(lambda: not _alive(int(pids.read_text())))


def _asset(**fields: Any) -> Properties:  # noqa: ANN401 - an asset's own fields
    return {SIGNATURE: ASSET_SIGNATURE, "hash": "1", **fields}


def _archive(**fields: Any) -> Properties:  # noqa: ANN401 - an archive's own fields
    return {SIGNATURE: ARCHIVE_SIGNATURE, "hash": "1", **fields}


async def test_files_texts_and_directories_are_copied(engine: Engine, connection: Properties, tmp_path: Path) -> None:
    (tmp_path / "source" / "empty").mkdir(parents=True)
    (tmp_path / "source" / "one").write_text("1")
    target = tmp_path / "target"

    async def copy(source: Properties, path: Path) -> None:
        await engine.create(COPY, {"connection": connection, "source": source, "remotePath": str(path)})

    await copy(_asset(text="héllo"), target / "deep" / "text")
    await copy(_asset(path=str(tmp_path / "source" / "one")), target)
    await copy(_asset(path=str(tmp_path / "source" / "one")), target / "two")
    await copy(_archive(path=str(tmp_path / "source")), target)
    await copy(_archive(path=f"{tmp_path}/source/"), target / "content")
    await copy(_archive(assets={"x/y": _asset(text="y"), "z": _archive(path=str(tmp_path / "source"))}), target / "all")

    found = {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert found == {
        "deep/text": "héllo",
        "one": "1",
        "two": "1",
        "source/one": "1",
        "content/one": "1",
        "all/x/y": "y",
        "all/z/one": "1",
    }
    assert (target / "source" / "empty").is_dir()


async def test_a_copy_is_repeated_only_for_other_content(
    engine: Engine, connection: Properties, tmp_path: Path
) -> None:
    news = {"connection": connection, "source": _asset(text="1"), "remotePath": str(tmp_path / "copy")}
    made = await engine.create(COPY, news)
    (tmp_path / "copy").write_text("changed there")

    await engine.update(COPY, made, {**news, "connection": {**connection, "perDialTimeout": 9}})
    kept = (tmp_path / "copy").read_text()
    await engine.update(COPY, made, {**news, "source": {**_asset(text="2"), "hash": "2"}})

    assert (kept, (tmp_path / "copy").read_text()) == ("changed there", "2")


async def test_a_copy_that_cannot_be_says_why(engine: Engine, connection: Properties, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    remote = {"connection": connection, "remotePath": str(tmp_path / "file")}

    missing = await _error(engine.create(COPY, {**remote, "source": _asset(path=str(tmp_path / "nothing"))}))
    occupied = await _error(engine.create(COPY, {**remote, "source": _archive(path=str(tmp_path))}))
    _, remote_source = await engine.check(COPY, {**remote, "source": _asset(uri="https://example.org/x")})

    assert missing == f"copying {tmp_path}/nothing: No such file or directory"
    assert occupied.endswith("file exists and is not a directory")
    assert [name for name, _ in remote_source] == ["source"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
