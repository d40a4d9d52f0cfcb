"""Answers spoilt on purpose: what servers, gateways and networks really send on a bad day."""

from __future__ import annotations

import math
import random
from email.utils import formatdate

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from connector.sandbox.state import State

API_FAULTS = ("429", "429-date", "503", "503-bare", "slow", "truncate", "500", "redirect")
TOKEN_FAULTS = (
    "500", "503", "slow", "redirect", "502-after", "html", "truncate", "huge", "empty-400",
)  # fmt: skip
_SCHEDULED = ("429", "503-bare", "slow", "429-date", "truncate", "503")
_EVERY = 5
_SLOW_S = 0.2
_HUGE_BYTES = 16 * 1024 * 1024
_LOGIN_PAGE = "<!doctype html><title>Sign in</title><p>Please sign in to continue.</p>"


class TruncatedResponse(Response):
    """Announces its whole length, sends half of it, and leaves: the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and half the body (ASGI)."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def schedule(rng: random.Random, length: int = 60) -> tuple[str, ...]:
    """Return what happens to the n-th API request, over and over: one fault in each five, the rest ''."""
    kinds: list[str] = []
    plan: list[str] = []
    for _ in range(0, length, _EVERY):
        if not kinds:
            kinds = rng.sample(_SCHEDULED, len(_SCHEDULED))
        block = [""] * _EVERY
        block[rng.randrange(_EVERY)] = kinds.pop()
        plan += block
    return tuple(plan)


async def spoil(state: State, persona: str, fault: str, request: Request, response: Response) -> Response:
    """Return what becomes of an API answer under a fault of `API_FAULTS`; any other name changes nothing."""
    if fault not in API_FAULTS:
        return response
    state.counts.add(persona, "faults")
    if fault == "slow":
        await anyio.sleep(_SLOW_S)
        return response
    if fault == "truncate":
        return _truncated(response)
    if fault == "redirect":
        return RedirectResponse(state.foreign_url + request.url.path, status_code=307)
    return _unavailable(state, fault)


async def before_processing(state: State, persona: str, fault: str, request: Request) -> Response | None:
    """Return the answer of a token endpoint that fails before it used anything up, None for no such fault."""
    if fault not in ("500", "503", "slow", "redirect", "empty-400"):
        return None
    state.counts.add(persona, "faults")
    if fault == "slow":
        await anyio.sleep(_SLOW_S)
        return None
    if fault == "redirect":
        return RedirectResponse(state.foreign_url + request.url.path, status_code=307)
    if fault == "empty-400":
        return Response(status_code=400)
    return _unavailable(state, fault)


def after_processing(state: State, persona: str, fault: str, response: Response) -> Response:
    """Return what arrives of a token reply when the refresh token has already been used up."""
    if fault not in ("502-after", "html", "truncate", "huge"):
        return response
    state.counts.add(persona, "faults")
    if fault == "502-after":
        return HTMLResponse("<h1>502 Bad Gateway</h1>", status_code=502)
    if fault == "html":
        return HTMLResponse(_LOGIN_PAGE)
    if fault == "huge":
        return JSONResponse({"access_token": "x" * _HUGE_BYTES, "token_type": "Bearer"})
    return _truncated(response)


def _truncated(response: Response) -> Response:
    spoilt = TruncatedResponse(response.body, status_code=response.status_code)
    spoilt.raw_headers = response.raw_headers
    return spoilt


def _unavailable(state: State, fault: str) -> Response:
    status = int(fault[:3])
    headers = {}
    if fault.endswith("-date"):  # RFC 9110 section 10.2.3 allows both forms
        headers["Retry-After"] = formatdate(math.ceil(state.clock()) + 1, usegmt=True)
    elif fault in ("429", "503"):
        headers["Retry-After"] = "1"
    return JSONResponse({"error": "try_again_later", "status": status}, status_code=status, headers=headers)
