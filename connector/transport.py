"""httpx meets the token: the two transports, next to each other; what both decide is in `connector.rules`.

What they promise (docs/design.md, "How data walks"):
- the snap's own request is never touched: a copy carries the token, so `response.request` holds no secret;
- the token goes to the account's own hosts only, on every hop of a redirect;
- one 401 costs one renewal and one replay, if the body can be sent again; else the 401 as it is;
- nothing is sent twice that can be sent only once.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from types import TracebackType

import anyio
import httpx

from connector.rules import Rules, bared
from connector.source import TokenSource


class Transport(httpx.BaseTransport):
    """An httpx transport that sends a copy of each request with the account's current token.

    Args:
        source: gives valid tokens.
        inner: what really sends.
        close_inner: whether closing this closes `inner` (False where the Host shares it).
    """

    def __init__(
        self,
        source: TokenSource,
        inner: httpx.BaseTransport,
        *,
        close_inner: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rules = Rules(source)
        self._source = source
        self._inner = inner
        self._close_inner = close_inner
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises what httpx raises, NotAuthorizedError, RenewalError, ForeignHostError."""
        attempt = self._rules.begin(request)
        if attempt is None:
            return self._rules.finish(self._send(request))
        fresh = attempt.rewind is None
        while True:
            token = self._source.token(fresh=fresh)
            response = self._send(self._rules.dress(attempt, token))
            if self._rules.wants_nonce(attempt, response):
                response.close()
                continue
            if stronger := self._rules.step_up(attempt, response):
                response.close()
                raise stronger
            if self._rules.looks_expired(attempt, response):
                if self._rules.reads(response):
                    response.read()
                if self._rules.says_expired(response):
                    if not self._rules.may_replay(attempt):
                        return self._rules.finish(response)
                    response.close()
                    continue
            if self._rules.asks_body(response):
                response.read()
            pause = self._rules.pause_s(attempt, response)
            if pause is None:
                return self._rules.finish(response)
            response.close()
            self._sleep(pause)

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._inner.handle_request(request)
        except BaseException as error:
            if isinstance(error, httpx.TransportError):
                self._source.counts.add("failed_requests")
            bare = bared(error)
        del request  # this frame is shown too, and the URL may hold the token
        raise bare

    def close(self) -> None:
        """Close the inner transport, unless it is shared."""
        if self._close_inner:
            self._inner.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """The asynchronous `Transport`, for asyncio and trio."""

    def __init__(
        self,
        source: TokenSource,
        inner: httpx.AsyncBaseTransport,
        *,
        close_inner: bool = True,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._rules = Rules(source)
        self._source = source
        self._inner = inner
        self._close_inner = close_inner
        self._sleep = sleep

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises what httpx raises, NotAuthorizedError, RenewalError, ForeignHostError."""
        attempt = self._rules.begin(request)
        if attempt is None:
            return self._rules.finish(await self._send(request))
        fresh = attempt.rewind is None
        while True:
            token = await self._source.atoken(fresh=fresh)
            response = await self._send(self._rules.dress(attempt, token))
            if self._rules.wants_nonce(attempt, response):
                await response.aclose()
                continue
            if stronger := self._rules.step_up(attempt, response):
                await response.aclose()
                raise stronger
            if self._rules.looks_expired(attempt, response):
                if self._rules.reads(response):
                    await response.aread()
                if self._rules.says_expired(response):
                    if not self._rules.may_replay(attempt):
                        return self._rules.finish(response)
                    await response.aclose()
                    continue
            if self._rules.asks_body(response):
                await response.aread()
            pause = self._rules.pause_s(attempt, response)
            if pause is None:
                return self._rules.finish(response)
            await response.aclose()
            await self._sleep(pause)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except BaseException as error:
            if isinstance(error, httpx.TransportError):
                self._source.counts.add("failed_requests")
            bare = bared(error)
        del request  # this frame is shown too, and the URL may hold the token
        raise bare

    async def aclose(self) -> None:
        """Close the inner transport, unless it is shared."""
        if self._close_inner:
            await self._inner.aclose()

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()
