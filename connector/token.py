"""The token: a frozen value that knows when it should be renewed and prints as a fingerprint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from connector.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token and what came with it (RFC 6749 section 5.1).

    Attributes:
        access_token: shown by ``.reveal()`` only.
        token_type: as the server wrote it; ``Bearer`` when it said nothing.
        obtained_at: when the reply arrived, seconds since the epoch.
        expires_at: when it ends, seconds since the epoch; None: the server did not say, a 401 will.
        refresh_token: None when the server gave none.
        scopes: what was granted; None: the server did not say, which means: what was asked for.
        dpop_key: the private JWK it is bound to (RFC 9449); None: it is nobody's in particular.
        captured: values an endpoint takes from the reply (e.g. ``instance_url``), usable in its templates.
        exchanges_left: calls of the endpoint's ``exchange`` that are still to be made before it can be used.
        private: secrets of the account that templates of its API name, as they were at the last token call.
    """

    access_token: Secret
    token_type: str = "Bearer"
    obtained_at: float
    expires_at: float | None = None
    refresh_token: Secret | None = None
    scopes: tuple[str, ...] | None = None
    dpop_key: Secret | None = None
    captured: Mapping[str, str] = field(default_factory=dict)
    exchanges_left: int = 0
    private: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        ends = "unknown" if self.expires_at is None else f"{self.expires_at:.0f}"
        renews = ", with refresh token" if self.refresh_token else ""
        return f"<Token {self.fingerprint}, expires_at={ends}{renews}>"

    __str__ = __repr__

    @property
    def fingerprint(self) -> str:
        """Tells two tokens apart without showing either."""
        return self.access_token.fingerprint

    @property
    def lifetime_s(self) -> float | None:
        """Seconds from arrival to end; None when the server did not say."""
        return None if self.expires_at is None else max(0.0, self.expires_at - self.obtained_at)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, secrets included: only for what seals them at once."""
        return {
            "access_token": self.access_token.reveal(),
            "token_type": self.token_type,
            "obtained_at": self.obtained_at,
            "expires_at": self.expires_at,
            "refresh_token": self.refresh_token.reveal() if self.refresh_token else None,
            "scopes": list(self.scopes) if self.scopes is not None else None,
            "captured": dict(self.captured),
            "exchanges_left": self.exchanges_left,
            "private": dict(self.private),
            "dpop_key": self.dpop_key.reveal() if self.dpop_key else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Token:
        """The opposite of `to_dict`; raises KeyError or TypeError on a shape it did not write."""
        scopes = data["scopes"]
        return cls(
            access_token=Secret(str(data["access_token"])),
            token_type=str(data["token_type"]),
            obtained_at=float(data["obtained_at"]),
            expires_at=None if data["expires_at"] is None else float(data["expires_at"]),
            refresh_token=Secret(str(data["refresh_token"])) if data["refresh_token"] else None,
            scopes=None if scopes is None else tuple(str(s) for s in scopes),
            dpop_key=Secret(str(data["dpop_key"])) if data.get("dpop_key") else None,
            captured=MappingProxyType({str(k): str(v) for k, v in data["captured"].items()}),
            exchanges_left=int(data.get("exchanges_left", 0)),
            private=MappingProxyType({str(k): str(v) for k, v in data.get("private", {}).items()}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a token counts as stale (hand it out, renew behind it) and as expired (wait for a new one).

    Fits the lifetime: a token of 5 s is fresh for 4 s, one of a day is renewed some 20 minutes early.

    Attributes:
        early_s: seconds before the end from which it is stale; None: a fifth of the lifetime, at most
            20 minutes. 0 for a server that answers an early renewal with the same token.
        margin_s: seconds before the end from which it is expired, for the time a request travels;
            None: a twentieth of the lifetime, at most 5 s, and none where nothing is renewed early.
        jitter: 0 to 1, fixed per process, moves the stale point of a long-lived token so that a fleet
            does not renew in the same second.
    """

    early_s: float | None = None
    margin_s: float | None = None
    jitter: float = 0.0

    def expired_at(self, token: Token) -> float:
        """The moment from which `token` is no longer handed out; infinity when its end is unknown."""
        if token.expires_at is None:
            return math.inf
        margin = None if self.margin_s is None else min(self.margin_s, (token.lifetime_s or 0.0) / 2)
        if margin is None:
            margin = 0.0 if self.early_s == 0 else min(5.0, (token.lifetime_s or 0.0) / 20)
        return token.expires_at - margin

    def stale_at(self, token: Token) -> float:
        """The moment from which `token` is renewed in the background."""
        if token.expires_at is None:
            return math.inf
        lifetime = token.lifetime_s or 0.0
        early = min(1200.0, lifetime / 5) if self.early_s is None else self.early_s
        if early >= 60:
            early *= 1 + 0.25 * self.jitter
        # A token that is stale from birth would be renewed without end.
        early = min(early, lifetime / 2)
        return min(self.expired_at(token), token.expires_at - early)
