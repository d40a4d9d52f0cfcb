"""Grants: from a checked form to a token reply, as each server's habits have it.

Rules of this room: no HTTP. Callers hold `State.lock`. Every refusal is a `Refusal`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Mapping
from typing import Any

from connector.sandbox.habits import PASSWORD, PASSWORD_USER, Client, Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.tokens import Claims, fingerprint, new_family


def exchange(state: State, habits: Habits, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the token reply (RFC 6749 section 5.1) to a token call; raises Refusal."""
    grant = form.get("grant_type", "")
    if not grant:
        raise Refusal("invalid_request", "grant_type is missing")
    if grant not in habits.grants:
        raise Refusal("unsupported_grant_type", "this server does not know that grant type")
    if grant == "refresh_token":
        return _refresh(state, habits, client, form)
    if grant == "authorization_code":
        return _code(state, habits, client, form)
    if client.public:
        raise Refusal("unauthorized_client", "a public client may not use this grant type")
    if grant == "password" and (form.get("username"), form.get("password")) != (PASSWORD_USER, PASSWORD):
        raise Refusal("invalid_grant", "user name or password is wrong")
    scopes = wanted_scopes(habits, form.get("scope", ""))
    return issue(state, habits, client, grant=grant, scopes=scopes, lifetime_s=chosen_lifetime(form))


def issue(
    state: State,
    habits: Habits,
    client: Client,
    *,
    grant: str,
    scopes: tuple[str, ...],
    lifetime_s: float | None = None,
    family: str = "",
    generation: int = 0,
    refresh_token: str | None = None,
) -> dict[str, Any]:
    """Return a token reply with a new access token.

    `refresh_token` is answered again as it is; without one, a new one is made where the habits give one.
    """
    now = state.issuing_at(habits.name)
    family = family or new_family()
    access, access_lifetime_s = _access_token(state, habits, client, scopes, lifetime_s, family, now)
    reply: dict[str, Any] = {
        "access_token": access,
        "token_type": habits.token_type,
        # Whole seconds, cut off, as real servers do: 2.9 s are announced as 2.
        "expires_in": int(access_lifetime_s),
        "scope": " ".join(scopes),
    }
    if refresh_token is None and habits.refreshable(grant, scopes, client.public):
        refresh_token = state.signer.sign(
            Claims(
                persona=habits.name,
                kind="refresh",
                client_id=client.client_id,
                scopes=scopes,
                issued_at=now,
                expires_at=now + habits.refresh_lifetime_s,
                lifetime_s=lifetime_s,
                family=family,
                generation=generation,
            )
        )
    if refresh_token is not None:
        reply["refresh_token"] = refresh_token
    return reply


def _access_token(
    state: State,
    habits: Habits,
    client: Client,
    scopes: tuple[str, ...],
    lifetime_s: float | None,
    family: str,
    now: float,
) -> tuple[str, float]:
    """Return an access token and the seconds it has left."""
    standing = state.reissuable.get(family, "") if habits.reissues else ""
    if standing and (claims := state.read(habits.name, "access", standing)) is not None:
        return standing, claims.expires_at - now
    lengths = (lifetime_s, state.lifetime_s, habits.access_lifetime_s)
    lasting = next(length for length in lengths if length is not None)
    text = state.signer.sign(
        Claims(
            persona=habits.name,
            kind="access",
            client_id=client.client_id,
            scopes=scopes,
            issued_at=now,
            expires_at=now + lasting,
            family=family,
        )
    )
    if habits.reissues:
        state.reissuable[family] = text
    return text, lasting


def _refresh(state: State, habits: Habits, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    text = form.get("refresh_token", "")
    if not text:
        raise Refusal("invalid_request", "refresh_token is missing")
    state.counts.presented(habits.name, fingerprint(text))
    claims = state.read(habits.name, "refresh", text)
    if claims is None or claims.client_id != client.client_id:
        raise Refusal("invalid_grant", "the refresh token is invalid, expired, revoked or another client's")
    scopes = tuple(form.get("scope", "").split()) or claims.scopes
    if not set(scopes) <= set(claims.scopes):  # RFC 6749 section 6
        raise Refusal("invalid_scope", "a refresh cannot widen the scope")
    generation = claims.generation
    if habits.rotates:
        following = state.rotate(claims)
        if following is None:
            raise Refusal("invalid_grant", "the refresh token was used before; its family is revoked")
        generation = following
    chosen = chosen_lifetime(form)
    return issue(
        state,
        habits,
        client,
        grant="authorization_code",
        scopes=scopes,
        lifetime_s=claims.lifetime_s if chosen is None else chosen,
        family=claims.family,
        generation=generation,
        refresh_token=None if habits.rotates else text,
    )


def _code(state: State, habits: Habits, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    claims = state.read(habits.name, "code", form.get("code", ""))
    if claims is None or claims.client_id != client.client_id:
        raise Refusal("invalid_grant", "the code is invalid, expired or another client's")
    if form.get("redirect_uri", "") != claims.redirect_uri:
        raise Refusal("invalid_grant", "redirect_uri differs from the one of the authorization request")
    if claims.challenge and not _proves(form.get("code_verifier", ""), claims.challenge):
        raise Refusal("invalid_grant", "code_verifier does not match the code challenge")
    if not state.spend_code(claims):
        raise Refusal("invalid_grant", "the code was used before")
    chosen = chosen_lifetime(form)
    return issue(
        state,
        habits,
        client,
        grant="authorization_code",
        scopes=claims.scopes,
        lifetime_s=claims.lifetime_s if chosen is None else chosen,
        family=claims.family,
    )


def wanted_scopes(habits: Habits, text: str) -> tuple[str, ...]:
    """Return the scopes of a request, or the server's default; raises Refusal where it has none."""
    scopes = tuple(dict.fromkeys(text.split())) or habits.default_scopes
    if not scopes:
        raise Refusal("invalid_scope", "at least one scope is required")
    return scopes


def chosen_lifetime(fields: Mapping[str, str]) -> float | None:
    """Return the field ``sandbox_lifetime`` (seconds, at least 0), None without one; raises Refusal."""
    text = fields.get("sandbox_lifetime", "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e9:
        raise Refusal("invalid_request", "sandbox_lifetime is not a number of seconds")
    return seconds


def _proves(verifier: str, challenge: str) -> bool:
    """Whether a PKCE verifier belongs to an S256 challenge (RFC 7636 section 4.6)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)
