"""One call to the authorization server, as a generator of effects: posted, read, made again for a nonce."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from connector.effects import Effect, NoReply, Post, Ready
from connector.filling import mentioned
from connector.hooked import prepared, read
from connector.reply import Refusal, Reply
from connector.token import Token
from connector.tokenrequest import TokenRequest

T = TypeVar("T")
_NONCES = 3
_SHOWN = ("api_key", "username", "password")


def post(
    ready: Ready,
    make: Callable[[Ready], TokenRequest],
    read: Callable[[Reply, TokenRequest], T | Refusal],
    *,
    until: float = math.inf,
) -> Generator[Effect, Any, T | Refusal | NoReply]:
    """Make a call to the authorization server and read what comes back.

    A server that wants its nonce in the proof says so before it processes anything (RFC 9449 section 8), so
    the same call with the nonce is no second use of what it shows.

    Args:
        make: builds the request; called again for another proof.
        read: reads a reply to that request.
        until: a call that begins later is not made.
    """
    nonces = 0
    while True:
        request = make(ready)
        reply: Reply | NoReply = yield Post(request, until=until)
        if isinstance(reply, NoReply):
            return reply
        outcome = read(reply, request)
        if not isinstance(outcome, Refusal) or outcome.kind != "nonce":
            return outcome
        nonces += 1
        if nonces == _NONCES:
            return replace(outcome, kind="protocol", description="it refuses each nonce that it gave itself")
        ready = replace(ready, credentials=ready.credentials.again(dpop_nonce=outcome.dpop_nonce))


def token_call(
    ready: Ready, make: Callable[[Ready], TokenRequest], *, previous: Token | None, until: float
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
        return replace(outcome, exchanges_left=due, private=_named_secrets(ready))

    return (yield from post(ready, made, read_it, until=until))


def _named_secrets(ready: Ready) -> Mapping[str, str]:
    """The account's secrets that templates of its API name, beside the token."""
    api, test = ready.account.endpoint.api, ready.account.endpoint.test
    steps = [step.request for step in (*ready.account.endpoint.discover, *([test] if test else []))]
    parts: list[object] = [api.headers, api.query, api.basic]
    for request in steps:
        parts += [request.url, request.params, request.query, request.headers, request.pair]
    named = set(mentioned(parts))
    found = {
        name: secret.reveal()
        for name, secret in ready.credentials.secrets.items()
        if name in named and name in _SHOWN
    }
    return MappingProxyType(found)
