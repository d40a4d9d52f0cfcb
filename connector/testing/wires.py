"""Ways to a persona: real HTTP on loopback, whatever host the file names.

Rules of this room: a request arrives as it was made, host and path included; only where its bytes go is
another place. Fence, https checks and URL building stay those of production.
"""

from __future__ import annotations

import itertools
import ssl
import threading
from types import TracebackType
from typing import Any, Self

import httpx
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.sandbox.persona import SCHEME, Persona, application
from connector.sandbox.serving import Listening, listener

_WHICH = "x-persona"
# Nothing here speaks TLS; the default context would be made, at 20 ms, for each call.
_PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Stage:
    """One loopback port for any number of personas; a context manager."""

    def __init__(self) -> None:
        self._personas: dict[str, ASGIApp] = {}
        self._numbers = itertools.count(1)
        self._listening: Listening | None = None
        self.port = 0

    def __enter__(self) -> Self:
        own = listener("127.0.0.1", 0)
        self.port = own.getsockname()[1]
        self._listening = Listening([(own, self._app)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.close()

    def admit(self, persona: Persona) -> Way:
        """Let a persona in, and return the way to it."""
        name = str(next(self._numbers))
        self._personas[name] = application(persona)
        return Way(self, name)

    def dismiss(self, way: Way) -> None:
        """Let it go."""
        self._personas.pop(way.name, None)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope.get("headers", ())).get(_WHICH.encode(), b"").decode("ascii", "replace")
        app = self._personas.get(name, PlainTextResponse("no such persona", 404))
        await app(scope, receive, send)


class Way:
    """The way to one persona, as the wires of a host take it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name

    def wire(self, **options: Any) -> Loopback:
        """What really sends the requests of an account, see `connector.host.Host`."""
        return Loopback(self)

    def async_wire(self, **options: Any) -> AsyncLoopback:
        """The same for one event loop."""
        return AsyncLoopback(self)

    def changed(self, request: httpx.Request) -> httpx.Request:
        """The request as it goes to loopback; its Host header stays."""
        headers = request.headers.copy()
        headers[SCHEME] = request.url.scheme
        headers[_WHICH] = self.name
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.stage.port)
        return httpx.Request(
            request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
        )


class Loopback(httpx.BaseTransport):
    """Sends each request to a persona."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._inner = httpx.HTTPTransport(verify=_PLAIN)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to loopback."""
        return self._inner.handle_request(self._way.changed(request))

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


class AsyncLoopback(httpx.AsyncBaseTransport):
    """The same for one event loop."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._inner = httpx.AsyncHTTPTransport(verify=_PLAIN)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to loopback."""
        return await self._inner.handle_async_request(self._way.changed(request))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class Clock:
    """Seconds since the epoch, moved by hand; its `sleep` and `asleep` pass at once."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.slept = 0.0

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass for who waits."""
        self.slept += seconds
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """The same for tasks."""
        self.sleep(seconds)
