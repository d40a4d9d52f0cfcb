"""Tokens from an agreement: what a reply holds, and what of it may be asked for less.

Rules of this room: no HTTP, and no grant types but in what a server's habits say of them. Callers hold
`State.lock`. Every refusal is a `Refusal`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from connector.sandbox.habits import Client, Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.tokens import Agreement, Claims, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A token call that was read and whose sender is known.

    Attributes:
        client: who calls.
        form: the fields.
        key: thumbprint of the key that the caller proved to hold (RFC 9449); empty: none.
        audiences: the names by which an assertion may call this server.
    """

    client: Client
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: str = ""
    audiences: frozenset[str] = frozenset()


def issue(
    state: State,
    habits: Habits,
    call: Call,
    *,
    grant: str,
    agreement: Agreement,
    narrowed: Agreement | None = None,
    refresh_token: str | None = None,
) -> dict[str, Any]:
    """Return a token reply with a new access token.

    `narrowed` is what the access token gets of the agreement, by default all. A `refresh_token` is answered
    again as it is; without one, a new one is made where the habits give one.
    """
    now = state.issuing_at(habits.name)
    given = narrowed or agreement
    access, access_lifetime_s = _access_token(state, habits, call, given, now)
    reply: dict[str, Any] = {
        "access_token": access,
        "token_type": "DPoP" if call.key else habits.token_type,
        # Whole seconds, cut off, as real servers do: 2.9 s are announced as 2.
        "expires_in": int(access_lifetime_s),
        "scope": " ".join(given.scopes),
    }
    if refresh_token is None and habits.refreshable(grant, agreement.scopes, call.client.public):
        refresh_token = _refresh_token(state, habits, call, agreement, now)
    if refresh_token is not None:
        reply["refresh_token"] = refresh_token
    return reply


def _access_token(
    state: State, habits: Habits, call: Call, given: Agreement, now: float
) -> tuple[str, float]:
    """Return an access token and the seconds it has left."""
    standing = state.reissuable.get(given.family, "") if habits.reissues else ""
    if standing and (claims := state.read(habits.name, "access", standing)) is not None:
        return standing, claims.expires_at - now
    lasting = lasting_s(state, habits, given)
    text = state.signer.sign(
        Claims(
            persona=habits.name,
            kind="access",
            client_id=call.client.client_id,
            scopes=given.scopes,
            issued_at=now,
            expires_at=now + lasting,
            family=given.family,
            terms=replace(given.terms, key=call.key),
        )
    )
    if habits.reissues:
        state.reissuable[given.family] = text
    return text, lasting


def _refresh_token(state: State, habits: Habits, call: Call, agreement: Agreement, now: float) -> str:
    # A confidential client's refresh tokens are bound to the client already (RFC 9449 section 5).
    terms = replace(agreement.terms, key=call.key if call.client.public else "")
    return state.signer.sign(
        Claims(
            persona=habits.name,
            kind="refresh",
            client_id=call.client.client_id,
            scopes=agreement.scopes,
            issued_at=now,
            expires_at=now + habits.refresh_lifetime_s,
            lifetime_s=agreement.lifetime_s,
            family=agreement.family,
            generation=agreement.generation,
            terms=terms,
        )
    )


def issue_at_once(state: State, habits: Habits, call: Call, terms: Terms) -> dict[str, Any]:
    """Return the reply to a call that brings everything along; raises Refusal."""
    agreement = Agreement(
        scopes=wanted_scopes(habits, call.form.get("scope", "")),
        terms=replace(terms, resources=wanted_resources(call.form)),
        lifetime_s=chosen_lifetime(call.form),
    )
    return issue(state, habits, call, grant=call.form["grant_type"], agreement=agreement)


def lasting_s(state: State, habits: Habits, agreement: Agreement) -> float:
    """Return how long a new access token is good: as its holder chose, the sandbox, or the vendor."""
    lengths = (agreement.lifetime_s, state.lifetime_s, habits.access_lifetime_s)
    return next(length for length in lengths if length is not None)


def wanted_scopes(habits: Habits, text: str) -> tuple[str, ...]:
    """Return the scopes of a request, or the server's default; raises Refusal where it has none."""
    scopes = tuple(dict.fromkeys(text.split())) or habits.default_scopes
    if not scopes:
        raise Refusal("invalid_scope", "at least one scope is required")
    return scopes


def wanted_resources(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return where a token shall be used; raises Refusal for what is no absolute URI (RFC 8707 section 2)."""
    resources = tuple(dict.fromkeys(fields.get("resource", "").split(" "))) if "resource" in fields else ()
    for uri in resources:
        try:
            parts = urlsplit(uri)
            absolute = bool(parts.scheme) and bool(parts.netloc or parts.path) and "#" not in uri
        except ValueError:
            absolute = False
        if not absolute:
            raise Refusal("invalid_target", "resource must be an absolute URI without a fragment")
    return resources


def chosen_lifetime(fields: Mapping[str, str]) -> float | None:
    """Return the field ``sandbox_lifetime`` (seconds, at least 0), None without one; raises Refusal."""
    return seconds(fields, "sandbox_lifetime")


def seconds(fields: Mapping[str, str], name: str) -> float | None:
    """Return a field as a number of seconds, at least 0, None without one; raises Refusal."""
    text = fields.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < 1e9:
        raise Refusal("invalid_request", f"{name} is not a number of seconds")
    return number


def asked_anew(agreement: Agreement, fields: Mapping[str, str]) -> Agreement:
    """Return an agreement with the lifetime that the call chooses, if it does; raises Refusal."""
    chosen = chosen_lifetime(fields)
    return agreement if chosen is None else replace(agreement, lifetime_s=chosen)


def narrow(agreement: Agreement, fields: Mapping[str, str], *, scopes: bool = True) -> Agreement:
    """Return what a call asks for of an agreement; raises Refusal where it asks for more.

    See RFC 6749 section 6 for scopes, RFC 8707 section 2.2 for resources. `scopes` False: the grant has no
    such field.
    """
    wanted = tuple(fields.get("scope", "").split()) if scopes else ()
    if not set(wanted) <= set(agreement.scopes):
        raise Refusal("invalid_scope", "the scope cannot be widened")
    resources, allowed = wanted_resources(fields), agreement.terms.resources
    if allowed and not set(resources) <= set(allowed):
        raise Refusal("invalid_target", "a resource was not part of what was agreed to")
    terms = replace(agreement.terms, resources=resources or allowed)
    return replace(agreement, scopes=wanted or agreement.scopes, terms=terms)
