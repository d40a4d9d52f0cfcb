"""One call to the authorization server, as a generator of effects: posted, read, made again for a nonce."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from connector.account import Account
from connector.effects import Effect, NoReply, Post, Ready
from connector.filling import mentioned
from connector.hooked import prepared, read
from connector.reading import clock_of
from connector.reply import Refusal, Reply
from connector.token import Token
from connector.tokenrequest import TokenRequest

T = TypeVar("T")
_NONCES = 3
_SHOWN = frozenset({"api_key", "username", "password", "bearer_token", "client_secret"})


def post(
    ready: Ready,
    make: Callable[[Ready], TokenRequest],
    read: Callable[[Reply, TokenRequest], T | Refusal],
    *,
    until: float = math.inf,
    server_s: float = 0.0,
    told: Callable[[float], None] = lambda seconds: None,
) -> Generator[Effect, Any, T | Refusal | NoReply]:
    """Make a call to the authorization server and read what comes back.

    A server that wants its nonce in the proof says so before it processes anything (RFC 9449 section 8), so
    the same call with the nonce is no second use of what it shows. Neither is the same call with another
    moment in what was signed, after the signature was refused: who calls is looked at first.

    Args:
        make: builds the request; called again for another proof.
        read: reads a reply to that request.
        until: a call that begins later, by the steady clock, is not made.
        server_s: what the server's clock is ahead of ours, as far as it counts in ``ready.credentials.now``.
        told: is told of another one that the server proved right.
    """
    nonces, corrected = 0, False
    while True:
        request = make(ready)
        reply: Reply | NoReply = yield Post(request, until=until)
        if isinstance(reply, NoReply):
            return reply
        outcome = read(reply, request)
        if not isinstance(outcome, Refusal):
            if corrected:
                told(server_s)
            return outcome
        if not corrected and _of_the_moment(outcome, request):
            shift_s = (clock_of(reply.headers, reply.received_at) or 0.0) - server_s
            credentials = ready.credentials
            moved = replace(ready, credentials=replace(credentials, now=credentials.now + shift_s))
            if shift_s and _timed(request, make(moved)):
                ready = replace(moved, credentials=moved.credentials.again())
                server_s, corrected = server_s + shift_s, True
                continue
        if outcome.kind != "nonce":
            return outcome
        nonces += 1
        if nonces == _NONCES:
            return replace(outcome, kind="protocol", description="it refuses each nonce that it gave itself")
        ready = replace(ready, credentials=ready.credentials.again(dpop_nonce=outcome.dpop_nonce))


def _of_the_moment(refusal: Refusal, request: TokenRequest) -> bool:
    """Whether a wrong moment may be why, and nothing was processed that may be processed once."""
    if refusal.kind == "client" or refusal.error == "invalid_dpop_proof":  # RFC 9449 section 5
        return True
    return refusal.kind == "login" and not request.presents


def _timed(request: TokenRequest, moved: TokenRequest) -> bool:
    """Whether a moment is in the request: a client assertion, a grant's, or a DPoP proof."""
    return (request.body, request.headers, request.url) != (moved.body, moved.headers, moved.url)


def token_call(
    ready: Ready,
    make: Callable[[Ready], TokenRequest],
    *,
    previous: Token | None,
    until: float,
    server_s: float = 0.0,
    told: Callable[[float], None] = lambda seconds: None,
) -> Generator[Effect, Any, Token | Refusal | NoReply]:
    """`post` to the token endpoint; `previous` is the token that is renewed."""
    endpoint = ready.account.endpoint
    # A renewal that shows the access token renews what the exchange has brought.
    kept = previous is not None and endpoint.refresh.with_ == "access_token"
    due = 0 if kept else len(endpoint.exchange)

    def made(ready: Ready) -> TokenRequest:
        return prepared(ready, make(ready), previous)

    def read_it(reply: Reply, request: TokenRequest) -> Token | Refusal:
        outcome = read(ready, reply, request, previous)
        if not isinstance(outcome, Token):
            return outcome
        return replace(outcome, exchanges_left=due, private=private_of(ready))

    return (yield from post(ready, made, read_it, until=until, server_s=server_s, told=told))


def private_names(account: Account) -> frozenset[str]:
    """The account's secrets that templates of its API name, beside the token."""
    endpoint = account.endpoint
    api, steps = endpoint.api, (*endpoint.discover, *([endpoint.test] if endpoint.test else []))
    parts: list[object] = [api.headers, api.query, api.basic]
    for request in (step.request for step in steps):
        parts += [request.url, request.params, request.query, request.headers, request.pair]
    named = set(mentioned(parts))
    # Vars of the endpoint may stand between; each may name those before it.
    for name, how in reversed([*endpoint.vars.items()]):
        named |= set(mentioned(how)) if name in named else set()
    return frozenset(named & _SHOWN)


def private_of(ready: Ready) -> Mapping[str, str]:
    """Those secrets, as they are at this call."""
    secrets = {**ready.credentials.secrets, "client_secret": ready.credentials.client_secret}
    named = private_names(ready.account)
    return MappingProxyType({n: one.reveal() for n, one in secrets.items() if one is not None and n in named})
