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

    def watch(self, token: Token) -> None:
        """`token` was fetched because of a refusal."""
        self._watched, self._proven, self._struck = token.fingerprint, False, False

    def accept(self, token: Token) -> None:
        """The API took `token`. Called for each request, so the cheap questions come first."""
        if self._watched and not self._proven and not self._struck and self._watched == token.fingerprint:
            self._proven = True

    def allows(self, token: Token, now: float) -> bool:
        """The API refused `token`: whether to fetch another one."""
        if token.fingerprint != self._watched:
            return True
        age = now - token.obtained_at
        if not self._struck:
            self._struck = True
            if self._proven and age >= _SETTLED_S:
                self._strikes = 0
            else:
                self._strikes = max(self._strikes + 1, 0 if self._proven else _TOLERATED)
        # A negative age is a clock that was set back, which must not close the door for as long.
        return not 0 <= age < self._pause_s()

    def _pause_s(self) -> float:
        return 0.0 if self._strikes < _TOLERATED else min(300.0, 2.0 ** min(self._strikes - 2, 9))
