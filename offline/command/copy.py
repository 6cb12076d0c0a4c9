"""`command:remote:CopyToRemote` and its predecessor `command:remote:CopyFile`, over SFTP."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from offline.command.command import TRIGGERS, new_id
from offline.command.connection import CONNECTION, connect
from offline.provider.resource import Call, Failure, Property, ProviderError, Resource, State
from offline.provider.values import UNKNOWN, Properties, is_archive, is_asset, same

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncssh


class CopyToRemote(Resource):
    """Copies an asset or an archive to another machine; what was copied stays there when the resource is deleted."""

    urn_type: ClassVar[str] = "command:remote:CopyToRemote"
    inputs: ClassVar[dict[str, Property]] = {
        "connection": CONNECTION,
        "source": Property("asset", required=True),
        "remotePath": Property(required=True),
        "triggers": TRIGGERS,
    }

    def validate(self, inputs: Properties) -> list[Failure]:
        """Only sources on this machine are copied."""
        source = inputs["source"]
        if source is not UNKNOWN and "uri" in source:
            return [Failure("source", "a remote asset or archive is not available offline: use a file")]
        return []

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Copies the source."""
        await _copy(inputs["connection"], inputs["source"], inputs["remotePath"], call)
        return new_id(""), inputs

    async def update(self, old: State, inputs: Properties, call: Call) -> Properties:
        """Copies the source again if its content or the target's path changed."""
        if any(not same(old.outputs.get(key), inputs[key]) for key in ("source", "remotePath")):
            await _copy(inputs["connection"], inputs["source"], inputs["remotePath"], call)
        return inputs

    async def delete(self, old: State, call: Call) -> None:
        """Leaves the copy where it is, as pulumi-command does."""

    async def read(self, old: State, call: Call) -> State | None:
        """What the state has: pulumi-command does not look at the copy either."""
        del call
        return old


class CopyFile(CopyToRemote):
    """Copies one file; any change copies it anew."""

    urn_type: ClassVar[str] = "command:remote:CopyFile"
    always_replaces: ClassVar[bool] = True
    inputs: ClassVar[dict[str, Property]] = {
        "connection": CONNECTION,
        "localPath": Property(required=True),
        "remotePath": Property(required=True),
        "triggers": TRIGGERS,
    }

    def validate(self, inputs: Properties) -> list[Failure]:
        """Nothing beyond the types."""
        del inputs
        return []

    async def create(self, inputs: Properties, call: Call) -> tuple[str, Properties]:
        """Copies the file."""
        await _copy(inputs["connection"], {"path": inputs["localPath"]}, inputs["remotePath"], call)
        return new_id(""), inputs


async def _copy(connection: dict[str, Any], source: dict[str, Any], target: str, call: Call) -> None:
    """Copies one source as it is; archive files are not unpacked.

    A directory goes into the directory `target`: as a whole, or only its content if its path ends in `/`. A text goes
    to the file `target`, a file to it or, if it is a directory, into it. Missing directories are made.
    """
    import asyncssh  # noqa: PLC0415

    async with connect(connection, call) as client:
        try:
            async with client.start_sftp_client() as sftp:
                await _put(sftp, source, target)
        except (asyncssh.SFTPError, asyncssh.Error) as error:
            raise ProviderError(f"copying to {connection['host']}:{target}: {error.reason}") from error
        except OSError as error:
            raise ProviderError(f"copying {error.filename}: {error.strerror}") from error


async def _put(sftp: asyncssh.SFTPClient, source: dict[str, Any], target: str) -> None:
    into = await sftp.isdir(target)
    if "path" in source and not _is_folder(source):
        name = posixpath.basename(source["path"])
        await _write(sftp, posixpath.join(target, name) if into else target, _content(source))
    elif "text" in source:
        if into:
            raise ProviderError(f"{target} is a directory; a text needs the path of a file as its remotePath")
        await _write(sftp, target, source["text"].encode())
    else:
        if not into and await sftp.exists(target):
            raise ProviderError(f"{target} exists and is not a directory")
        if "path" in source and not source["path"].endswith("/"):
            target = posixpath.join(target, Path(source["path"]).name)
        await sftp.makedirs(target, exist_ok=True)
        for name, content in _entries(source, ""):
            if content is None:
                await sftp.makedirs(posixpath.join(target, name), exist_ok=True)
            else:
                await _write(sftp, posixpath.join(target, name), content)


def _is_folder(source: dict[str, Any]) -> bool:
    return "path" in source and Path(source["path"]).is_dir()


def _content(source: dict[str, Any]) -> bytes:
    return Path(source["path"]).read_bytes()


def _entries(source: dict[str, Any], name: str) -> Iterator[tuple[str, bytes | None]]:
    """Every file of a source with its path below the target; directories have no content."""
    if "assets" in source:
        for entry, inner in source["assets"].items():
            yield from _entries(inner, posixpath.join(name, entry))
    elif "text" in source:
        yield name, source["text"].encode()
    elif _is_folder(source):
        folder = Path(source["path"])
        for path in sorted(folder.rglob("*")):
            below = posixpath.join(name, path.relative_to(folder).as_posix())
            yield below, None if path.is_dir() else path.read_bytes()
    elif "path" in source and is_asset(source):
        yield name, _content(source)
    else:
        kind = "archive file" if is_archive(source) else "remote source"
        raise ProviderError(f"{name} is an {kind} inside an archive, which can't be copied offline: use its directory")


async def _write(sftp: asyncssh.SFTPClient, path: str, content: bytes) -> None:
    if parent := posixpath.dirname(path):
        await sftp.makedirs(parent, exist_ok=True)
    async with sftp.open(path, "wb") as file:
        await file.write(content)
