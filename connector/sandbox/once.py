"""What keeps a signed message from being used twice, or much later: identifiers seen, and nonces.

Rules of this room: no clock; callers say what time it is, and hold `State.lock`.
"""

from __future__ import annotations

from collections.abc import Callable


class Once:
    """Identifiers that are good one time each."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def take(self, identifier: str, until: float, now: float) -> bool:
        """Use an identifier up; False when it was used before. It is remembered until `until`."""
        for old in [old for old, end in self._until.items() if end < now]:
            del self._until[old]
        if identifier in self._until:
            return False
        self._until[identifier] = until
        return True


class Nonces:
    """Nonces of a server (RFC 9449 section 8): a new one each period, the last one good for one period more.

    Token endpoint and API share them: they are one origin here, and clients keep nonces by origin.
    """

    __slots__ = ("_seal", "_turn")

    def __init__(self, seal: Callable[[str], str]) -> None:
        self._seal = seal
        self._turn = 0

    def current(self, now: float, period_s: float) -> str:
        """Return the nonce to hand out."""
        return self._made(int(now // period_s))

    def good(self, nonce: object, now: float, period_s: float) -> bool:
        """Whether a nonce was handed out lately and not withdrawn since."""
        period = int(now // period_s)
        return nonce in (self._made(period), self._made(period - 1))

    def rotate(self) -> None:
        """Withdraw every nonce that was handed out."""
        self._turn += 1

    def _made(self, period: int) -> str:
        return self._seal(f"nonce {self._turn} {period}")
