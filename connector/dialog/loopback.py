"""Waiting on loopback for the browser to come back (RFC 8252 section 7.3).

Anything on this machine, and any page in the browser, may send requests here: only one that carries the
state of the login that is waiting counts, and only the first of those.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from connector.dialog.pages import HEADERS, page
from connector.errors import ConnectorError
from connector.template import is_loopback

_PATH = "/callback"
_LONGEST = 16_384
_LAST_PAGE_S = 2.0
_PATIENCE_S = 60.0  # for the page at the end, which tells how the login went


def can_listen(redirect_uri: str) -> bool:
    """Whether a redirect URI leads to this machine, so that the answer need not be pasted."""
    parts = urlsplit(redirect_uri)
    return not redirect_uri or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


class Loopback:
    """A place that a browser can be sent back to.

    Args:
        redirect_uri: where exactly; empty: a free port of 127.0.0.1.

    Raises ConnectorError ``port_taken``.
    """

    def __init__(self, redirect_uri: str = "") -> None:
        parts = urlsplit(redirect_uri or f"http://127.0.0.1{_PATH}")
        self.path = parts.path or "/"
        self._answers: Callable[[str], bool] = lambda redirected: False
        self._came: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._over = threading.Event()
        self._shown = threading.Event()
        self._taken = threading.Lock()
        self._ending = page("This login has ended", "Look at the terminal.", good=False)
        port = parts.port if parts.port is not None else 80 if redirect_uri else 0
        self._servers = _listen(parts.hostname or "127.0.0.1", port, self)
        found = self._servers[0].server_address[1]
        self.redirect_uri = redirect_uri or f"http://127.0.0.1:{found}{_PATH}"
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def wait(
        self,
        answers: Callable[[str], bool],
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> str | None:
        """The URL that the browser was sent to; None when nobody came in time.

        Args:
            answers: whether a redirect is the answer to this login.
        """
        self._answers = answers
        ends = clock() + timeout_s
        while (left := ends - clock()) > 0:
            with contextlib.suppress(queue.Empty):
                # In small pieces, so that Ctrl-C is heard everywhere.
                return self._came.get(timeout=min(left, 0.5))
        return None

    def end(self, title: str, words: str, *, good: bool) -> None:
        """Show the browser how the login went."""
        self._ending = page(title, words, good=good)
        self._over.set()

    def shown(self) -> None:
        """The last page was sent."""
        self._shown.set()

    def close(self) -> None:
        """Stop listening, after the last page was sent."""
        self._over.set()
        if self._taken.locked():
            self._shown.wait(_LAST_PAGE_S)
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Loopback:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def came(self, target: str) -> tuple[int, bytes]:
        """A request for `target` is here: status and page of the answer."""
        if len(target) > _LONGEST or urlsplit(target).path != self.path:
            return 404, page("Nothing is here", "This address waits for a login only.", good=False)
        if not self._answers(target):
            words = "It answers another login than the one that is waiting. That one goes on."
            return 400, page("This is not the answer", words, good=False)
        if not self._taken.acquire(blocking=False):
            return 400, page("This login has been answered already", "You can close this page.", good=False)
        self._came.put(target)
        self._over.wait(_PATIENCE_S)
        return 200, self._ending


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily, loopback: Loopback) -> None:
        self.address_family = family
        self.loopback = loopback
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away tells nobody anything."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0  # browsers open connections ahead that they never use
    protocol_version = "HTTP/1.0"
    server_version, sys_version = "connector", ""

    def do_GET(self) -> None:
        """Answer a browser."""
        loopback = self.server.loopback
        status, body = loopback.came(self.path)
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if status == 200:
            loopback.shown()

    def do_POST(self) -> None:
        """A server that answers with a form that sends itself (response_mode=form_post)."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() and len(length) < 6 else 0
        body = self.rfile.read(min(size, _LONGEST)).decode("latin-1")
        self.path = f"{self.path.partition('?')[0]}?{body}"
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """No line of it: the address holds the code."""


def _listen(host: str, port: int, loopback: Loopback) -> list[_Server]:
    both = host.lower() in ("localhost", "localhost.")
    first = "127.0.0.1" if both else host
    try:
        found = [_Server((first, port), _family(first), loopback)]
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        if both:
            # A browser may take either address for localhost.
            with contextlib.suppress(OSError):
                found.append(_Server(("::1", found[0].server_address[1]), socket.AF_INET6, loopback))
        return found
    raise ConnectorError(
        f"nothing can listen at {host}:{port}",
        code="port_taken",
        reason=reason,
        resolution="end what listens there, or log in with --no-browser",
    )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
