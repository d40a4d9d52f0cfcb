"""Making a token call: no redirect followed, no connection reused, bounded in time and size.

Not through httpx.Client: it logs URLs, keeps cookies and follows what it is told. Not over a kept connection:
one that the server has just closed looks like a call whose fate is unknown.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import Any

import httpx

from connector.effects import NoReply
from connector.errors import ConnectorError
from connector.moment import steady
from connector.reading import cleaned
from connector.reply import Reply
from connector.route import system_transport, through
from connector.secret import Secret
from connector.tokenrequest import TokenRequest
from connector.wirewords import of_trust

SIZE_LIMIT = 1 << 20
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class Poster:
    """Sends token requests.

    Args:
        transport: makes the httpx transport for one call to a URL; the default verifies TLS and takes
            a proxy from the environment, never for loopback.
        timeout_s: for connecting, and for each read; `total_s` bounds the whole call.
    """

    def __init__(
        self,
        transport: Callable[[httpx.URL], httpx.BaseTransport] | None = None,
        *,
        timeout_s: float = 10.0,
        total_s: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # httpx imports it when it is first needed: a child forked just then would have half of it for ever.
        import_module("httpcore")
        self._transport = transport
        self._timeout_s = min(timeout_s, total_s)
        self._total_s = total_s
        self._clock = clock

    def post(self, request: TokenRequest) -> Reply | NoReply:
        """Make the call. What goes wrong on the way is a value: `NoReply`, with whether it was sent."""
        patience = _Patience(max(self._total_s, request.patience_s or 0.0))
        try:
            wire = self._wire(request, patience)
            own = self._transport
            transport = own(wire.url) if own else system_transport(wire.url, request.tls, request.proxy)
        except ConnectorError as error:
            return NoReply(sent=False, words=str(error))
        except Exception as error:  # a stranger's transport, or a URL that is none: nothing was sent
            return _impossible(error)
        try:
            with _unlogged(), patience, _sent(transport, wire) as response:
                return self._reply(response)
        except httpx.LocalProtocolError as error:
            return _impossible(error)
        except _NOT_SENT as error:
            where = f"{wire.url.host} could not be reached{'' if own else through(wire.url, request.proxy)}"
            words = _words(where, error, request.secrets)
            trust = of_trust(error)
            return NoReply(sent=False, words=f"{words}; {trust}" if trust else words)
        except _TooLate:
            return NoReply(sent=False, words=patience.words())
        except httpx.HTTPError as error:
            # What is no HTTP is quoted, and may be an echo of what was sent.
            words = _words(f"{wire.url.host} gave no whole answer", error, request.secrets)
            return NoReply(sent=True, words=patience.words() if patience.over else words)
        except _Unreadable as error:
            return NoReply(sent=True, words=str(error))

    def _wire(self, request: TokenRequest, patience: _Patience) -> httpx.Request:
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        timeout["read"] = max(self._timeout_s, request.patience_s or 0.0)
        # Compressed answers are read too, but they need a second look at their size.
        own = [("User-Agent", "connector"), ("Connection", "close"), ("Accept-Encoding", "identity")]
        return httpx.Request(
            request.method,
            request.url,
            headers=[*request.headers, *own],
            content=request.body or None,
            extensions={"timeout": timeout, "trace": patience.trace},
        )

    def _reply(self, response: httpx.Response) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if response.is_stream_consumed:  # made by a MockTransport: read and decoded already
            body = response.content
        else:
            body = _decoded(_bounded(response.iter_raw()), headers.get("content-encoding", ""))
        return Reply(status=response.status_code, headers=headers, body=body, received_at=self._clock())


class _Patience:
    """Bounds a whole call, which httpx does not: its timeouts are for each read, and a server that sends a
    byte every few seconds outlasts them all. When time is up, the socket is shut down under the reader.
    """

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        # By the clock that goes on while a laptop sleeps: a lease does too.
        self._ends = steady() + total_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(total_s, self._end)
        self._timer.daemon = True
        self.over = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Called by the transport as it proceeds (httpx "trace" extension)."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
        if event.endswith(".send_request_headers.started") and steady() > self._ends:
            # Resolving a name is bounded by nobody: what took too long must not be sent late.
            raise _TooLate

    def words(self) -> str:
        return f"the answer took longer than {self._total_s:g} s"

    def _end(self) -> None:
        self.over = True
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                # Of the plain class: an SSLSocket's own would take its state from under the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def __enter__(self) -> _Patience:
        with contextlib.suppress(RuntimeError):
            # Where no thread can be started, each read is bounded, and nothing bounds them all.
            self._timer.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None


@contextmanager
def _sent(transport: httpx.BaseTransport, wire: httpx.Request) -> Iterator[httpx.Response]:
    try:
        response = transport.handle_request(wire)
        try:
            yield response
        finally:
            response.close()
    finally:
        transport.close()


class _TooLate(Exception):
    pass


class _Unreadable(Exception):
    pass


def _too_large() -> _Unreadable:
    return _Unreadable(f"the answer is larger than {SIZE_LIMIT} bytes")


def _bounded(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > SIZE_LIMIT:
            raise _too_large()
    return bytes(body)


def _decoded(body: bytes, encoding: str) -> bytes:
    """Undo one layer of gzip or deflate, no further than the size limit: a bomb counts as what it becomes."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate") or not body:
        return body
    inflater = zlib.decompressobj(wbits=47)  # a gzip or zlib header, as it comes
    try:
        plain = inflater.decompress(body, SIZE_LIMIT + 1)
    except zlib.error:
        raise _Unreadable("the answer's compression is damaged") from None
    if len(plain) > SIZE_LIMIT:
        raise _too_large()
    if not inflater.eof:
        raise _Unreadable("the answer ended early")
    return plain


def _impossible(error: Exception) -> NoReply:
    # Not the error's own words: they may quote the header or URL that cannot be sent.
    return NoReply(sent=False, words=f"the call cannot be made ({type(error).__name__})")


def _words(what: str, error: Exception, secrets: tuple[Secret, ...]) -> str:
    text = cleaned(str(error), secrets)[:160]
    return f"{what} ({type(error).__name__}{': ' + text if text else ''})"


class _Unlogged(threading.local):
    """Set in a thread while it makes a token call."""

    active = False


_unlogged_now = _Unlogged()


def _let_through(record: logging.LogRecord) -> bool:
    return not _unlogged_now.active


# At DEBUG the wire logs the headers of answers, and a server may echo what it was sent in one.
for _name in ("http11", "http2", "connection", "proxy", "socks"):
    logging.getLogger(f"httpcore.{_name}").addFilter(_let_through)


@contextmanager
def _unlogged() -> Iterator[None]:
    _unlogged_now.active = True
    try:
        yield
    finally:
        _unlogged_now.active = False
