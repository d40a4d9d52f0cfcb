"""When another token is no cure: an API that says 401 for reasons of its own must not cost a call each."""

from __future__ import annotations

from connector.token import Token

_SETTLED_S = 10.0
_TOLERATED = 3


class Suspicion:
    """Judges refusals of a token that was itself fetched because of a refusal.

    The first verdict on such a token counts. Refused without ever having worked, it was no cure, and the next
    renewal for that reason waits: 2 s, then twice as long each time, at most 5 minutes. Refused soon after
    it worked may be a server that revokes, so a few of those cost nothing.
    """

    def __init__(self) -> None:
        self._watched = ""
        self._proven = False
        self._struck = False
        self._strikes = 0
        self._shut = ""
        self._shut_until = 0.0

    def watch(self, token: Token) -> None:
        """`token` was fetched because of a refusal."""
        self._watched, self._proven, self._struck = token.fingerprint, False, False

    def accept(self, token: Token) -> bool:
        """The API took `token`; whether that is news of one that is watched."""
        if self._watched and not self._proven and not self._struck and self._watched == token.fingerprint:
            self._proven = True
            return True
        return False

    def shut(self, token: Token, until: float) -> None:
        """Others have found out that another one instead of `token` is no cure for now."""
        self._shut, self._shut_until = token.fingerprint, until

    def allows(self, token: Token, now: float, *, age_s: float) -> bool:
        """The API refused `token`: whether to fetch another one. `now` is by the steady clock."""
        if token.fingerprint == self._shut and now < self._shut_until:
            return False
        if token.fingerprint != self._watched:
            return True
        if not self._struck:
            self._struck = True
            if self._proven and age_s >= _SETTLED_S:
                self._strikes = 0
            else:
                self._strikes = max(self._strikes + 1, 0 if self._proven else _TOLERATED)
        return age_s >= self._pause_s()

    def _pause_s(self) -> float:
        return 0.0 if self._strikes < _TOLERATED else min(300.0, 2.0 ** min(self._strikes - 2, 9))
