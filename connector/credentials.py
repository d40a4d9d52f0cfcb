"""What a call to the authorization server proves itself with: resolved for each call anew, kept nowhere.

Rules of this room: no clock and no randomness of its own; both come in as values, so that what is built from
them can be foretold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from connector.account import Account
from connector.endpointparts import nothing
from connector.errors import NotAuthorizedError
from connector.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one call may use. Prints without any of it.

    Attributes:
        now: seconds since the epoch.
        unique: a text no other call has, for what may be used once (``jti``, RFC 7519 section 4.1.7).
        client_secret: None for a public client, and for one that proves itself with a key.
        secrets: the account's other secrets by name: ``private_key``, ``username``, ``password``, ...
        dpop_key: a private JWK that tokens obtained by this call are bound to (RFC 9449); None: they are not.
        dpop_nonce: what the server asked for in its proofs; empty: nothing yet.
    """

    now: float
    unique: str
    client_secret: Secret | None = None
    secrets: Mapping[str, Secret] = field(default_factory=nothing, repr=False)
    dpop_key: Secret | None = None
    dpop_nonce: str = ""

    def secret(self, account: Account, name: str) -> Secret:
        """One of the other secrets. Raises NotAuthorizedError ``incomplete_account`` without it."""
        if name not in self.secrets:
            raise NotAuthorizedError(
                f"account {account.name!r} has no {name}",
                account=account.name,
                code="incomplete_account",
                reason=f"the grant {account.grant} or its client authentication needs it",
                resolution=f"add `{name}: ${{env:...}}` or `{name}: ${{file:...}}` to the account",
            )
        return self.secrets[name]

    def again(self, *, dpop_nonce: str = "") -> Credentials:
        """For another call in the same breath: nothing that may be used once is used twice."""
        unique = hashlib.sha256(self.unique.encode()).hexdigest()[:32]
        return replace(self, unique=unique, dpop_nonce=dpop_nonce or self.dpop_nonce)

    def all(self) -> tuple[Secret, ...]:
        """Everything in it that must not appear in a message."""
        found = (self.client_secret, *self.secrets.values(), self.dpop_key)
        return tuple(secret for secret in found if secret)
