"""JWTs that an account signs, verified by what ``jwt:`` of the file declares, or by the RFC."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jwt

from connector.sandbox.jwts import BadJwt, Unverified, take_apart
from connector.sandbox.persona.subject import Subject
from connector.sandbox.persona.texts import Values, fill, wrong

_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_STANDARD = ("iss", "sub", "aud", "iat", "exp", "jti")
_SKEW_S = 5.0


def verify(message: Unverified, subject: Subject, key: bytes | None, alg: str = "") -> None:
    """Raise BadJwt unless the account signed it; `key`: the shared one, where it signs with that."""
    if alg and message.algorithm != alg:
        raise BadJwt(f"it is signed with {message.algorithm}, not {alg}")
    if message.algorithm in _HASHES:
        if key is None:
            raise BadJwt("it is signed with a shared key, and the account has a private one")
        digest = hmac.digest(key, message.signed, _HASHES[message.algorithm])
        if not hmac.compare_digest(digest, message.signature):
            raise BadJwt("it is not signed with the shared key")
        return
    for each in subject.keys:
        try:
            made = jwt.PyJWK.from_dict(dict(each), message.algorithm)
            if made.Algorithm.verify(message.signed, made.key, message.signature):
                return
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    raise BadJwt("the account's key did not sign it")


def shared_key(declared: Mapping[str, Any], values: Values) -> bytes | None:
    """Return the shared key that a file declares; None: it declares none."""
    if "key" not in declared and not str(declared.get("alg", "")).startswith("HS"):
        return None
    text = fill(declared.get("key", "{private_key}"), values)
    try:
        match declared.get("key_encoding", "text"):
            case "hex":
                return bytes.fromhex(text)
            case "base64":
                return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
    except (ValueError, binascii.Error):
        raise BadJwt("the shared key is not written in its encoding") from None
    return text.encode()


def check_declared(
    text: str, declared: Mapping[str, Any], subject: Subject, values: Values, now: float
) -> str:
    """Return what is wrong with a JWT as ``jwt:`` of a file declares it; empty: nothing."""
    try:
        message = take_apart(text)
        verify(message, subject, shared_key(declared, values), declared.get("alg", ""))
    except BadJwt as bad:
        return str(bad)
    header = {"kid": subject.key_id} if subject.key_id else {}
    said = _wrong_fields(message.header, {**header, **declared.get("header", {})}, values)
    if said:
        return f"its header's {said}"
    claims = declared.get("claims", {})
    if said := _wrong_fields(message.claims, {**claims, **subject.claims}, values):
        return f"its claim {said}"
    for name in _STANDARD:
        if name not in claims and name != "aud" and not message.claims.get(name):
            return f"its claim {name} is missing"
    known = {*_STANDARD, *claims, *subject.claims, "scope"}
    if unknown := sorted(set(message.claims) - known):
        return f"its claim {unknown[0]} is not declared"
    lifetime = float(declared.get("lifetime", 300))
    return _wrong_times({k: v for k, v in message.claims.items() if k not in claims}, now, lifetime)


def _wrong_fields(found: Mapping[str, Any], declared: Mapping[str, Any], values: Values) -> str:
    for name, template in declared.items():
        if template is None:
            if name in found:
                return f"{name} was to be left out"
            continue
        choices = template if isinstance(template, list) else [template]
        if name not in found:
            return f"{name} is missing"
        if all(_wrong(choice, values, found[name]) for choice in choices):
            return f"{name} is wrong: {_wrong(choices[0], values, found[name])}"
    return ""


def _wrong(template: Any, values: Values, got: Any) -> str:
    # A claim of moments may be a number where its template is a text.
    number = isinstance(got, (int, float)) and not isinstance(got, bool)
    return wrong(template, values, str(got) if number and isinstance(template, str) else got)


def _wrong_times(claims: Mapping[str, Any], now: float, lifetime_s: float) -> str:
    iat, exp = claims.get("iat"), claims.get("exp")
    if iat is not None and not (isinstance(iat, (int, float)) and abs(iat - now) <= max(lifetime_s, _SKEW_S)):
        return "its claim iat is not now"
    if exp is not None:
        if not isinstance(exp, (int, float)) or exp <= now:
            return "its claim exp is over"
        if exp > now + lifetime_s + _SKEW_S:
            return f"it is good for longer than {lifetime_s:g} s"
    return ""


def check_assertion(
    text: str, subject: Subject, audiences: frozenset[str], now: float, *, secret: str | None = None
) -> str:
    """Return what is wrong with an assertion of RFC 7523 (section 3); empty: nothing."""
    try:
        message = take_apart(text)
        verify(
            message,
            subject if secret is None else replace(subject, keys=()),
            secret.encode() if secret else None,
        )
        if message.text("sub") != message.text("iss") or message.text("iss") != subject.client_id:
            return "iss and sub must both be the client"
        message.text("jti")
        expires_at = message.moment("exp")
    except BadJwt as bad:
        return str(bad)
    named = message.claims.get("aud")
    if not audiences.intersection(named if isinstance(named, list) else [str(named)]):
        return "aud is neither the issuer nor the address"
    return "" if now < expires_at <= now + 3600 else "exp is over, or more than an hour away"
