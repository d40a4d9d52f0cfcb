"""httpx meets the token: the two transports, next to each other, and every decision they share above them.

What they promise (docs/design.md, "How data walks"):
- the snap's own request is never touched: a copy carries the token, so `response.request` holds no secret;
- the token goes to the account's own hosts only, on every hop of a redirect;
- one 401 costs one renewal and one replay, if the body can be sent again; else the 401 as it is;
- nothing is sent twice that can be sent only once.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlencode

import anyio
import httpx

from connector.account import filled
from connector.body import Rewind, rewinder
from connector.challenge import param
from connector.errors import NotAuthorizedError
from connector.fence import Fence, origin
from connector.jwts import proof
from connector.reading import cleaned, parse, pointed, retry_after
from connector.source import TokenSource
from connector.token import Token
from connector.wire import OWN

log = logging.getLogger("connector")
_BODY_LIMIT = 1 << 16
_LONGEST_NONCE = 1024
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


@dataclass(slots=True)
class _Attempt:
    """One request of a snap on its way: what has been tried and what may still be."""

    request: httpx.Request
    rewind: Rewind | None
    token: Token | None = None
    renewed: bool = False
    waited_s: float = 0.0
    waits: int = 0
    nonces: int = 0
    started: float = field(default_factory=time.monotonic)


class _Rules:
    """Every decision the two transports share; does no I/O."""

    def __init__(self, source: TokenSource) -> None:
        self.source = source
        self.account = source.account
        self.fence = Fence(source.account)

    def begin(self, request: httpx.Request) -> _Attempt | None:
        """None: not ours, send it as it is."""
        if not request.url.host:
            raise httpx.UnsupportedProtocol(
                f"{request.url.path!r} is a path, and account {self.account.name!r} has no base URL:"
                " say `api: {base_url: ...}`, or use a whole URL",
                request=request,
            )
        # The hosts of most accounts are known without a token; of some, only the token reply says.
        if not self.account.endpoint.response.capture and not self.fence.admits(request.url, None):
            self.fence.stop(request.url)
            return None
        return _Attempt(request, rewinder(request))

    def dress(self, attempt: _Attempt, token: Token) -> httpx.Request:
        """The copy that carries the token; the same body, never the same headers object."""
        request, api = attempt.request, self.account.endpoint.api
        attempt.token = token
        if not self.fence.admits(request.url, token):
            self.fence.stop(request.url)
            attempt.token = None
            return request
        headers, url = request.headers.copy(), request.url
        for name, value in self.account.api_headers(token.captured).items():
            # httpx itself asks for */*; that is nobody's wish.
            if headers.get(name) in (None, "*/*"):
                headers[name] = value
        query = filled(api.query, self.account.names(token.captured))
        text = token.access_token.reveal()
        if not self.account.header_authenticated:
            attempt.token = None  # the snap places it itself
        elif api.token_in == "query":
            query[api.token_name] = text
            headers.setdefault("Cache-Control", "no-store")  # RFC 6750 section 2.3: the URL is a secret
        elif token.dpop_key and token.token_type.lower() == "dpop":
            headers["Authorization"] = f"DPoP {text}"
            headers["DPoP"] = self._proof(request, token)
        else:
            headers[api.token_name] = api.token_prefix + text
        if query:
            old = url.query.decode("ascii")
            url = url.copy_with(query=f"{old}{'&' if old else ''}{urlencode(query)}".encode("ascii"))
        self.source.counts.add("requests")
        return httpx.Request(
            request.method,
            url,
            headers=headers,
            stream=request.stream,
            extensions={**request.extensions, OWN: True},
        )

    def _proof(self, request: httpx.Request, token: Token) -> str:
        assert token.dpop_key is not None
        return proof(
            token.dpop_key,
            method=request.method,
            url=str(request.url),
            now=self.source.server_now(),
            unique=secrets.token_hex(16),
            nonce=self.source.nonces.get(origin(request.url), ""),
            access_token=token.access_token.reveal(),
        )

    def wants_nonce(self, attempt: _Attempt, response: httpx.Response) -> bool:
        """Whether the server only wants its nonce in the proof (RFC 9449 section 9): the token is fine."""
        nonce, bound = response.headers.get("dpop-nonce"), attempt.token and attempt.token.dpop_key
        if not nonce or not bound or len(nonce) > _LONGEST_NONCE:
            return False
        self.source.nonces[origin(attempt.request.url)] = nonce
        if response.status_code != 401 or attempt.nonces >= 2 or attempt.rewind is None:
            return False
        if param(response.headers.get_list("www-authenticate"), "error") != "use_dpop_nonce":
            return False
        attempt.nonces += 1
        attempt.rewind()
        self.source.counts.add("replays")
        return True

    def step_up(self, attempt: _Attempt, response: httpx.Response) -> NotAuthorizedError | None:
        """The API wants a fresher or stronger login (RFC 9470 section 3): no renewal brings that."""
        said = response.headers.get_list("www-authenticate")
        if response.status_code != 401 or param(said, "error") != "insufficient_user_authentication":
            return None
        acr, age = cleaned(param(said, "acr_values")), cleaned(param(said, "max_age"))
        how = (f" --acr-values {acr!r}" if acr else "") + (f" --max-age {age}" if age.isdecimal() else "")
        wanted = [f"acr_values {acr}"] if acr else []
        wanted += [f"a login not older than {age} s"] if age else []
        self.source.counts.add("failed_requests")
        return NotAuthorizedError(
            f"{origin(attempt.request.url)} wants a stronger login of account {self.account.name!r}",
            account=self.account.name,
            code="step_up_required",
            reason=" and ".join(wanted),
            resolution=f"run `connector login {self.account.name}{how}`",
        )

    def looks_expired(self, attempt: _Attempt, response: httpx.Response) -> bool:
        """By its status alone; where the endpoint also names a body, that is read afterwards."""
        if attempt.token is None:
            return False
        if response.status_code in self.account.endpoint.api.expired_status:
            return True
        self.source.accept(attempt.token)
        return False

    def reads(self, response: httpx.Response) -> bool:
        """Whether to read the body of what looks like a refusal: where the endpoint declares what it
        says, and where it is small, since a connection whose answer was read can be used again.
        """
        length = response.headers.get("content-length", "")
        small = length.isdecimal() and int(length[:9]) <= _BODY_LIMIT
        return small or bool(self.account.endpoint.api.expired_body)

    def says_expired(self, response: httpx.Response) -> bool:
        """Whether the body says so too, where the endpoint declares what it says."""
        declared = self.account.endpoint.api.expired_body
        if not declared:
            return True
        data = parse(response.content[:_BODY_LIMIT], response.headers.get("content-type", ""), "json")
        return any(pointed(data, pointer) in values for pointer, values in declared.items())

    def may_replay(self, attempt: _Attempt) -> bool:
        """After a refused token: whether one renewal and one replay are in order."""
        assert attempt.token is not None
        again = self.source.reject(attempt.token)
        if attempt.renewed or not again or attempt.rewind is None:
            return False
        attempt.renewed = True
        attempt.rewind()
        self.source.counts.add("replays")
        return True

    def pause_s(self, attempt: _Attempt, response: httpx.Response) -> float | None:
        """Seconds to wait before sending again on 429 and 503; None: hand the response out."""
        api = self.account.endpoint.api
        if response.status_code not in api.retry_status or attempt.rewind is None or attempt.waits >= 8:
            return None
        if response.status_code != 429 and attempt.request.method not in _IDEMPOTENT:
            return None
        asked = [retry_after(response.headers.get(name), time.time()) for name in api.retry_after]
        pause = next((seconds for seconds in asked if seconds is not None), None)
        if pause is None:
            if response.status_code != 429:
                return None
            pause = 0.5 * 2.0**attempt.waits
        if attempt.waited_s + pause > self.account.retry_budget_s:
            return None
        attempt.waits += 1
        attempt.waited_s += pause
        attempt.rewind()
        self.source.counts.add("replays")
        log.info(
            "request.waits account=%s status=%s seconds=%.1f", self.account.name, response.status_code, pause
        )
        return pause

    def finish(self, response: httpx.Response) -> httpx.Response:
        """Count it, and drop cookies: a session must not outlive its token, nor stand in for it."""
        if response.status_code >= 400:
            self.source.counts.add("failed_requests")
        if not self.account.cookies and "set-cookie" in response.headers:
            del response.headers["set-cookie"]
        return response


def _bare(error: BaseException) -> BaseException:
    """An error of the wire without the frames it passed: their variables hold the Authorization header.

    A cancellation too: it becomes the cause of the TimeoutError that a crash reporter is shown.
    """
    error.__traceback__ = None
    error.__cause__ = None
    error.__context__ = None
    return error


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
        self._rules = _Rules(source)
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
                if self._rules.says_expired(response) and self._rules.may_replay(attempt):
                    response.close()
                    continue
                return self._rules.finish(response)
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
            bare = _bare(error)
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
        self._rules = _Rules(source)
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
                if self._rules.says_expired(response) and self._rules.may_replay(attempt):
                    await response.aclose()
                    continue
                return self._rules.finish(response)
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
            bare = _bare(error)
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
