"""The protocol by hand, for tests of the rigs: what a client would do, and nothing that is clever."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from oidc_server import public_jwk


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Ask:
    """One authorization request with PKCE (RFC 7636)."""

    client_id: str
    redirect_uri: str
    scope: str
    more: dict[str, str] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def fields(self) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "code_challenge": b64(hashlib.sha256(self.verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **self.more,
        }

    def url(self, endpoint: str) -> str:
        return f"{endpoint}?{urlencode(self.fields)}"

    def exchange(self, code: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }


def post(url: str, data: dict[str, str], *, auth: tuple[str, str] | str = "", **more: Any) -> httpx.Response:
    """A call as the client `auth`: a pair for Basic, a name for a public one."""
    pair = auth if isinstance(auth, tuple) else None
    fields = data if pair or not auth else data | {"client_id": str(auth)}
    with httpx.Client(trust_env=False, timeout=10, auth=pair) as client:
        return client.post(url, data=fields, **more)


def get(url: str, token: str = "", headers: dict[str, str] | None = None) -> httpx.Response:
    headers = headers or ({"authorization": f"Bearer {token}"} if token else {})
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.get(url, headers=headers)


def jws(header: dict[str, Any], claims: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """Signed with ES256."""
    body = ".".join(b64(json.dumps(part).encode()) for part in ({**header, "alg": "ES256"}, claims))
    r, s = decode_dss_signature(key.sign(body.encode(), ec.ECDSA(SHA256())))
    return f"{body}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def proof(
    key: ec.EllipticCurvePrivateKey, method: str, url: str, *, token: str = "", nonce: str = ""
) -> dict[str, str]:
    """The headers of a request with a DPoP proof (RFC 9449)."""
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": url,
        "iat": int(time.time()),
    }
    if token:
        claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
    if nonce:
        claims["nonce"] = nonce
    jwk = {name: value for name, value in public_jwk(key).items() if name in ("kty", "crv", "x", "y")}
    headers = {"DPoP": jws({"typ": "dpop+jwt", "jwk": jwk}, claims, key)}
    return headers | ({"Authorization": f"DPoP {token}"} if token else {})
