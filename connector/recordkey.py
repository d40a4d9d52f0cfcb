"""The name of an account's record in the store."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from connector.account import Account
from connector.secret import Secret


def record_key(account: Account) -> str:
    """Name of an account's record: its name, and a digest of whatever makes it another login.

    One store may serve many manifests, and a manifest may change: a token must never be used for
    another client, server or, where nobody consents to them, other scopes.
    """
    endpoint = account.endpoint
    identity: list[Any] = [
        endpoint.name,
        [endpoint.authorize.url, endpoint.token.url] if not endpoint.service else [],
        sorted((k, v) for k, v in account.settings.items()),
        account.client_id,
        account.grant,
        sorted(account.scopes) if account.grant == "client_credentials" else [],
    ]
    if endpoint.discovery or endpoint.issuer:
        identity.append([endpoint.discovery, endpoint.issuer])
    if account.grant in ("password", "jwt_bearer", "token_exchange", "two_step", "bearer", "custom"):
        identity.append([sorted(account.scopes), dict(account.claims), *_named(account)])
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
    return f"{account.name}#{digest[:12]}"


def _named(account: Account) -> list[tuple[str, str]]:
    """Where an account's other secrets are, not what they are: those may change from call to call."""
    found = account.secrets.items()
    return sorted((n, s.fingerprint if isinstance(s, Secret) else str(s)) for n, s in found)
