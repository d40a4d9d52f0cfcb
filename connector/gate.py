"""Transports that stop working when their host is closed: a closed pool would quietly open itself again."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from connector.errors import ConnectorError


def closed() -> ConnectorError:
    """The error of everything that a host handed out, after it was closed."""
    return ConnectorError("this host is closed", code="closed", resolution="open the manifest again")


class Gate(httpx.BaseTransport):
    """Sends through `wire` until `is_closed` says True; raises ConnectorError ``closed`` then."""

    def __init__(self, wire: httpx.BaseTransport, is_closed: Callable[[], bool]) -> None:
        self._wire, self._is_closed = wire, is_closed

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request as it is."""
        if self._is_closed():
            raise closed()
        return self._wire.handle_request(request)

    def close(self) -> None:
        """Close the wire."""
        self._wire.close()


class AsyncGate(httpx.AsyncBaseTransport):
    """The same for one event loop."""

    def __init__(self, wire: httpx.AsyncBaseTransport, is_closed: Callable[[], bool]) -> None:
        self._wire, self._is_closed = wire, is_closed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request as it is."""
        if self._is_closed():
            raise closed()
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the wire."""
        await self._wire.aclose()
