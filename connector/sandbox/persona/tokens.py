"""What a provider remembers of one account: codes, access tokens, refresh tokens, and which of them are good.

Rules of this room: the clock comes from outside, and one request is handled at a time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Access:
    """An access token.

    Attributes:
        level: how many steps of ``exchange`` it has behind it.
        refused: the API takes it no longer, whatever its end.
    """

    expires_at: float
    level: int
    scopes: tuple[str, ...]
    refused: bool = False


@dataclass(slots=True, kw_only=True)
class Asked:
    """An authorization that was granted, until its code is used."""

    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str = ""
    method: str = ""
    used: bool = False


@dataclass(slots=True)
class Ledger:
    """Everything that was issued.

    Attributes:
        issued: every secret text that was ever given out.
        shown: how often each refresh token was presented.
        good: the refresh token that is good now; empty: none is.
        dead: the person ended the login.
    """

    clock: Callable[[], float]
    access: dict[str, Access] = field(default_factory=dict)
    codes: dict[str, Asked] = field(default_factory=dict)
    issued: set[str] = field(default_factory=set)
    shown: dict[str, int] = field(default_factory=dict)
    good: str = ""
    current: str = ""
    dead: bool = False
    unique: set[str] = field(default_factory=set)

    def new_text(self, kind: str) -> str:
        """Return a secret text that nobody has seen."""
        text = f"{kind}-{secrets.token_hex(16)}"
        self.issued.add(text)
        return text

    def new_access(self, lifetime_s: float, level: int, scopes: tuple[str, ...]) -> str:
        """Issue an access token."""
        text = self.new_text("access")
        self.access[text] = Access(expires_at=self.clock() + lifetime_s, level=level, scopes=scopes)
        self.current = text
        return text

    def new_refresh(self) -> str:
        """Issue a refresh token, in place of the one that was good until now."""
        self.good = self.new_text("refresh")
        self.shown[self.good] = 0
        return self.good

    def usable(self, text: str, level: int) -> str:
        """Return what is wrong with an access token: empty, ``unknown``, ``expired`` or ``early``."""
        found = self.access.get(text)
        if found is None:
            return "unknown"
        if found.refused or found.expires_at <= self.clock():
            return "expired"
        return "" if found.level == level else "early"

    def refuse_all(self) -> None:
        """Let the API take none of the tokens that are out there."""
        for each in self.access.values():
            each.refused = True

    def end(self) -> None:
        """End the login: no refresh token is good any more, and no access token."""
        self.dead, self.good = True, ""
        self.refuse_all()

    def first_use(self, text: str) -> str:
        """Return what is wrong with a text that must not come twice."""
        if not text or text in self.unique:
            return "it came before" if text else "it is empty"
        self.unique.add(text)
        return ""
