"""Grants: from a checked form to a token reply, as each server's habits have it.

Rules of this room: no HTTP. Callers hold `State.lock`. Every refusal is a `Refusal`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from connector.sandbox import delegation
from connector.sandbox.habits import (
    ASSERTION_GRANT,
    DEVICE_GRANT,
    EXCHANGE_GRANT,
    PASSWORD,
    PASSWORD_USER,
    Habits,
    Refusal,
)
from connector.sandbox.issuing import Call, asked_anew, issue, issue_at_once, narrow
from connector.sandbox.state import State
from connector.sandbox.tokens import Agreement, Claims, Terms, fingerprint


def exchange(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    """Return the token reply (RFC 6749 section 5.1) to a token call; raises Refusal."""
    grant = call.form.get("grant_type", "")
    if not grant:
        raise Refusal("invalid_request", "grant_type is missing")
    if grant not in habits.grants:
        raise Refusal("unsupported_grant_type", "this server does not know that grant type")
    if call.client.public and grant not in _FOR_EVERYONE:
        raise Refusal("unauthorized_client", "a public client may not use this grant type")
    return _GRANTS[grant](state, habits, call)


def _refresh(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    text = call.form.get("refresh_token", "")
    if not text:
        raise Refusal("invalid_request", "refresh_token is missing")
    state.counts.presented(habits.name, fingerprint(text))
    claims = state.read(habits.name, "refresh", text)
    if claims is None or claims.client_id != call.client.client_id:
        raise Refusal("invalid_grant", "the refresh token is invalid, expired, revoked or another client's")
    _check_key(claims, call)
    # All that can be wrong with the call is found before the token is used up.
    agreement = asked_anew(claims.agreement(), call.form)
    narrowed = narrow(agreement, call.form)
    if not habits.rotates:
        return _renewed(state, habits, call, agreement, narrowed, text)
    if successor := state.successor(claims):
        return _renewed(state, habits, call, agreement, narrowed, successor)
    following = state.rotate(claims)
    if following is None:
        raise Refusal("invalid_grant", "the refresh token was used before; its family is revoked")
    agreement = replace(agreement, generation=following)
    reply = _renewed(state, habits, call, agreement, narrowed, None)
    state.succeed(claims, reply["refresh_token"])
    return reply


def _renewed(
    state: State,
    habits: Habits,
    call: Call,
    agreement: Agreement,
    narrowed: Agreement,
    refresh_token: str | None,
) -> dict[str, Any]:
    # Whatever the first grant was: only those that give refresh tokens come here.
    return issue(
        state,
        habits,
        call,
        grant="authorization_code",
        agreement=agreement,
        narrowed=narrowed,
        refresh_token=refresh_token,
    )


def _code(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    claims = state.read(habits.name, "code", call.form.get("code", ""))
    if claims is None or claims.client_id != call.client.client_id:
        raise Refusal("invalid_grant", "the code is invalid, expired or another client's")
    if call.form.get("redirect_uri", "") != claims.redirect_uri:
        raise Refusal("invalid_grant", "redirect_uri differs from the one of the authorization request")
    _check_key(claims, call)
    if claims.challenge and not _proves(call.form.get("code_verifier", ""), claims.challenge):
        raise Refusal("invalid_grant", "code_verifier does not match the code challenge")
    agreement = asked_anew(claims.agreement(), call.form)
    narrowed = narrow(agreement, call.form, scopes=False)
    if not state.spend_code(claims):
        raise Refusal("invalid_grant", "the code was used before")
    return issue(state, habits, call, grant="authorization_code", agreement=agreement, narrowed=narrowed)


def _device(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    device = state.devices.of_client(habits.name, call.form.get("device_code", ""))
    if device is None or device.client_id != call.client.client_id:
        raise Refusal("invalid_grant", "the device code is unknown or another client's")
    agreement = asked_anew(device.agreement, call.form)
    narrowed = narrow(agreement, call.form, scopes=False)
    device.poll(state.clock())
    return issue(state, habits, call, grant=DEVICE_GRANT, agreement=agreement, narrowed=narrowed)


def _password(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    if (call.form.get("username"), call.form.get("password")) != (PASSWORD_USER, PASSWORD):
        raise Refusal("invalid_grant", "user name or password is wrong")
    return issue_at_once(state, habits, call, Terms(subject=PASSWORD_USER))


def _client(state: State, habits: Habits, call: Call) -> dict[str, Any]:
    return issue_at_once(state, habits, call, Terms(subject=call.client.client_id))


_GRANTS: Mapping[str, Callable[[State, Habits, Call], dict[str, Any]]] = {
    "authorization_code": _code,
    "client_credentials": _client,
    "password": _password,
    "refresh_token": _refresh,
    DEVICE_GRANT: _device,
    ASSERTION_GRANT: delegation.by_assertion,
    EXCHANGE_GRANT: delegation.token_for_token,
}
_FOR_EVERYONE = frozenset({"authorization_code", "refresh_token", DEVICE_GRANT})


def _check_key(claims: Claims, call: Call) -> None:
    """Raise Refusal when a code or refresh token belongs to a key and the caller did not prove to hold it.

    See RFC 9449 sections 5 (refresh tokens of public clients) and 10 (``dpop_jkt``).
    """
    if claims.terms.key not in ("", call.key):
        raise Refusal("invalid_grant", "this is bound to a key that the call does not prove to hold")


def _proves(verifier: str, challenge: str) -> bool:
    """Whether a PKCE verifier belongs to an S256 challenge (RFC 7636 section 4.6)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)
