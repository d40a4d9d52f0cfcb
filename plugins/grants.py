"""The grants we ship."""

from __future__ import annotations

from collections.abc import Iterable

from connector.grants import ClientCredentials, Grant, RefreshToken
from connector.hookspecs import hookimpl


@hookimpl
def connector_grants() -> Iterable[Grant]:
    """See `connector.hookspecs.connector_grants`."""
    # authorization_code lives on its refresh token once a token was adopted.
    return [ClientCredentials(), RefreshToken(), RefreshToken(name="authorization_code")]
