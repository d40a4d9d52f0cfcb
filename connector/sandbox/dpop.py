"""Proofs of possession (RFC 9449): that who calls holds a key, here and now, and for this token.

Rules of this room: a proof is checked and used up; what is bound to its key is decided elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

from connector.sandbox.addresses import here
from connector.sandbox.habits import Habits, Refusal
from connector.sandbox.jwts import BadJwt, Unverified, take_apart, thumbprint, verify
from connector.sandbox.state import State

ALGORITHMS = ("ES256", "EdDSA", "RS256")
_LEEWAY_S = 60.0


def prove(state: State, habits: Habits, request: Request, token: str = "") -> str:
    """Return the thumbprint of the key that the request's proof was made with (RFC 9449 section 4.3).

    `token` is the access token that comes along at an API. Raises Refusal ``invalid_dpop_proof``, or
    ``use_dpop_nonce`` for a proof that is good but for its nonce.
    """
    try:
        proof, key = _proof(request)
        _check_claims(proof, request, token)
        now, issued_at = state.clock(), proof.moment("iat")
        if abs(now - issued_at) > _LEEWAY_S:
            raise BadJwt("iat is not of this minute")
        with state.lock:
            identifier = f"dpop {key} {proof.text('jti')}"
            if not state.once.take(identifier, issued_at + 2 * _LEEWAY_S, now):
                raise BadJwt("jti was used before")
            if not state.nonces.good(proof.claims.get("nonce"), now, habits.nonce_s):
                raise Refusal("use_dpop_nonce", "the proof must hold the nonce of this answer")
    except BadJwt as bad:
        raise Refusal("invalid_dpop_proof", str(bad)) from None
    return key


def nonce(state: State, habits: Habits) -> dict[str, str]:
    """Return the header that hands the nonce of now out (RFC 9449 sections 8 and 9)."""
    return {"DPoP-Nonce": state.nonces.current(state.clock(), habits.nonce_s)}


def _proof(request: Request) -> tuple[Unverified, str]:
    headers = request.headers.getlist("dpop")
    if len(headers) != 1:
        raise BadJwt("there must be one DPoP header")
    proof = take_apart(headers[0])
    if proof.header.get("typ") != "dpop+jwt":
        raise BadJwt("typ must be dpop+jwt")
    if proof.algorithm not in ALGORITHMS:
        raise BadJwt(f"alg must be one of {', '.join(ALGORITHMS)}")
    key = proof.header.get("jwk")
    if not isinstance(key, dict):
        raise BadJwt("jwk is missing")
    name = thumbprint(key)
    verify(proof, [key])
    return proof, name


def _check_claims(proof: Unverified, request: Request, token: str) -> None:
    if proof.text("htm") != request.method:
        raise BadJwt("htm is another method")
    if _normal(proof.text("htu")) != _normal(here(request)):
        raise BadJwt("htu is another address")
    if token:
        digest = hashlib.sha256(token.encode()).digest()
        expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not hmac.compare_digest(proof.text("ath").encode(), expected.encode()):
            raise BadJwt("ath belongs to another token")


def _normal(url: str) -> tuple[str, str, int | None, str]:
    """Return an address to compare: without query and fragment, and with its port (RFC 9449 section 4.3)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return parts.scheme, parts.hostname or "", port, parts.path or "/"
    except ValueError:
        raise BadJwt("htu is not an address") from None
