"""The protocol by hand, for tests of the rigs: what a client would do, and nothing that is clever."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx


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


def get(url: str, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.get(url, headers=headers)
