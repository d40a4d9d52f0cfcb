"""The door of every API: who may come in, how often, and how it is counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.sandbox import dpop
from connector.sandbox.habits import Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import Handler
from connector.sandbox.tokens import Claims

Deny = Callable[[Request, str], Response]


class Door(Protocol):
    """Puts a handler behind something: a `Guard`, or a guard with more behind it."""

    def __call__(self, handler: Handler, *, scope: str = "") -> Handler:
        """Return the handler behind this door."""


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate_per_s` requests a second, and `burst` at once."""

    rate_per_s: float
    burst: float
    level: float = field(init=False)
    filled_at: float | None = None

    def __post_init__(self) -> None:
        self.level = self.burst

    def wait_s(self, now: float) -> float:
        """Take one request out of the bucket; return 0, or the seconds until there is one."""
        if self.filled_at is not None:
            self.level = min(self.burst, self.level + (now - self.filled_at) * self.rate_per_s)
        self.filled_at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.rate_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Wraps the handlers of one persona's API, which find what the token says in ``request.state.claims``.

    Attributes:
        unauthorized: makes the 401; is told ``missing`` or ``invalid``.
        forbidden: makes the 403; is told the scope that would have been needed.
        session_cookie: the cookie that is as good as a token; empty: none.
        bucket: the rate limit; None: there is none.
        bound: the habits of a server whose tokens may be bound to keys (RFC 9449); None: they never are.
    """

    state: State
    persona: str
    unauthorized: Deny
    forbidden: Deny
    session_cookie: str = ""
    bucket: Bucket | None = None
    bound: Habits | None = None

    def __call__(self, handler: Handler, *, scope: str = "") -> Handler:
        """Return `handler` behind this door; `scope` is what the token must allow."""

        async def guarded(request: Request) -> Response:
            self.state.counts.add(self.persona, "api_requests")
            response = self._refusal(request, scope)
            if response is None:
                response = await handler(request)
            else:
                # Read what is still coming, or a client in the middle of an upload sees a reset instead.
                async for _ in request.stream():
                    pass
            if self.bound is not None and "dpop" in request.headers:
                response.headers.update(dpop.nonce(self.state, self.bound))
            return response

        return guarded

    def _refusal(self, request: Request, scope: str) -> Response | None:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        schemes = ("bearer",) if self.bound is None else ("bearer", "dpop")
        token = text.strip() if scheme.lower() in schemes else ""
        claims = self.state.read(self.persona, "access", token) or self._session(request)
        request.state.claims = claims
        refusal = None
        if self.bound is not None and (scheme.lower() == "dpop" or (claims and claims.terms.key)):
            refusal = _unproven(self.state, self.bound, request, scheme, token, claims)
        elif claims is None:
            refusal = self.unauthorized(request, "invalid" if token else "missing")
        if refusal is not None or claims is None:
            self.state.counts.add(self.persona, "unauthorized")
            return refusal
        if scope and claims.kind == "access" and scope not in claims.scopes:
            return self.forbidden(request, scope)
        wait_s = self.bucket.wait_s(self.state.clock()) if self.bucket else 0.0
        if wait_s and self.bucket:
            self.state.counts.add(self.persona, "limited")
            return _too_many(self.bucket, wait_s)
        return None

    def _session(self, request: Request) -> Claims | None:
        if not self.session_cookie:
            return None
        cookie = request.cookies.get(self.session_cookie, "")
        return self.state.read(self.persona, "session", cookie)


def _unproven(
    state: State, habits: Habits, request: Request, scheme: str, token: str, claims: Claims | None
) -> Response | None:
    """Return the 401 to a token that is not presented with its key (RFC 9449 section 7.1), else None."""
    try:
        if claims is None:
            raise Refusal("invalid_token", "the token is invalid, expired or revoked")
        if not claims.terms.key or scheme.lower() != "dpop":
            raise Refusal("invalid_token", "a bound token goes with DPoP, and any other with Bearer")
        if dpop.prove(state, habits, request, token) != claims.terms.key:
            raise Refusal("invalid_token", "the token is bound to another key")
    except Refusal as refusal:
        said = f'error="{refusal.error}", error_description="{refusal.description}"'
        headers = {"WWW-Authenticate": f'DPoP {said}, algs="{" ".join(dpop.ALGORITHMS)}"'}
        return JSONResponse({"error": refusal.error}, 401, headers=headers)
    return None


def bucket_for(state: State, *, rate_per_s: float, burst: float) -> Bucket | None:
    """Return the bucket that the sandbox's `rate_limit` asks for, by default the vendor's figures."""
    if state.rate_limit is False:
        return None
    if state.rate_limit is True:
        return Bucket(rate_per_s, burst)
    return Bucket(float(state.rate_limit), burst)


def challenge(realm: str, why: str, scope: str = "", *, scheme: str = "Bearer") -> Response:
    """Return a refusal as RFC 6750 section 3 words it; `why` is ``missing``, ``invalid`` or ``scope``."""
    if why == "scope":
        said = f', error="insufficient_scope", scope="{scope}"'
        return JSONResponse(
            {"error": "insufficient_scope"},
            403,
            headers={"WWW-Authenticate": f'{scheme} realm="{realm}"{said}'},
        )
    said = ', error="invalid_token"' if why == "invalid" else ""
    body = {"error": "invalid_token" if said else "unauthorized"}
    return JSONResponse(body, 401, headers={"WWW-Authenticate": f'{scheme} realm="{realm}"{said}'})


def whole_number(request: Request, name: str, default: int, *, most: int, least: int = 0) -> int:
    """Return a query parameter as a number within bounds; what is no number counts as absent."""
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return default
    return max(least, min(int(text), most))


def _too_many(bucket: Bucket, wait_s: float) -> Response:
    headers = {
        "Retry-After": str(math.ceil(wait_s)),
        "X-RateLimit-Limit": f"{bucket.rate_per_s:g}",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(math.ceil((bucket.filled_at or 0.0) + wait_s)),
    }
    return JSONResponse({"error": "rate limit exceeded"}, status_code=429, headers=headers)
