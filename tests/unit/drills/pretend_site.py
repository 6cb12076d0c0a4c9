"""A site on loopback that answers as the reference application does, and errs on demand."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from blueprint.keys import certificate_of
from blueprint.secrets import Kind, Secret
from drills.workload.plan import Load, Plan, Site
from stack import keys

NAME = "pnp.test"
"""What its certificate is made out to, and nothing else."""


@dataclass
class PretendSite:
    """What it holds, and what is wrong with it."""

    url: str = ""
    authority: str = ""
    ledger: list[str] = field(default_factory=list)
    sessions: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Paths of GETs, in the order of their arrival."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, every answer waits."""
    forget_writes: bool = False
    """Acknowledge ledger writes and don't keep them."""
    break_off: bool = False
    """Close the connection of a page or of the API instead of answering."""
    broken_off: int = 0
    """How often it did."""
    begun: int = 0
    """How many sessions ever were."""
    node: str = "app01"

    def __post_init__(self) -> None:
        self.up.set()

    def plan(self, folder: Path, load: Load) -> Plan:
        """A workload that uses it; nobody observes, and there is no database to be asked."""
        site = Site(
            url=self.url,
            name=NAME,
            authority=certificate_of(self.authority),
            page="/people",
            api="/api/people",
            ledger="/api/ledger",
            session="/api/session",
        )
        return Plan(site=site, load=load, authority="", path="a test", status="status", folder=str(folder))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        await self.up.wait()
        if self.break_off and request.transport:
            self.broken_off += 1
            request.transport.close()
        return self._answer({})

    async def _write(self, request: web.Request) -> web.StreamResponse:
        await self.up.wait()
        row = (await request.json())["id"]
        if not self.forget_writes:
            self.ledger.append(row)
        return self._answer({"id": row}, status=201)

    async def _read(self, request: web.Request) -> web.StreamResponse:
        del request
        return self._answer({"rows": [{"id": row} for row in self.ledger], "next": None})

    async def _session(self, request: web.Request) -> web.StreamResponse:
        await self.up.wait()
        name = request.cookies.get("JSESSIONID", "")
        fresh = name not in self.sessions
        if request.method == "POST":
            if fresh:
                self.begun += 1
                name = f"s{self.begun}"
            self.sessions[name] = self.sessions.get(name, 0) + 1
        writes = self.sessions.get(name)
        answer = self._answer({"node": self.node, "session": None if writes is None else name, "writes": writes or 0})
        if fresh and request.method == "POST":
            answer.set_cookie("JSESSIONID", name)
        return answer

    def _answer(self, content: dict[str, Any], status: int = 200) -> web.Response:
        return web.json_response(content, status=status, headers={"X-Served-By": self.node})

    def application(self) -> web.Application:
        """Its paths."""
        app = web.Application()
        app.router.add_get("/people", self._get)
        app.router.add_get("/api/people", self._get)
        app.router.add_post("/api/ledger", self._write)
        app.router.add_get("/api/ledger", self._read)
        app.router.add_route("*", "/api/session", self._session)
        return app


@asynccontextmanager
async def pretend_site(folder: Path) -> AsyncIterator[PretendSite]:
    """Serve one over TLS on a free port of loopback."""
    site = PretendSite(authority=keys.make(Secret("authority", Kind.CERTIFICATE_AUTHORITY, "")))
    bundle = folder / "site.pem"
    bundle.write_text(keys.make(Secret("site", Kind.CERTIFICATE, "", names=(NAME,)), site.authority))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(bundle)
    runner = web.AppRunner(site.application(), shutdown_timeout=0.1)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await listener.start()
        site.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield site
    finally:
        site.up.set()
        await runner.cleanup()
