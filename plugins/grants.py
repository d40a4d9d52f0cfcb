"""The grants we ship."""

from __future__ import annotations

from collections.abc import Iterable

from connector.grants import ClientCredentials, Grant, JwtBearer, Password, RefreshToken, TokenExchange
from connector.hookspecs import hookimpl
from connector.othergrants import ApiKey, Basic, Bearer, Custom, NoProof, SignedJwt, TwoStep


@hookimpl
def connector_grants() -> Iterable[Grant]:
    """See `connector.hookspecs.connector_grants`."""
    # Those that begin with a person live on their refresh token from then on.
    return [
        ClientCredentials(),
        RefreshToken(),
        RefreshToken(name="authorization_code"),
        RefreshToken(name="device_code"),
        Password(),
        JwtBearer(),
        TokenExchange(),
        TwoStep(),
        SignedJwt(),
        ApiKey(),
        Basic(),
        Bearer(),
        NoProof(),
        Custom(),
    ]
