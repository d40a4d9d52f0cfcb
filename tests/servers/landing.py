"""What stands behind a redirect URI when no client does: a page that says nothing, and remembers the question."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Landing:
    """Listens on loopback; `landed` are the queries that came, in order."""

    def __init__(self, port: int = 0) -> None:
        self.landed: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/callback"

    def __enter__(self) -> Landing:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        landed = self.landed

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def log_message(self, *args: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                # A browser asks for an icon as well.
                if parts.path == "/callback":
                    landed.append({name: values[0] for name, values in parse_qs(parts.query).items()})
                body = b"<!DOCTYPE html><title>Landed</title><p>Landed"
                self.send_response(200 if parts.path == "/callback" else 404)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
