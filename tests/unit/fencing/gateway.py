"""A server that answers JSON to the agent's clients, without TLS: what they say and understand is what is tested."""

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = Callable[[str, str, dict[str, Any]], tuple[int, dict[str, Any]]]
"""Of method, path and what was sent: status and answer."""


class _Plain(http.client.HTTPConnection):
    """An HTTPS connection that isn't one."""

    def __init__(self, *args: Any, context: ssl.SSLContext | None = None, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        super().__init__(*args, **kwargs)


@contextmanager
def serving(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Answer on a port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, found = answer(self.command, self.path, json.loads(body) if body else {})
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _answer  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    monkeypatch.setattr(http.client, "HTTPSConnection", _Plain)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
