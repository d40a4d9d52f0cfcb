"""JWTs that we sign: client assertions (RFC 7523), grants' assertions, and DPoP proofs (RFC 9449).

Rules of this room: PyJWT does the cryptography. No clock and no randomness but for new keys. A key's text
appears in no message: what is wrong with it is told in words of ours.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm, HMACAlgorithm

from connector.errors import NotAuthorizedError
from connector.secret import Secret

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512", "secp256k1": "ES256K"}
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")


def sign(
    claims: Mapping[str, Any], key: Secret, *, alg: str = "", headers: Mapping[str, Any] | None = None
) -> str:
    """Sign claims with a private key: PEM, or a JWK as JSON (RFC 7517).

    Args:
        alg: empty: what fits the key (RS256, ES256, ES384, ES512 or EdDSA).

    Raises NotAuthorizedError ``bad_private_key``.
    """
    private, kid = _private_key(key)
    header = {**({"kid": kid} if kid else {}), **(headers or {})}
    # The error is made out here: those of the library hold the key in their frames.
    with contextlib.suppress(TypeError, ValueError, jwt.PyJWTError, NotImplementedError):
        return jwt.encode(dict(claims), private, algorithm=alg or _alg_for(private), headers=header)
    raise bad_key(f"it is not a key that {alg or 'any known algorithm'} signs with")


class _AnySecret(HMACAlgorithm):
    """HMAC with a text as it is: how long and of what shape a client secret is was decided by the server."""

    def check_key_length(self, key: bytes) -> str | None:
        """No warning: nobody here could do anything about it."""
        return None

    def prepare_key(self, key: str | bytes) -> bytes:
        """The bytes of the text, also where it looks like a key of another kind."""
        return key.encode() if isinstance(key, str) else key


_BY_SECRET = jwt.PyJWS(algorithms=[])
for _alg, _hash in zip(SECRET_ALGORITHMS, ("SHA256", "SHA384", "SHA512"), strict=True):
    _BY_SECRET.register_algorithm(_alg, _AnySecret(getattr(HMACAlgorithm, _hash)))


def sign_with_secret(
    claims: Mapping[str, Any],
    secret: Secret,
    *,
    alg: str = "",
    headers: Mapping[str, Any] | None = None,
    encoding: str = "text",
) -> str:
    """Sign claims with a shared secret (``client_secret_jwt``, OpenID Connect Core section 9).

    Args:
        encoding: how its bytes are written: ``text``, ``base64`` or ``hex``.

    Raises NotAuthorizedError ``bad_private_key`` for an algorithm that wants a pair of keys.
    """
    if alg and alg not in SECRET_ALGORITHMS:
        raise NotAuthorizedError(
            "the client secret cannot sign",
            code="bad_private_key",
            reason=f"{alg} signs with a private key",
            resolution=f"`signing_alg:` is one of {', '.join(SECRET_ALGORITHMS)} here",
        )
    payload = json.dumps(dict(claims), separators=(",", ":")).encode()
    key = _bytes(secret, encoding)
    return _BY_SECRET.encode(payload, key, algorithm=alg or SECRET_ALGORITHMS[0], headers=dict(headers or {}))


def _bytes(secret: Secret, encoding: str) -> bytes:
    with contextlib.suppress(ValueError):
        text = secret.reveal()
        if encoding == "text":
            return text.encode()
        return bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text + "=" * (-len(text) % 4))
    raise bad_key(f"it is not written in {encoding}")


def bad_key(reason: str) -> NotAuthorizedError:
    """The error for a private key that cannot be used; never repeats any of it."""
    return NotAuthorizedError(
        "the private key cannot be used",
        code="bad_private_key",
        reason=reason,
        resolution="`private_key:` leads to an unencrypted PEM file, or to a JWK as JSON",
    )


def _private_key(key: Secret) -> tuple[Any, str]:
    """The key, and its name where a JWK gives one."""
    reason = ""
    try:
        text = key.reveal().strip()
        if text.startswith("{"):
            data = json.loads(text)
            found, kid = jwt.PyJWK(data).key, str(data.get("kid", ""))
        else:
            found, kid = load_pem_private_key(text.encode(), password=None), ""
    except TypeError:
        reason = "it is encrypted with a password"
    except (ValueError, UnsupportedAlgorithm, jwt.PyJWTError, AttributeError, KeyError):
        reason = "it is neither PEM nor a JWK"
    # Out of the handlers: an exception's frames would hold the key.
    text = ""
    if reason:
        raise bad_key(reason)
    if not hasattr(found, "private_bytes"):
        raise bad_key("it is no private key")
    return found, kid


def _alg_for(private: Any) -> str:
    if isinstance(private, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return _CURVES.get(private.curve.name, "")
    return "EdDSA" if isinstance(private, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else ""


def new_dpop_key() -> Secret:
    """A new private key for DPoP proofs: P-256, as a JWK."""
    return Secret(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))


def _public(key: Secret) -> dict[str, str]:
    """The public part of a DPoP key (RFC 9449 section 4.2: no private part goes along)."""
    private = json.loads(key.reveal())
    return {name: private[name] for name in ("crv", "kty", "x", "y")}


def thumbprint(key: Secret) -> str:
    """The SHA-256 thumbprint of a DPoP key (RFC 7638), as ``dpop_jkt`` says it (RFC 9449 section 10)."""
    text = json.dumps(_public(key), separators=(",", ":"), sort_keys=True)
    return _unpadded(hashlib.sha256(text.encode()).digest())


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def proof(
    key: Secret, *, method: str, url: str, now: float, unique: str, nonce: str = "", access_token: str = ""
) -> str:
    """A DPoP proof for one request (RFC 9449 section 4.2).

    Args:
        url: of the request; its query and fragment do not count.
        access_token: the token it goes with, for requests to an API (``ath``).
    """
    claims: dict[str, Any] = {
        "jti": unique,
        "htm": method,
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": int(now),
    }
    if nonce:
        claims["nonce"] = nonce
    if access_token:
        claims["ath"] = _unpadded(hashlib.sha256(access_token.encode()).digest())
    header = {"typ": "dpop+jwt", "jwk": _public(key)}
    private = jwt.PyJWK(json.loads(key.reveal())).key
    return jwt.encode(claims, private, algorithm="ES256", headers=header)
