"""What really sends: httpx transports, one per proxy of the account or the environment (`route.proxy_for`).

Needed because a client that is given a transport no longer looks at HTTPS_PROXY and NO_PROXY itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

import httpx

from connector.account import TlsFiles
from connector.errors import ConnectorError
from connector.lives import forks
from connector.route import by, proxy_for, tls_context

# Set in a request's extensions that goes to one of the account's own hosts: only they are shown its
# certificate, and only they are checked against its own CA.
OWN = "connector.own"
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=30.0)


T = TypeVar("T")
_Key = tuple[str | None, bool, tuple[int, ...]]


def _key(request: httpx.Request, proxy: Callable[[httpx.URL], str | None], tls: TlsFiles | None) -> _Key:
    """Which transport a request needs: by proxy, whose host it goes to, and the age of the TLS files."""
    own = bool(request.extensions.get(OWN, False))
    return proxy(request.url), own, _ages(tls) if own and tls else ()


def _ages(tls: TlsFiles) -> tuple[int, ...]:
    # A certificate that is rotated on disk counts at once, as it does for token calls.
    found = []
    for path in (tls.certificate, tls.private_key, tls.ca):
        try:
            found.append(os.stat(path).st_mtime_ns if path else 0)
        except OSError:
            found.append(-1)  # making the transport says what is wrong
    return tuple(found)


def _before(key: _Key, ways: Mapping[_Key, T]) -> T | None:
    """What served until the TLS files became unusable, in the middle of being rotated perhaps: it goes on."""
    return next((way for other, way in reversed(list(ways.items())) if other[:2] == key[:2]), None)


class Wire(httpx.BaseTransport):
    """Sends requests, directly or through the proxy meant for their URL."""

    def __init__(
        self, proxy: Callable[[httpx.URL], str | None] = proxy_for, *, tls: TlsFiles | None = None
    ) -> None:
        self._proxy = proxy
        self._tls = tls
        # Entered again by a signal handler or a ``__del__`` that makes a request just then.
        self._lock = threading.RLock()
        self._ways: dict[_Key, httpx.HTTPTransport] = {}
        self._parents: list[object] = []
        forks(self)

    def after_fork(self) -> None:
        """In the child: an answer on a connection of the parent may be the parent's."""
        self._parents.append(self._ways)  # kept from the collector, whose closing could be heard
        self._lock, self._ways = threading.RLock(), {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request as it is."""
        key = _key(request, self._proxy, self._tls)
        way = self._ways.get(key)
        if way is None:
            with self._lock:
                way = self._ways.get(key) or self._made(key)
        return way.handle_request(request)

    def _made(self, key: _Key) -> httpx.HTTPTransport:
        proxy, own, _ = key
        try:
            verify = tls_context(self._tls if own else None)
        except ConnectorError:
            if (before := _before(key, self._ways)) is None:
                raise
            return before
        with by(proxy):
            way = httpx.HTTPTransport(proxy=proxy, limits=LIMITS, verify=verify)
        return self._ways.setdefault(key, way)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            ways, self._ways = self._ways, {}
        for way in ways.values():
            way.close()


class AsyncWire(httpx.AsyncBaseTransport):
    """The same for one event loop."""

    def __init__(
        self, proxy: Callable[[httpx.URL], str | None] = proxy_for, *, tls: TlsFiles | None = None
    ) -> None:
        self._proxy = proxy
        self._tls = tls
        self._ways: dict[_Key, httpx.AsyncHTTPTransport] = {}
        self._parents: list[object] = []
        forks(self)

    def after_fork(self) -> None:
        """See `Wire.after_fork`."""
        self._parents.append(self._ways)
        self._ways = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request as it is."""
        key = _key(request, self._proxy, self._tls)
        way = self._ways.get(key)
        if way is None:
            way = self._made(key)
        return await way.handle_async_request(request)

    def _made(self, key: _Key) -> httpx.AsyncHTTPTransport:
        proxy, own, _ = key
        try:
            verify = tls_context(self._tls if own else None)
        except ConnectorError:
            if (before := _before(key, self._ways)) is None:
                raise
            return before
        with by(proxy):
            way = self._ways[key] = httpx.AsyncHTTPTransport(proxy=proxy, limits=LIMITS, verify=verify)
        return way

    async def aclose(self) -> None:
        """Close all connections."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.aclose()
