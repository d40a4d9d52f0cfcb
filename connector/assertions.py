"""The JWTs that an endpoint's ``jwt:`` and the JWT bearer grant speak of (RFC 7519, RFC 7523 section 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connector.account import Account
from connector.credentials import Credentials
from connector.endpointparts import JwtSpec
from connector.filling import filled_values
from connector.jwts import SECRET_ALGORITHMS, sign, sign_with_secret
from connector.secret import Secret
from connector.template import TemplateError, fill

_WHOLE_NUMBER = re.compile(r"[0-9]{1,15}")
_TIMES = ("iat", "exp", "nbf")


def assertion(account: Account, credentials: Credentials, values: Mapping[str, str]) -> str:
    """Sign what the endpoint's ``jwt:`` says, with the claims the account adds.

    Args:
        values: what templates may name.

    Raises NotAuthorizedError ``incomplete_account`` without a key, ``bad_private_key`` for one that does
    not fit.
    """
    spec = account.endpoint.jwt or JwtSpec()
    now = int(credentials.now)
    standard: dict[str, Any] = {
        "iss": account.client_id,
        "sub": account.client_id,
        "aud": _audience(account),
        "iat": now - int(spec.backdate_s),
        "exp": now - int(spec.backdate_s) + int(spec.lifetime_s),
        "jti": credentials.unique,
    }
    claims = {name: value for name, value in standard.items() if value != ""}
    claims |= {name: _moment(name, value) for name, value in filled_values(spec.claims, values).items()}
    claims |= account.claims
    for name, value in spec.claims.items():
        if value is None and name not in account.claims:
            claims.pop(name, None)
    header = {"kid": account.key_id} if account.key_id else {}
    header |= filled_values(spec.header, values)
    key = _key(account, credentials, spec, values)
    alg = account.signing_alg or spec.alg
    if alg in SECRET_ALGORITHMS:
        return sign_with_secret(claims, key, alg=alg, headers=header, encoding=spec.key_encoding)
    return sign(claims, key, alg=alg, headers=header)


def _audience(account: Account) -> str:
    if issuer := account.issuer():
        return issuer
    return account.token_url() if account.endpoint.token.url else ""


def _moment(name: str, value: Any) -> Any:
    """Times are numbers (RFC 7519 section 2), also where a template wrote them."""
    return (
        int(value) if name in _TIMES and isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else value
    )


def _key(account: Account, credentials: Credentials, spec: JwtSpec, values: Mapping[str, str]) -> Secret:
    if spec.key:
        try:
            return Secret(fill(spec.key, values))
        except TemplateError:
            pass  # the account may still have one of its own
    return credentials.secret(account, "private_key")
