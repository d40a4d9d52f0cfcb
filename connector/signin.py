"""Logging in with a person, as generators of effects: no I/O, no clock, no browser.

A login that fails changes nothing: what it brings is saved only by whoever ran it to its end.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from connector.account import Account
from connector.authorization import (
    Pending,
    authorization_url,
    captured_from,
    code_request,
    pending,
    push_request,
    read_pushed,
    read_redirect,
)
from connector.device import DeviceCode, device_request, pending_still, poll_request, read_device, slower
from connector.effects import Effect, NoReply, Now, Ready, Reveal, Wait
from connector.errors import NotAuthorizedError, RenewalError
from connector.reply import Refusal
from connector.token import Token
from connector.tokencall import post, token_call
from connector.verdict import misfit

T = TypeVar("T")
_NEVER = math.inf


def begin_code(redirect_uri: str, extra: Mapping[str, str]) -> Generator[Effect, Any, tuple[str, Pending]]:
    """Prepare an authorization request: the URL a person opens, and what its answer must fit."""
    ready: Ready = yield Reveal()
    account = ready.account
    asked = pending(account, ready.credentials, redirect_uri, extra)
    request_uri = ""
    if account.endpoint.par is not None:
        outcome = yield from post(
            ready,
            lambda ready: push_request(ready.account, ready.credentials, asked),
            lambda reply, request: read_pushed(account, reply, request.secrets),
        )
        request_uri = good(account, outcome)
    return authorization_url(account, asked, request_uri), asked


def finish(asked: Pending, redirected: str) -> Generator[Effect, Any, Token]:
    """Turn what the browser brought into a token."""
    ready: Ready = yield Reveal()
    if asked.dpop_key:
        ready = replace(ready, credentials=replace(ready.credentials, dpop_key=asked.dpop_key))
    code = read_redirect(ready.account, asked, redirected)
    captured = captured_from(ready.account, redirected)
    outcome = yield from token_call(
        ready,
        lambda ready: code_request(ready.account, ready.credentials, asked, code, captured),
        previous=None,
        until=_NEVER,
    )
    token = good(ready.account, outcome)
    return replace(token, captured=MappingProxyType({**captured, **token.captured}))


def begin_device() -> Generator[Effect, Any, DeviceCode]:
    """Ask for a device code."""
    ready: Ready = yield Reveal()
    outcome = yield from post(
        ready,
        lambda ready: device_request(ready.account, ready.credentials),
        lambda reply, request: read_device(ready.account, reply, ready.credentials, request.secrets),
    )
    return good(ready.account, outcome)


def poll(code: DeviceCode) -> Generator[Effect, Any, Token]:
    """Ask until the person is done, says no, or the code has ended."""
    interval_s, silences = code.interval_s, 0
    while True:
        now: float = yield Now()
        ready: Ready = yield Reveal()
        if now + interval_s >= code.expires_at:
            raise _too_late(ready.account)
        yield Wait(interval_s * 2.0**silences)
        ready = replace(ready, credentials=replace(ready.credentials.again(), dpop_key=code.dpop_key))
        outcome = yield from token_call(
            ready,
            lambda ready: poll_request(ready.account, ready.credentials, code),
            previous=None,
            until=_NEVER,
        )
        if isinstance(outcome, Token):
            return outcome
        if isinstance(outcome, NoReply) or (outcome.kind == "later" and not pending_still(outcome)):
            silences = min(silences + 1, 4)  # RFC 8628 section 3.5: ask less often
            continue
        silences = 0
        if outcome.error == "expired_token":
            raise _too_late(ready.account)
        if not pending_still(outcome):
            good(ready.account, outcome)
        interval_s = slower(interval_s, outcome)


def _too_late(account: Account) -> NotAuthorizedError:
    return NotAuthorizedError(
        f"nobody entered the code for account {account.name!r} in time",
        account=account.name,
        code="login_timeout",
        reason="the code has ended",
        resolution=f"begin again: `connector login {account.name}`",
    )


def good(account: Account, outcome: T | Refusal | NoReply, *, what: str = "login") -> T:
    """What a call brought, or the error for what it did not bring."""
    if isinstance(outcome, NoReply):
        raise _incomplete(account, what, outcome.words, "try again; nothing was changed")
    if not isinstance(outcome, Refusal):
        return outcome
    if outcome.kind in ("later", "protocol"):
        hint = "check the endpoint's URLs" if outcome.kind == "protocol" else "try again later"
        raise _incomplete(account, what, outcome.words(), hint, outcome.retry_after_s)
    if outcome.error == "access_denied":
        raise NotAuthorizedError(
            f"the {what} of account {account.name!r} was denied",
            account=account.name,
            code="access_denied",
            reason=outcome.words(),
            resolution="allow it on the server's page, or ask who may",
        )
    raise misfit(account, outcome.kind, outcome.words())


def _incomplete(
    account: Account, what: str, reason: str, resolution: str, retry_after: float | None = None
) -> RenewalError:
    return RenewalError(
        f"the {what} of account {account.name!r} could not be completed",
        account=account.name,
        code=f"{what}_failed",
        reason=reason,
        resolution=resolution,
        retry_after=retry_after,
    )
