"""Signed JWTs that clients send: read and verified, and their times checked by the sandbox's own clock.

Rules of this room: PyJWT verifies signatures and reads keys; what a claim means is decided by who asks.
Whatever is wrong is a `BadJwt` that says what.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

# What a key must look like to be used with an algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
_KEYS: Mapping[str, Mapping[str, str]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "RS256": {"kty": "RSA"},
    "PS256": {"kty": "RSA"},
}
ALGORITHMS = tuple(_KEYS)
# The members that make a thumbprint (RFC 7638 section 3.2, RFC 8037 section 2).
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_LEAST_RSA_BITS = 2048
_LONGEST = 16_384


class BadJwt(Exception):
    """What is wrong with a JWT, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """A JWT that was taken apart; nobody knows yet who wrote it."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        """The word ``alg`` of its header, empty for anything else."""
        alg = self.header.get("alg")
        return alg if isinstance(alg, str) else ""

    def text(self, name: str) -> str:
        """Return a claim that must be a text; raises BadJwt."""
        value = self.claims.get(name)
        if not isinstance(value, str) or not value:
            raise BadJwt(f"{name} is missing or not a text")
        return value

    def moment(self, name: str) -> float:
        """Return a claim that must be a moment (RFC 7519 section 2, NumericDate); raises BadJwt."""
        value = self.claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
            raise BadJwt(f"{name} is missing or not a number of seconds")
        return float(value)


def take_apart(text: str) -> Unverified:
    """Return the parts of a JWT in compact form (RFC 7515 section 3.1); raises BadJwt."""
    parts = text.split(".")
    if len(parts) != 3 or len(text) > _LONGEST or not text.isascii():
        raise BadJwt("it is not a signed JWT")
    try:
        header, claims = json.loads(_decode(parts[0])), json.loads(_decode(parts[1]))
        signature = _decode(parts[2])
    except (ValueError, binascii.Error, RecursionError):
        raise BadJwt("it is not a signed JWT") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise BadJwt("header and claims must be JSON objects")
    if "crit" in header:  # RFC 7515 section 4.1.11: what is not understood must be refused
        raise BadJwt("crit names what is not understood here")
    signed = f"{parts[0]}.{parts[1]}".encode()
    return Unverified(header=header, claims=claims, signed=signed, signature=signature)


def verify(message: Unverified, keys: Iterable[Mapping[str, Any]]) -> None:
    """Raise BadJwt unless one of these public keys (JWKs) signed the message, with its kind of algorithm."""
    wanted = _KEYS.get(message.algorithm)
    if wanted is None:
        raise BadJwt(f"alg must be one of {', '.join(ALGORITHMS)}")
    kid = message.header.get("kid")
    for key in keys:
        if kid is not None and "kid" in key and key["kid"] != kid:
            continue
        if wanted.items() <= key.items() and _signed_by(message, key):
            return
    raise BadJwt("no key of this client signed it")


def verify_with_secret(message: Unverified, secret: str) -> None:
    """Raise BadJwt unless the message is signed with HS256 and this secret.

    By hand, because PyJWT warns of short secrets: whether one is too short is the client's to find out.
    """
    digest = hmac.digest(secret.encode(), message.signed, "sha256")
    if message.algorithm != "HS256" or not hmac.compare_digest(digest, message.signature):
        raise BadJwt("it is not signed with the client's secret")


def thumbprint(key: Mapping[str, Any]) -> str:
    """Return the thumbprint of a public key (RFC 7638); raises BadJwt for a key that is none."""
    members = _MEMBERS.get(str(key.get("kty")), ())
    if not members or not all(isinstance(key.get(name), str) for name in members):
        raise BadJwt("the key is not a public JWK")
    if not _PRIVATE.isdisjoint(key):
        raise BadJwt("the key shows its private part")
    text = json.dumps({name: key[name] for name in members}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _signed_by(message: Unverified, key: Mapping[str, Any]) -> bool:
    try:
        made = jwt.PyJWK.from_dict(dict(key), message.algorithm)
        if getattr(made.key, "key_size", _LEAST_RSA_BITS) < _LEAST_RSA_BITS and key["kty"] == "RSA":
            return False
        return bool(made.Algorithm.verify(message.signed, made.key, message.signature))
    except (jwt.PyJWTError, ValueError, TypeError):
        return False


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
