"""The authorization page: a person who always says yes (RFC 6749 section 4.1.1), to loopback only."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from connector.sandbox.exchange import chosen_lifetime, wanted_scopes
from connector.sandbox.habits import CLIENTS, Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import Handler
from connector.sandbox.tokens import Claims, new_family

_CODE_S = 60.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def authorization_page(state: State, habits: Habits) -> Handler:
    """Return the handler that redirects back with a code at once."""

    async def authorize(request: Request) -> Response:
        asked = dict(request.query_params)
        redirect_uri = asked.get("redirect_uri", "")
        # Never redirect to an address that was not checked (RFC 9700 section 4.11).
        if asked.get("client_id", "") not in CLIENTS:
            return PlainTextResponse("This client is not registered here.\n", status_code=400)
        if not _is_loopback(redirect_uri):
            return PlainTextResponse("The redirect URI must be an http loopback address.\n", status_code=400)
        try:
            answer = {"code": _code(state, habits, asked, redirect_uri)}
        except Refusal as refusal:
            answer = {"error": refusal.error, "error_description": refusal.description}
        if "state" in asked:
            answer["state"] = asked["state"]
        if habits.one_method:  # RFC 9207 section 2
            answer["iss"] = f"{str(request.base_url).rstrip('/')}/{habits.name}"
        joiner = "&" if "?" in redirect_uri else "?"
        return RedirectResponse(f"{redirect_uri}{joiner}{urlencode(answer)}", status_code=302)

    return authorize


def _code(state: State, habits: Habits, asked: dict[str, str], redirect_uri: str) -> str:
    if asked.get("response_type") != "code":
        raise Refusal("unsupported_response_type", "response_type must be code")
    if habits.needs_state and not asked.get("state"):
        raise Refusal("invalid_request", "state is missing")
    challenge = asked.get("code_challenge", "")
    if not challenge and (habits.needs_pkce or CLIENTS[asked["client_id"]] is None):
        raise Refusal("invalid_request", "code_challenge is missing")
    if challenge and asked.get("code_challenge_method") != "S256":
        raise Refusal("invalid_request", "code_challenge_method must be S256")
    now = state.clock()
    return state.signer.sign(
        Claims(
            persona=habits.name,
            kind="code",
            client_id=asked["client_id"],
            scopes=wanted_scopes(habits, asked.get("scope", "")),
            issued_at=now,
            expires_at=now + _CODE_S,
            lifetime_s=chosen_lifetime(asked),
            family=new_family(),
            challenge=challenge,
            redirect_uri=redirect_uri,
        )
    )


def _is_loopback(redirect_uri: str) -> bool:
    try:
        parts = urlsplit(redirect_uri)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and not parts.fragment
    except ValueError:
        return False
