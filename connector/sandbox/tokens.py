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
from typing import Any, Literal

Kind = Literal["access", "refresh", "code", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds besides the scopes, for one consent and all that descends from it.

    Attributes:
        subject: whom the token speaks for; empty: the one person of the sandbox.
        resources: where it may be used (RFC 8707); empty: anywhere.
        key: thumbprint of the key it is bound to (RFC 9449 section 6); empty: a bearer token.
        acr: how well the person proved who they are (RFC 9470 section 3); empty: as always.
        authenticated_at: when; seconds since the epoch.
    """

    subject: str = ""
    resources: tuple[str, ...] = ()
    key: str = ""
    acr: str = ""
    authenticated_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What tokens are issued on: once a person consented, or a client asked for itself.

    Attributes:
        scopes: what was allowed.
        terms: what holds besides.
        lifetime_s: the access-token lifetime its holder chose; None: the server's own.
        family: shared by every token that descends from it.
        generation: how many rotations after the consent.
    """

    scopes: tuple[str, ...]
    terms: Terms = Terms()
    lifetime_s: float | None = None
    family: str = field(default_factory=lambda: new_family())
    generation: int = 0


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
        terms: what holds besides.
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
    terms: Terms = Terms()

    def agreement(self) -> Agreement:
        """Return what this was issued on."""
        return Agreement(
            scopes=self.scopes,
            terms=self.terms,
            lifetime_s=self.lifetime_s,
            family=self.family,
            generation=self.generation,
        )


class Signer:
    """Writes and reads signed claims with a key made from the seed."""

    __slots__ = ("_key",)

    def __init__(self, seed: int | str) -> None:
        self._key = hashlib.sha256(f"connector sandbox {seed}".encode()).digest()

    def sign(self, claims: Claims) -> str:
        """Return the token's text."""
        values = list(astuple(claims))
        if claims.terms == Terms():
            values.pop()  # most tokens have none, and short ones are easier to look at
        payload = _encode(json.dumps(values, separators=(",", ":")).encode())
        return f"{payload}.{self.seal(payload)}"

    def read(self, text: str) -> Claims | None:
        """Return what the token says, or None when none of us wrote it."""
        payload, _, seal = text.partition(".")
        if not text.isascii() or not hmac.compare_digest(seal, self.seal(payload)):
            return None
        try:
            named = _named(Claims, json.loads(_decode(payload)))
            terms = _named(Terms, named.pop("terms", []))
            resources = tuple(terms.pop("resources", ()))
            scopes = tuple(named.pop("scopes"))
            return Claims(**named, scopes=scopes, terms=Terms(**terms, resources=resources))
        except (ValueError, TypeError, KeyError, binascii.Error):  # sealed by another version of this file
            return None

    def seal(self, payload: str) -> str:
        """Return what shows that a text was written here."""
        return _encode(hmac.digest(self._key, payload.encode(), "sha256")[:16])


def new_family() -> str:
    """Return the name of a new family of tokens."""
    return secrets.token_hex(6)


def fingerprint(token: str) -> str:
    """Eight hex digits of the SHA-256: the same that the product's `Secret.fingerprint` prints."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _named(kind: type[Any], values: list[Any]) -> dict[str, Any]:
    """Return values by the names of the fields of a dataclass; those left off at the end are its defaults."""
    return dict(zip((f.name for f in fields(kind)), values, strict=False))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
