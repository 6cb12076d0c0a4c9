"""`./perenne status`: what is said of an application server that takes no connections."""

import ssl
from collections.abc import Callable

import httpx
import pytest

from blueprint.keys import authorities, certificate_of
from blueprint.secrets import SITE_AUTHORITIES, Kind, Secret
from cli import keys, remote, status
from cli.crypter import Crypter
from cli.status import Answer, SiteStatus
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


def trusted(client: httpx.AsyncClient, url: str) -> set[str]:
    """By what certificates of authorities a client verifies who answers at a URL."""
    context = client._transport_for_url(httpx.URL(url))._pool._ssl_context  # type: ignore[attr-defined]
    return {ssl.DER_cert_to_PEM_cert(one) for one in context.get_ca_certs(binary_form=True)}


def test_the_site_is_verified_by_given_authorities_and_nothing_else_is(dev: Stack) -> None:
    own, company = (keys.make(Secret("", Kind.CERTIFICATE_AUTHORITY, "")) for _ in range(2))
    settings, values = dev.settings, {"tls-authority": own, SITE_AUTHORITIES: certificate_of(company)}
    context = ssl.create_default_context(cadata=authorities(values))
    client = status._client(settings, Vault(dev, values, Crypter.new("x")), context, 1.0)
    for address in (settings.site.address, settings.servers["lb01"].address, settings.servers["lb02"].address):
        assert trusted(client, f"https://{address}/pnp-manager/") == {certificate_of(own), certificate_of(company)}
    for server in (settings.servers["db01"].address, settings.servers["app01"].address):
        assert trusted(client, f"https://{server}:8008/cluster") == {certificate_of(own)}


async def test_the_site_is_asked_for_by_its_name(dev: Stack) -> None:
    """Which is all that a given certificate has, through redirections too."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200 if len(asked) > 1 else 302, headers={"Location": "/pnp-manager/people"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), follow_redirects=True) as client:
        assert await status._page(client, dev.settings) == "200"
    assert [request.extensions["sni_hostname"] for request in asked] == ["pnp.vmlabs.int"] * 2


def test_what_renews_a_certificate_is_said_of_each(dev: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    text = dev.file.read_text().replace("name: pnp.vmlabs.int", "name: pnp.vmlabs.int\n    certificate: given")
    dev.file.write_text(text)
    found = SiteStatus("200", None, None, None, None, [], 0, 2, None, to_renew=["tls-site", "tls-lb01"])
    status.show(found, Stack("dev"))
    shown = " ".join(capsys.readouterr().out.split())
    assert "Certificates to renew: tls-lb01; ./perenne init dev makes new ones" in shown
    assert "Certificate to renew: tls-site; ./perenne rotate dev --only tls-site asks for the new one" in shown


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the next command on a server prints; the commands are put behind it."""
    texts: list[str] = []

    async def answer(_stack: Stack, _vault: Vault, server: str, command: str, _seconds: float) -> str:
        texts.append(f"{server}: {command}")
        return texts[0]

    monkeypatch.setattr(remote, "said", answer)
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
