"""What is found of a site, whom it is asked of and who is believed."""

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from blueprint.keys import authorities, certificate_of
from blueprint.secrets import SITE_AUTHORITIES, Kind, Secret
from stack import keys, ssh, status
from stack.crypter import Crypter
from stack.status import Answer, Asked
from stack.vault import Vault
from stack.workspace import Stack

Handler = Callable[[httpx.Request], httpx.Response]


def refuse(request: httpx.Request) -> httpx.Response:
    """Take no connection."""
    raise httpx.ConnectError("refused", request=request)


async def asked(dev: Stack, name: str, handler: Handler) -> Answer:
    """What a server is found to be."""
    server = dev.settings.servers[name]
    answer = Answer(name, server.role, str(server.address), server.host)
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        await status._ask(client, dev, Vault(dev, {}, Crypter.new("x")), answer, seconds=1.0)
    return answer


async def believed(client: httpx.AsyncClient, authority: str, addresses: Sequence[str], folder: Path) -> set[str]:
    """At which addresses a client believes whoever shows a certificate of this authority."""
    shown = folder / "shown.pem"
    shown.write_text(keys.make(Secret("", Kind.CERTIFICATE, "", names=tuple(addresses)), authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    found = set()
    async with await asyncio.start_server(answer, addresses, 0, ssl=context) as server:
        for socket in server.sockets:
            address, port = socket.getsockname()
            try:
                await client.get(f"https://{address}:{port}/")
            except httpx.ConnectError as error:
                assert "CERTIFICATE_VERIFY_FAILED" in str(error)  # noqa: PT017 (it need not be raised)
            else:
                found.add(address)
    return found


async def test_the_site_is_verified_by_given_authorities_and_nothing_else_is(dev: Stack, tmp_path: Path) -> None:
    dev.file.write_text(dev.file.read_text().replace("198.18.20.", "127.0.20."))  # where this machine can answer
    settings = Stack("dev").settings
    own, company = (keys.make(Secret("", Kind.CERTIFICATE_AUTHORITY, "")) for _ in range(2))
    values = {"tls-authority": own, SITE_AUTHORITIES: certificate_of(company)}
    site = [str(one) for one in (settings.site.address, *(settings.servers[name].address for name in ("lb01", "lb02")))]
    others = [str(settings.servers[name].address) for name in ("db01", "app01")]
    context = ssl.create_default_context(cadata=authorities(values))
    async with status._client(settings, Vault(dev, values, Crypter.new("x")), context, 5.0) as client:
        assert await believed(client, own, [*site, *others], tmp_path) == {*site, *others}
        assert await believed(client, company, [*site, *others], tmp_path) == set(site)


def test_etcd_is_shown_a_server_s_certificate_whose_key_was_on_no_disk(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(iter(dev.settings.quorum))
    address = str(dev.settings.servers[name].address)
    own = keys.make(Secret("", Kind.CERTIFICATE_AUTHORITY, ""))
    shown_by_all = keys.make(Secret("", Kind.CERTIFICATE, "", names=(address,), is_client_s=True), own)
    vault = Vault(dev, {"tls-authority": own, f"tls-{name}": shown_by_all}, Crypter.new("x"))
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    etcd = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    etcd.verify_mode = ssl.CERT_REQUIRED
    etcd.load_verify_locations(cadata=authorities(vault.values))
    keys.present(etcd, shown_by_all)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = etcd.wrap_bio(up, down, server_side=True)
    client = status.trust(vault).wrap_bio(down, up, server_hostname=address)
    for end in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    shown = server.getpeercert(binary_form=True)
    assert shown == ssl.PEM_cert_to_DER_cert(certificate_of(shown_by_all))


async def test_the_site_is_asked_for_by_its_name(dev: Stack) -> None:
    """Which is all that a given certificate has, through redirections too."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200 if len(asked) > 1 else 302, headers={"Location": "/pnp-manager/people"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), follow_redirects=True) as client:
        assert await status._page(client, dev.settings) == "200"
    assert [request.extensions["sni_hostname"] for request in asked] == ["pnp.vmlabs.int"] * 2


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the next command on a server prints; the commands are put behind it."""
    texts: list[str] = []

    async def answer(_stack: Stack, _vault: Vault, server: str, command: str, _seconds: float) -> str:
        texts.append(f"{server}: {command}")
        return texts[0]

    monkeypatch.setattr(ssh, "said", answer)
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


@pytest.mark.parametrize(
    ("text", "found"),
    [("", Asked([], ["app01"])), ("2: ens192 inet 10.0.0.1/24 scope global\ndrained\n", Asked(["app01"], []))],
)
def test_whether_a_server_is_drained_is_unknown_where_it_does_not_answer(
    dev: Stack, monkeypatch: pytest.MonkeyPatch, text: str, found: Asked
) -> None:
    async def answer(_stack: Stack, _vault: Vault, server: str, _command: str, _seconds: float) -> str:
        return text if server == "app01" else "2: ens192 inet 10.0.0.1/24 scope global"

    monkeypatch.setattr(ssh, "said", answer)
    monkeypatch.setattr(Vault, "open", lambda _stack: None)
    assert status.ask_drained(dev) == found
