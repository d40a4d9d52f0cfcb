"""Tokens that carry what they mean, signed: any sandbox with the same seed can read them.

Rules of this room: no clock, no state. Whether a token is *still good* is decided in `state`; here it is only
known whether one of us wrote it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import astuple, dataclass, field, fields
from typing import Literal

Kind = Literal["access", "refresh", "code", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says.

    Attributes:
        persona: the server that issued it (``coupa``, ``servicenow``, ...).
        kind: access token, refresh token, authorization code or session cookie.
        client_id: whom it was issued to.
        scopes: what it allows.
        issued_at, expires_at: seconds since the epoch.
        lifetime_s: the access-token lifetime its holder chose; None: the server's own.
        family: shared by every token that descends from one consent.
        generation: how many rotations after the consent a refresh token was issued.
        challenge, redirect_uri: of an authorization code only (RFC 7636 section 4.4, RFC 6749 section 4.1.3).
        serial: makes two tokens issued in the same instant differ.
    """

    persona: str
    kind: Kind
    client_id: str = ""
    scopes: tuple[str, ...] = ()
    issued_at: float
    expires_at: float
    lifetime_s: float | None = None
    family: str = ""
    generation: int = 0
    challenge: str = ""
    redirect_uri: str = ""
    serial: str = field(default_factory=lambda: secrets.token_hex(4))


class Signer:
    """Writes and reads signed claims with a key made from the seed."""

    __slots__ = ("_key",)

    def __init__(self, seed: int | str) -> None:
        self._key = hashlib.sha256(f"connector sandbox {seed}".encode()).digest()

    def sign(self, claims: Claims) -> str:
        """Return the token's text."""
        payload = _encode(json.dumps(astuple(claims), separators=(",", ":")).encode())
        return f"{payload}.{self._seal(payload)}"

    def read(self, text: str) -> Claims | None:
        """Return what the token says, or None when none of us wrote it."""
        payload, _, seal = text.partition(".")
        if not text.isascii() or not hmac.compare_digest(seal, self._seal(payload)):
            return None
        try:
            values = json.loads(_decode(payload))
            named = dict(zip((f.name for f in fields(Claims)), values, strict=True))
        except (ValueError, binascii.Error):  # sealed by another version of this file
            return None
        return Claims(**{**named, "scopes": tuple(named["scopes"])})

    def _seal(self, payload: str) -> str:
        return _encode(hmac.digest(self._key, payload.encode(), "sha256")[:16])


def new_family() -> str:
    """Return the name of a new family of tokens."""
    return secrets.token_hex(6)


def fingerprint(token: str) -> str:
    """Eight hex digits of the SHA-256: the same that the product's `Secret.fingerprint` prints."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
