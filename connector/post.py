"""Making a token call: no redirect followed, no connection reused, bounded in time and size.

Not through httpx.Client: it logs URLs, keeps cookies and follows what it is told. Not over a kept connection:
one that the server has just closed looks like a call whose fate is unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.request import getproxies, proxy_bypass

import httpx

from connector.effects import NoReply
from connector.grants import TokenRequest
from connector.reply import Reply
from connector.template import is_loopback

SIZE_LIMIT = 1 << 20
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


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
        self._transport = transport or system_transport
        self._timeout = {"connect": timeout_s, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        self._total_s = total_s
        self._clock = clock

    def post(self, request: TokenRequest) -> Reply | NoReply:
        """Make the call. What goes wrong on the way is a value: `NoReply`, with whether it was sent."""
        wire = httpx.Request(
            request.method,
            request.url,
            headers=[*request.headers, ("User-Agent", "connector"), ("Connection", "close")],
            content=request.body or None,
            extensions={"timeout": self._timeout},
        )
        try:
            with self._sent(wire) as response:
                body = self._read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(
                    status=response.status_code, headers=headers, body=body, received_at=self._clock()
                )
        except _NOT_SENT as error:
            return NoReply(sent=False, words=_words("the server could not be reached", error))
        except httpx.HTTPError as error:
            return NoReply(sent=True, words=_words("the server gave no whole answer", error))
        except _TooMuch as error:
            return NoReply(sent=True, words=str(error))

    @contextmanager
    def _sent(self, wire: httpx.Request) -> Iterator[httpx.Response]:
        transport = self._transport(wire.url)
        try:
            response = transport.handle_request(wire)
            try:
                yield response
            finally:
                response.close()
        finally:
            transport.close()

    def _read(self, response: httpx.Response) -> bytes:
        ends, body = time.monotonic() + self._total_s, b""
        for chunk in response.iter_bytes():  # decompressed, so that a small bomb counts as what it becomes
            body += chunk
            if len(body) > SIZE_LIMIT:
                raise _TooMuch(f"the answer is larger than {SIZE_LIMIT} bytes")
            if time.monotonic() > ends:
                raise _TooMuch(f"the answer took longer than {self._total_s:g} s")
        return body


class _TooMuch(Exception):
    pass


def _words(what: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:160]
    return f"{what} ({type(error).__name__}{': ' + text if text else ''})"


def system_transport(url: httpx.URL) -> httpx.HTTPTransport:
    """A transport for one call: TLS verified, a proxy as the environment says, loopback always direct."""
    return httpx.HTTPTransport(
        proxy=proxy_for(url), limits=httpx.Limits(max_keepalive_connections=0), trust_env=True
    )


def proxy_for(url: httpx.URL) -> str | None:
    """The proxy the environment names for a URL, in the way of the standard library."""
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    found = getproxies()
    proxy = found.get(url.scheme) or found.get("all")
    return (proxy if "://" in proxy else f"http://{proxy}") if proxy else None
