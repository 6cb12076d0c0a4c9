"""`command:local:Command` and the function `command:local:run`."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import hashlib
import os
import re
import signal
from pathlib import Path
from typing import Any, ClassVar, Final

from offline.command.command import LIFE, OUTPUT, PROCESS, TEXT, TEXTS, Capture, Command, previous_output
from offline.provider.resource import Call, Property, ProviderError
from offline.provider.servicer import Function
from offline.provider.values import ARCHIVE_SIGNATURE, ASSET_SIGNATURE, SIGNATURE, Properties

_PROCESS: Final = {**PROCESS, "interpreter": TEXTS, "dir": TEXT, "assetPaths": TEXTS, "archivePaths": TEXTS}
_OUTPUT: Final = {
    **OUTPUT,
    "assets": Property("object", items=Property("asset")),
    "archive": Property("asset"),
}
_KILL_AFTER: Final = 2.0
"""Seconds that an interrupted command has for its own cleaning up, between SIGTERM and SIGKILL."""


class LocalCommand(Command):
    """A command on the machine that runs Pulumi."""

    urn_type: ClassVar[str] = "command:local:Command"
    inputs: ClassVar[dict[str, Property]] = {**LIFE, **_PROCESS}
    outputs: ClassVar[dict[str, Property]] = _OUTPUT

    async def run(self, command: str, inputs: Properties, previous: Properties, call: Call) -> Properties:
        """Runs a command with the interpreter, `/bin/sh -c` unless the inputs name one."""
        return await _run(command, inputs, previous, call)


class Run(Function):
    """A command that runs on every preview and every update."""

    urn_type: ClassVar[str] = "command:local:run"
    inputs: ClassVar[dict[str, Property]] = {**_PROCESS, "command": Property(required=True)}
    outputs: ClassVar[dict[str, Property]] = _OUTPUT

    async def invoke(self, inputs: Properties, call: Call) -> Properties:
        """Runs the command."""
        return {**inputs, **await _run(inputs["command"], inputs, {}, call)}


async def _run(command: str, inputs: Properties, previous: Properties, call: Call) -> Properties:
    interpreter = inputs.get("interpreter") or ["/bin/sh", "-c"]
    capture = Capture(inputs.get("logging"), call)
    stdin = inputs.get("stdin", "")
    try:
        process = await asyncio.create_subprocess_exec(
            *interpreter,
            command,
            cwd=inputs.get("dir"),
            env={**os.environ, **inputs.get("environment", {}), **previous_output(inputs, previous)},
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ProviderError(f"{interpreter[0]} in {inputs.get('dir', os.curdir)}: {error.strerror}") from error
    try:
        await asyncio.gather(
            _write(process.stdin, stdin),
            _pump(process.stdout, "stdout", capture),
            _pump(process.stderr, "stderr", capture),
        )
        status = await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        raise
    outputs = capture.end()
    if status:
        reason = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
        raise ProviderError(f"{reason}: running {command!r}:\n{capture.both}")
    return {**outputs, **_files(Path(inputs.get("dir") or os.curdir), inputs)}


async def _write(stream: asyncio.StreamWriter | None, text: str) -> None:
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a command need not read all of its input
        stream.write(text.encode())
        await stream.drain()
    stream.close()


async def _pump(stream: asyncio.StreamReader | None, name: str, capture: Capture) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while stream is not None and (data := await stream.read(1 << 16)):
        capture.feed(name, decoder.decode(data))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the command and whatever it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _KILL_AFTER)


def _files(folder: Path, inputs: Properties) -> Properties:
    """`assets` and `archive`: the files that match `assetPaths` and `archivePaths` once the command is done."""
    files: Properties = {}
    if "assetPaths" in inputs:
        files["assets"] = _assets(folder, inputs["assetPaths"])
    if "archivePaths" in inputs:
        assets = _assets(folder, inputs["archivePaths"])
        digest = hashlib.sha256("".join(path + asset["hash"] for path, asset in sorted(assets.items())).encode())
        files["archive"] = {SIGNATURE: ARCHIVE_SIGNATURE, "hash": digest.hexdigest(), "assets": assets}
    return files


def _assets(folder: Path, globs: list[str]) -> dict[str, Any]:
    rules = [(not glob.startswith("!"), re.compile(glob_pattern(glob.removeprefix("!")))) for glob in globs]
    found: dict[str, Any] = {}
    for file in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        name = file.relative_to(folder).as_posix()
        verdicts = [included for included, pattern in rules if pattern.fullmatch(name)]
        if verdicts and verdicts[-1]:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found[name] = {SIGNATURE: ASSET_SIGNATURE, "hash": digest, "path": str(file)}
    return found


def glob_pattern(glob: str) -> str:
    """The regular expression of a path glob: `*` and `?` stop at `/`, `**` does not; `[a-z]`, `[!a]` and `{a,b}`."""
    parts = re.findall(r"\*\*|\[!?[^]]+\]|\\.|.", glob, re.DOTALL)
    special = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
    depth, pattern = 0, ""
    for part in parts:
        depth += (part == "{") - (part == "}")
        if part in special:
            pattern += special[part]
        elif part == "," and depth:
            pattern += "|"
        elif part.startswith("[") and len(part) > 1:
            pattern += part.replace("[!", "[^", 1)
        else:
            pattern += re.escape(part.removeprefix("\\"))
    return pattern
