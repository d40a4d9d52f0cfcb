"""Assertions that a client signed (RFC 7523 section 3), be it to prove itself or as a grant.

Rules of this room: no HTTP. What is wrong is a `BadJwt`; which refusal that becomes is the caller's business.
"""

from __future__ import annotations

from connector.sandbox.habits import CLIENTS, Habits
from connector.sandbox.jwts import BadJwt, Unverified, verify, verify_with_secret
from connector.sandbox.state import State

_SKEW_S = 60.0
# An assertion is made for one call; one for tomorrow would have to be remembered until then.
_LONGEST_S = 3600.0


def check_assertion(
    state: State, habits: Habits, assertion: Unverified, audiences: frozenset[str], *, of_client: bool
) -> str:
    """Return the client that wrote an assertion, and use the assertion up; raises BadJwt.

    `audiences` are the names that the server answers to. `of_client`: the client proves itself with it, so
    its secret may have signed it as well (OpenID Connect Core section 9), and it must say ``jti``.
    """
    client_id = assertion.text("iss")
    if of_client and assertion.algorithm == "HS256":
        if not (secret := CLIENTS.get(client_id)):
            raise BadJwt("the client has no secret")
        verify_with_secret(assertion, secret)
    else:
        verify(assertion, state.client_keys.get(client_id, ()))
    named = assertion.claims.get("aud")
    if not any(
        isinstance(name, str) and name in audiences
        for name in (named if isinstance(named, list) else [named])
    ):
        raise BadJwt("aud must be the issuer or the token endpoint")
    now, expires_at = state.clock(), assertion.moment("exp")
    if not now < expires_at <= now + _LONGEST_S:
        raise BadJwt("exp is over, or more than an hour away")
    for name in ("nbf", "iat"):
        if name in assertion.claims and assertion.moment(name) > now + _SKEW_S:
            raise BadJwt(f"{name} is in the future")
    if of_client or "jti" in assertion.claims:
        with state.lock:
            identifier = f"{habits.name} {client_id} {assertion.text('jti')}"
            if not state.once.take(identifier, expires_at, now):
                raise BadJwt("jti was used before")
    return client_id
