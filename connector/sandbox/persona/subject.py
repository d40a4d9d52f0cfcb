"""Who calls a provider: the client and the person that it has registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a provider knows of one account. Its repr holds no secret.

    Attributes:
        settings: values of the file's settings, defaults included.
        scopes: what the account asks for; empty: the file's defaults.
        secrets: ``client_secret``, ``username``, ``password``, ``api_key``, ``bearer_token``,
            ``subject_token``, ``assertion``: those that the account has.
        keys: public keys of the account (JWKs, RFC 7517).
        claims: of the assertion that it signs, beyond those that the file declares.
        person: what the test request's label shows.
    """

    client_id: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    scopes: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    keys: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    key_id: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    person: str = "person@example.com"

    def values(self) -> dict[str, str]:
        """Return what templates may name of it; a setting of one of these names comes before it."""
        shown = ("client_secret", "api_key", "username", "password")
        own = {name: self.secrets[name] for name in shown if name in self.secrets}
        if not self.keys and "private_key" in self.secrets:
            own["private_key"] = self.secrets["private_key"]  # one that both sides share
        return {"client_id": self.client_id, **own, **self.settings}
