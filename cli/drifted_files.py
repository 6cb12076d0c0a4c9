"""Where files on servers differ from those that were last put there; servers are asked, and nothing is changed."""

import asyncio
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blueprint.guests import GuestRole
from cli.drifted_resources import Cause, Drift
from stack import ssh
from stack.vault import Vault
from stack.workspace import REPOSITORY, Stack

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

ANSWER_SECONDS = 30.0
"""How long a server may take to say what it has."""

_INSTALLER = REPOSITORY / "components" / "guest" / "install.py"
_COMMAND = "command:remote:Command"
_COPY = "command:remote:CopyToRemote"


@dataclass(frozen=True)
class Question:
    """What one server is asked about one of its roles, or about one file that was copied to it."""

    urn: str
    """The resource that put the files there."""
    command: str
    stdin: str = field(default="", repr=False)
    path: str = ""
    """The copied file."""


def questions(resources: Sequence[Mapping[str, Any]], servers: Sequence[str]) -> dict[str, list[Question]]:
    """What to ask which server, after the resources of the state (secrets in clear: they are what files consist of)."""
    found: dict[str, list[Question]] = {}
    for resource in resources:
        name, inputs = resource["urn"].rsplit("::", 1)[-1], resource.get("inputs", {})
        # The longest one: a server's name may begin with another's.
        server = max((server for server in servers if name.startswith(f"{server}-")), key=len, default=None)
        if server is None or resource.get("delete"):
            continue
        role = name.removeprefix(f"{server}-")
        if resource["type"] == _COMMAND and role in set(GuestRole) and "stdin" in inputs:
            command = f"python3 -c {shlex.quote(_INSTALLER.read_text())} {role} check"
            found.setdefault(server, []).append(Question(resource["urn"], command, _text(inputs["stdin"])))
        elif resource["type"] == _COPY and (checksum := inputs.get("source", {}).get("hash")):
            path = inputs["remotePath"]
            command = (
                f"echo {shlex.quote(f'{checksum}  {path}')} | sha256sum --check --status && echo same || echo other"
            )
            found.setdefault(server, []).append(Question(resource["urn"], command, path=path))
    return found


@dataclass(frozen=True)
class Asked:
    """What servers said of their files."""

    drift: list[Drift]
    silent: dict[str, str]
    """Servers that could not be asked, and why."""


def ask(stack: Stack, vault: Vault, found: Mapping[str, Sequence[Question]]) -> Asked:
    """Ask all servers at the same time.

    Raises:
        Failure: It isn't known how a server proves itself.
    """
    return asyncio.run(_ask_all(stack, vault, found))


async def _ask_all(stack: Stack, vault: Vault, found: Mapping[str, Sequence[Question]]) -> Asked:
    answers = await asyncio.gather(*(_ask(stack, vault, server, asked) for server, asked in found.items()))
    drift = [one for answer in answers if not isinstance(answer, str) for one in answer]
    silent = {server: why for server, why in zip(found, answers, strict=True) if isinstance(why, str)}
    return Asked(drift, silent)


async def _ask(stack: Stack, vault: Vault, server: str, asked: Sequence[Question]) -> list[Drift] | str:
    """What one server says, or why it says nothing."""
    import asyncssh  # noqa: PLC0415 (it takes its time)

    login = ssh.login(stack, vault, server)
    try:
        async with asyncio.timeout(ANSWER_SECONDS), login as connection:
            return [
                drift for question in asked for drift in drift_in(server, question, await _run(connection, question))
            ]
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    except (OSError, asyncssh.Error, ValueError) as error:
        return str(error) or type(error).__name__


async def _run(connection: "SSHClientConnection", question: Question) -> str:
    import asyncssh  # noqa: PLC0415

    nothing = None if question.stdin else asyncssh.DEVNULL  # an empty text would leave standard input open
    done = await connection.run(question.command, input=question.stdin or None, stdin=nothing, check=True)
    return str(done.stdout)


def drift_in(server: str, question: Question, answer: str) -> Iterator[Drift]:
    """What is wrong with the files of one question, by the server's answer.

    Raises:
        ValueError: The answer is none.
    """
    if question.path:
        if answer.strip() != "same":
            yield Drift(server, question.path, "is not the file that was copied", Cause.SITE, question.urn)
        return
    for path, problem in json.loads(answer).items():
        yield Drift(server, path, problem, Cause.SITE, question.urn)


def _text(value: object) -> str:
    """A secret in clear is wrapped in the exported state, as JSON text."""
    if isinstance(value, dict):
        return str(json.loads(value["plaintext"]))
    return str(value)
