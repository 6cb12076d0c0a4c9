"""`./perenne status`: what is said of an application server that takes no connections."""

from collections.abc import Callable

import httpx
import pytest

from cli import status
from cli.crypter import Crypter
from cli.status import Answer
from cli.vault import Vault
from cli.workspace import Stack

Handler = Callable[[httpx.Request], httpx.Response]


def refuse(request: httpx.Request) -> httpx.Response:
    """Take no connection."""
    raise httpx.ConnectError("refused", request=request)


async def asked(dev: Stack, name: str, handler: Handler) -> Answer:
    """What a server is found to be."""
    server = dev.settings.servers[name]
    answer = Answer(name, str(server.role), str(server.address), server.host)
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        await status._ask(client, dev, Vault(dev, {}, Crypter.new("x")), answer, seconds=1.0)
    return answer


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the next command on a server prints; the commands are put behind it."""
    texts: list[str] = []

    async def answer(_stack: Stack, _vault: Vault, server: str, command: str, _seconds: float) -> str:
        texts.append(f"{server}: {command}")
        return texts[0]

    monkeypatch.setattr(status, "_said", answer)
    return texts


async def test_a_closed_gate_is_told_with_its_reasons(dev: Stack, said: list[str]) -> None:
    said.append("drained\nstands still: app01, which it can't reach, serves\n")
    answer = await asked(dev, "app02", refuse)
    assert not answer.serves
    assert answer.detail == "drained; stands still: app01, which it can't reach, serves"
    assert said[1:] == ["app02: /usr/local/lib/perenne/gate state"]


@pytest.mark.parametrize("text", ["open\n", ""])
async def test_a_server_that_is_down_has_no_connection(dev: Stack, said: list[str], text: str) -> None:
    said.append(text)
    assert (await asked(dev, "app01", refuse)).detail == "no connection"


async def test_only_application_servers_have_a_gate(dev: Stack, said: list[str]) -> None:
    assert (await asked(dev, "db01", refuse)).detail == "no connection"
    assert not said


async def test_a_server_that_serves_is_not_asked_further(dev: Stack, said: list[str]) -> None:
    answer = await asked(dev, "app01", lambda _request: httpx.Response(200, json={"primary": "db01"}))
    assert answer.serves
    assert answer.detail == "database at db01"
    assert not said
