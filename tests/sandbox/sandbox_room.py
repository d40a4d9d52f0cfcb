"""What several tests of the sandbox need: a login with PKCE, as a browser and a client go through it; keys."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from connector.sandbox import CLIENT_ID, CLIENT_SECRET

BACK = "http://127.0.0.1:8765/callback"
VERIFIER = "v" * 43
BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
AUTHORIZE = {
    "coupa": "/coupa/oauth2/authorizations/new",
    "servicenow": "/servicenow/oauth_auth.do",
    "strict": "/strict/authorize",
    "flaky": "/flaky/authorize",
}
TOKEN = {
    "coupa": "/coupa/oauth2/token",
    "servicenow": "/servicenow/oauth_token.do",
    "strict": "/strict/token",
    "flaky": "/flaky/token",
}


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def question(client_id: str = CLIENT_ID, **more: Any) -> dict[str, Any]:
    """Return the fields of an authorization request with PKCE; an empty one of `more` leaves it out."""
    fields = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": BACK,
        "scope": "items.read",
        "state": "s&1",
        "code_challenge": b64(hashlib.sha256(VERIFIER.encode()).digest()),
        "code_challenge_method": "S256",
        **more,
    }
    return {name: text for name, text in fields.items() if text}


def answer(reply: httpx.Response) -> dict[str, str]:
    """Return the fields of the redirect that ends an authorization request."""
    location = reply.headers["location"]
    assert location.startswith(BACK + "?"), location
    return {name: texts[0] for name, texts in parse_qs(urlsplit(location).query).items()}


def redeem(wire: Any, persona: str, code: str, headers: dict[str, str] | None = None, **more: str) -> Any:
    """Exchange a code; the demo client's secret unless `more` says otherwise."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        **more,
    }
    form = {name: text for name, text in form.items() if text}
    return wire("POST", TOKEN[persona], data=form, headers=headers or {})


def log_in(wire: Any, persona: str, client_id: str = CLIENT_ID, **more: Any) -> Any:
    """Return the token reply of a whole login at once."""
    code = answer(wire("GET", AUTHORIZE[persona], params=question(client_id, **more)))["code"]
    secret = CLIENT_SECRET if client_id == CLIENT_ID else ""
    return redeem(wire, persona, code, client_id=client_id, client_secret=secret).json()


class Key:
    """A client's key pair: signs JWTs, shows its public half."""

    def __init__(self, algorithm: str = "ES256", kid: str = "") -> None:
        self.algorithm = algorithm
        self.private = _MAKERS[algorithm]()
        of = jwt.get_algorithm_by_name(algorithm)
        self.public: dict[str, Any] = of.to_jwk(self.private.public_key(), as_dict=True)
        self.secret: dict[str, Any] = of.to_jwk(self.private, as_dict=True)
        for unneeded in ("key_ops", "use"):
            self.public.pop(unneeded, None)
        self.header = {"kid": kid} if kid else {}
        self.public |= self.header

    @property
    def jwks(self) -> dict[str, Any]:
        """The key set with this key alone."""
        return {"keys": [self.public]}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Return a JWT."""
        return jwt.encode(claims, self.private, self.algorithm, headers={**self.header, **header})


_MAKERS: dict[str, Any] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
}


def assertion(clock: Any, client_id: str, **more: Any) -> dict[str, Any]:
    """Return the claims of a client's assertion for the strict server; None in `more` leaves one out."""
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": "http://sandbox.test/strict",
        "iat": clock.now,
        "exp": clock.now + 60,
        "jti": secrets.token_hex(8),
        **more,
    }
    return {name: value for name, value in claims.items() if value is not None}
