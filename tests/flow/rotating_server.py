"""An authorization server for the worlds of renewals: it rotates refresh tokens, and knows one that is used twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LIFETIME_S = 600


@dataclass
class Server:
    """Rotates refresh tokens with each use. One used twice ends its family, unless within the grace window.

    Attributes:
        short: its access tokens are to be exchanged, each once, before its API takes them.
        exchanged: those that were.
    """

    name: str
    grace_s: float = 0.0
    issued: int = 0
    newest: dict[str, str] = field(default_factory=dict)  # by family; the last login's comes last
    dead: set[str] = field(default_factory=set)
    used: dict[str, tuple[str, float]] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    short: bool = False
    exchanged: set[str] = field(default_factory=set)

    def family(self, token: str) -> str:
        return token.split(".")[1]

    @property
    def current(self) -> str:
        """The newest refresh token of the last login."""
        return list(self.newest.values())[-1]

    @property
    def lives(self) -> bool:
        """Whether that is worth anything."""
        return self.family(self.current) not in self.dead

    def login(self, now: float) -> dict[str, Any]:
        """A person, or an assertion, begins a new family; older ones live on."""
        return self._issue(f"f{len(self.newest) + 1}", now)

    def _issue(self, family: str, now: float) -> dict[str, Any]:
        self.issued += 1
        self.newest[family] = f"{self.name}.{family}.r{self.issued}"
        return self._reply(self.newest[family], now)

    def _reply(self, refresh_token: str, now: float) -> dict[str, Any]:
        return {**self._access("a", self.family(refresh_token), now), "refresh_token": refresh_token}

    def _access(self, kind: str, family: str, now: float) -> dict[str, Any]:
        access = f"{self.name}.{family}.{kind}{len(self.ends)}"
        self.ends[access] = now + LIFETIME_S
        return {"access_token": access, "expires_in": LIFETIME_S}

    def exchange(self, access_token: str, now: float) -> tuple[int, dict[str, Any]]:
        if not self._good(access_token, now) or access_token in self.exchanged:
            return 400, {"error": "invalid_grant"}
        self.exchanged.add(access_token)
        return 200, self._access("l", self.family(access_token), now)

    def tell(self, access_token: str, now: float) -> tuple[int, dict[str, Any]]:
        return (200, {"team": "7"}) if self.takes(access_token, now) else (401, {"error": "invalid_token"})

    def post(self, form: dict[str, str], now: float) -> tuple[int, dict[str, Any]]:
        if "refresh_token" not in form:
            return 200, self.login(now)
        token = form["refresh_token"]
        family = self.family(token)
        if token == self.newest.get(family) and family not in self.dead:
            reply = self._issue(family, now)
            self.used[token] = (self.newest[family], now)
            return 200, reply
        successor, at = self.used.get(token, ("", 0.0))
        if successor and family not in self.dead and now - at < self.grace_s:
            return 200, self._reply(successor, now)
        if successor:
            self.dead.add(family)
        return 400, {"error": "invalid_grant"}

    def takes(self, access_token: str, now: float) -> bool:
        """What the API says to it."""
        return self._good(access_token, now) and not (self.short and ".a" in access_token)

    def _good(self, access_token: str, now: float) -> bool:
        return now < self.ends.get(access_token, 0.0) and self.family(access_token) not in self.dead
