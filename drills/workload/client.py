"""The users' HTTP: aiohttp, with timeouts of its own and without repetitions."""

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from drills.model import Kind, Request
from drills.workload.clock import Clock
from drills.workload.plan import Load, Site

KEPT_SECONDS = 3.0
"""How long an idle connection is kept: less than the balancers' KeepAliveTimeout (5 s), so that it is the client who
closes, and no request meets a connection that is just being closed."""


class BrokenConnectionError(aiohttp.ClientError):
    """The connection broke before the answer; of a kind that aiohttp does not silently repeat."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A request as recorded, and what came back."""

    request: Request
    body: bytes = b""
    cookies: tuple[tuple[str, str], ...] = ()

    def json(self) -> Any:  # noqa: ANN401 (whatever the application says)
        """The body; None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Client:
    """Many users: those who are new open a connection of their own, the others share kept ones."""

    def __init__(self, site: Site, load: Load, clock: Clock, record: Callable[[Request], None]) -> None:
        self._site = site
        self._clock = clock
        self._record = record
        trust = ssl.create_default_context(cadata=site.authority)
        timeout = aiohttp.ClientTimeout(
            total=load.answer_seconds, connect=load.connect_seconds, ceil_threshold=float("inf")
        )

        def session(*, kept: bool) -> aiohttp.ClientSession:
            keeping: dict[str, Any] = {"keepalive_timeout": KEPT_SECONDS} if kept else {"force_close": True}
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=trust, limit=0, use_dns_cache=False, **keeping),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_never_repeat,),
                trust_env=False,
            )

        self._new, self._kept = session(kept=False), session(kept=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._new.close()
        await self._kept.close()

    async def exchange(
        self,
        kind: Kind,
        method: str,
        path: str,
        *,
        due: float | None = None,
        body: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request once and record what became of it; never raises for what the site does."""
        session = self._new if kind is Kind.PAGE else self._kept
        sent = self._clock.now()
        scheduled = sent if due is None else due
        status, node, content, error = 0, "", b"", ""
        cookies: tuple[tuple[str, str], ...] = ()
        try:
            async with session.request(
                method,
                self._site.url + path,
                json=body,
                headers=headers,
                allow_redirects=False,
                server_hostname=self._site.name,
            ) as response:
                content = await response.read()
                status, node = response.status, response.headers.get("X-Served-By", "")
                cookies = tuple((name, morsel.value) for name, morsel in response.cookies.items())
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            error = reason(failure)
        request = Request(kind, method, scheduled, sent, self._clock.now() - sent, status, error, node)
        self._record(request)
        return Answer(request, content, cookies)


async def _never_repeat(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating an idempotent request whose connection broke: the failure is what is measured."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise BrokenConnectionError(f"the connection broke: {error}") from error


def reason(failure: BaseException) -> str:
    """Why there was no answer, in a few words."""
    if isinstance(failure, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return f"no connection: {failure.os_error.strerror or failure.os_error}"
    return str(failure) or type(failure).__name__
