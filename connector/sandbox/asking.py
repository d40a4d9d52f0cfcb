"""An authorization request: whether it may be answered at all, and with what.

Rules of this room: no HTTP. What is wrong with the client or its redirect URI is told to the person,
everything else to the client (RFC 6749 section 4.1.2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from connector.sandbox.clientauth import is_known, is_public
from connector.sandbox.habits import ACR, Habits, Refusal
from connector.sandbox.issuing import chosen_lifetime, wanted_resources, wanted_scopes
from connector.sandbox.state import State
from connector.sandbox.tokens import Claims, Terms, new_family

_CODE_S = 60.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_return(state: State, asked: Mapping[str, str]) -> None:
    """Raise Refusal unless the redirect URI may be redirected to (RFC 9700 section 4.11)."""
    if not is_known(state, asked.get("client_id", "")):
        raise Refusal("invalid_client", "This client is not registered here.")
    if not _is_loopback(asked.get("redirect_uri", "")):
        raise Refusal("invalid_request", "The redirect URI must be an http loopback address.")


def draft_code(state: State, habits: Habits, asked: Mapping[str, str]) -> Claims:
    """Return what a code for this request says; raises Refusal for a request that may not have one."""
    if asked.get("response_type") != "code":
        raise Refusal("unsupported_response_type", "response_type must be code")
    if habits.needs_state and not asked.get("state"):
        raise Refusal("invalid_request", "state is missing")
    challenge = asked.get("code_challenge", "")
    if not challenge and (habits.needs_pkce or is_public(state, asked["client_id"])):
        raise Refusal("invalid_request", "code_challenge is missing")
    if challenge and asked.get("code_challenge_method") != "S256":
        raise Refusal("invalid_request", "code_challenge_method must be S256")
    # Whoever asks for two factors gets them: the person is as patient as can be (RFC 9470 section 4).
    acr = ACR if habits.steps_up and ACR in asked.get("acr_values", "").split() else ""
    now = state.clock()
    return Claims(
        persona=habits.name,
        kind="code",
        client_id=asked["client_id"],
        scopes=wanted_scopes(habits, asked.get("scope", "")),
        issued_at=now,
        expires_at=now + _CODE_S,
        lifetime_s=chosen_lifetime(asked),
        family=new_family(),
        challenge=challenge,
        redirect_uri=asked["redirect_uri"],
        terms=Terms(
            resources=wanted_resources(asked),
            key=asked.get("dpop_jkt", "") if habits.nonce_s else "",
            acr=acr,
            authenticated_at=now if acr else 0.0,
        ),
    )


def _is_loopback(redirect_uri: str) -> bool:
    try:
        parts = urlsplit(redirect_uri)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and not parts.fragment
    except ValueError:
        return False
