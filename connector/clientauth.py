"""Client authentication: one function value per method (RFC 6749 section 2.3, RFC 7523, RFC 8705)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from connector.account import Account
from connector.credentials import Credentials
from connector.filling import basic_pair
from connector.jwts import sign, sign_with_secret

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Proving:
    """What a method proves the client with, and where to.

    Attributes:
        url: of the call.
        basic: ``rfc6749`` (id and secret form-encoded first) or ``raw``.
    """

    account: Account
    credentials: Credentials
    url: str
    basic: str


ClientAuthentication = Callable[[Proving, dict[str, str], dict[str, str]], None]


def client_secret_basic(who: Proving, pairs: dict[str, str], headers: dict[str, str]) -> None:
    """Id and secret in the Authorization header (RFC 6749 section 2.3.1)."""
    secret = who.credentials.client_secret
    user, password = who.account.client_id, secret.reveal() if secret else ""
    if who.basic == "rfc6749":
        user, password = quote_plus(user), quote_plus(password)
    headers["Authorization"] = basic_pair(user, password)


def client_secret_post(who: Proving, pairs: dict[str, str], headers: dict[str, str]) -> None:
    """Id and secret among the parameters (RFC 6749 section 2.3.1)."""
    pairs["client_id"] = who.account.client_id
    if who.credentials.client_secret:
        pairs["client_secret"] = who.credentials.client_secret.reveal()


def client_secret_jwt(who: Proving, pairs: dict[str, str], headers: dict[str, str]) -> None:
    """An assertion signed with the secret (OpenID Connect Core section 9)."""
    secret = who.credentials.client_secret
    assert secret is not None, "an account with this method has a secret"
    pairs["client_id"] = who.account.client_id
    pairs["client_assertion_type"] = _JWT_BEARER
    pairs["client_assertion"] = sign_with_secret(_claims(who), secret, alg=who.account.signing_alg)


def private_key_jwt(who: Proving, pairs: dict[str, str], headers: dict[str, str]) -> None:
    """An assertion signed with the client's private key (RFC 7523 section 2.2)."""
    key = who.credentials.secret(who.account, "private_key")
    pairs["client_id"] = who.account.client_id
    pairs["client_assertion_type"] = _JWT_BEARER
    header = {"kid": who.account.key_id} if who.account.key_id else {}
    pairs["client_assertion"] = sign(_claims(who), key, alg=who.account.signing_alg, headers=header)


def client_id_only(who: Proving, pairs: dict[str, str], headers: dict[str, str]) -> None:
    """A public client says who it is (RFC 6749 section 3.2.1); with mTLS the certificate proves it."""
    pairs["client_id"] = who.account.client_id


def _claims(who: Proving) -> dict[str, Any]:
    # The audience is whoever reads it: the issuer where that is known, since a token URL may be anybody's
    # (RFC 7523 section 3; OpenID Connect Core section 9).
    now = int(who.credentials.now)
    return {
        "iss": who.account.client_id,
        "sub": who.account.client_id,
        "aud": who.account.issuer() or who.url,
        "iat": now,
        "exp": now + _ASSERTION_S,
        "jti": who.credentials.unique,
    }


CLIENT_AUTHENTICATION: Mapping[str, ClientAuthentication] = {
    "client_secret_basic": client_secret_basic,
    "client_secret_post": client_secret_post,
    "client_secret_jwt": client_secret_jwt,
    "private_key_jwt": private_key_jwt,
    "tls_client_auth": client_id_only,
    "self_signed_tls_client_auth": client_id_only,
    "none": client_id_only,
}

# What each of them needs of an account.
WITH_SECRET = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})
WITH_CERTIFICATE = frozenset({"tls_client_auth", "self_signed_tls_client_auth"})
