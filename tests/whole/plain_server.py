"""An authorization server and an API on one loopback port that answer exactly what a test tells them to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to answer; `cut`: close the connection after so many bytes of the body, -1 before any answer."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


class PlainServer:
    """Answers with `token` and `api`, functions of the request that a test replaces."""

    def __init__(self) -> None:
        self.token: Callable[[Asked], Answer] = lambda asked: Answer(status=500)
        self.api: Callable[[Asked], Answer] = lambda asked: Answer(body={"ok": True})
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> PlainServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def log_message(self, *args: object) -> None:
                """Say nothing."""

            def answer(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(path=self.path, headers=headers, body=self.rfile.read(length))
                outer.asked.append(asked)
                made = (outer.token if self.path.startswith("/token") else outer.api)(asked)
                self.close_connection = True
                if made.cut == -1:
                    return
                body = made.body if isinstance(made.body, bytes) else json.dumps(made.body).encode()
                self.send_response(made.status)
                kind = "application/octet-stream" if isinstance(made.body, bytes) else "application/json"
                for name, value in {"content-type": kind, **made.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body[: made.cut])

            do_GET = do_POST = do_PUT = answer

        return Handler
