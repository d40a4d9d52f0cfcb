"""Looking into tokens: introspection (RFC 7662), and who the person is."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.sandbox.addresses import issuer
from connector.sandbox.clientauth import read_client
from connector.sandbox.forms import read_form
from connector.sandbox.habits import PERSON, PERSON_NAME, Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import Handler
from connector.sandbox.tokens import Claims


def introspection_endpoint(state: State, habits: Habits) -> Handler:
    """Return the handler that tells clients with a secret what a token of this server is worth now."""

    async def introspect(request: Request) -> Response:
        try:
            form = await read_form(request, habits)
            if read_client(state, habits, request, form).public:
                raise Refusal("invalid_client", "a public client may not look into tokens")
            if not (text := form.get("token", "")):
                raise Refusal("invalid_request", "token is missing")
        except Refusal as refusal:
            return habits.refuse(refusal)
        # token_type_hint may be wrong, so it is no help (RFC 7662 section 2.1).
        claims = state.read(habits.name, "access", text) or state.read(habits.name, "refresh", text)
        # Nothing is told of a dead token, not even that it once lived (RFC 7662 section 2.2).
        told = {"active": False} if claims is None else _told(claims, issuer(request, habits))
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    return introspect


async def userinfo(request: Request) -> Response:
    """Tell whom the token speaks for (OpenID Connect Core section 5.3); behind a `Guard`."""
    subject = _subject(request.state.claims)
    name = PERSON_NAME if subject == PERSON else subject
    return JSONResponse({"sub": subject, "name": name, "preferred_username": subject})


def _subject(claims: Claims) -> str:
    return claims.terms.subject or PERSON


def _told(claims: Claims, name: str) -> dict[str, Any]:
    terms = claims.terms
    told: dict[str, Any] = {
        "active": True,
        "iss": name,
        "scope": " ".join(claims.scopes),
        "client_id": claims.client_id,
        "sub": _subject(claims),
        "iat": int(claims.issued_at),
        "exp": int(claims.expires_at),
    }
    if terms.subject != claims.client_id:  # a client that speaks for itself is nobody's user
        told["username"] = _subject(claims)
    if claims.kind == "access":
        told["token_type"] = "DPoP" if terms.key else "Bearer"
    if terms.resources:
        told["aud"] = list(terms.resources)
    if terms.key:  # RFC 9449 section 6.2
        told["cnf"] = {"jkt": terms.key}
    if terms.acr:  # RFC 9470 section 6.2
        told |= {"acr": terms.acr, "auth_time": int(terms.authenticated_at)}
    return told
