"""Token endpoints that do not work just now: what one account finds out is known to all accounts of a host.

Each account has a pause of its own, in its record. With hundreds at one dead server those are hundreds of
calls for each pause; here it is one. In memory only: whoever begins finds out by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_LONGEST_S = 60.0
_LONGEST_ASKED_S = 3600.0
# Between asking leave and making the call, and while the call is under way.
_ABOUT_TO_S, _CALL_S = 2.0, 35.0


@dataclass(slots=True)
class _Server:
    """Who failed there since it last worked, how often it had to rest, and until when."""

    failed: set[str] = field(default_factory=set)
    rests: int = 0
    until: float = 0.0
    tried_until: float = 0.0


class Resting:
    """Says when a token endpoint is left alone. Times are those of the steady clock, in seconds.

    From any thread, without a lock, which a fork could leave locked: of two that write at the same moment one
    may be forgotten, and that costs a call.
    """

    def __init__(self) -> None:
        self._servers: dict[str, _Server] = {}

    def left_s(self, origin: str, now: float) -> float:
        """Seconds until a call makes sense; 0: at once. After a rest, one goes ahead of the others."""
        server = self._servers.get(origin)
        if server is None or not server.rests:
            return 0.0
        if now < server.until:
            return server.until - now
        if now < server.tried_until:
            return min(1.0, server.tried_until - now)
        server.tried_until = now + _ABOUT_TO_S
        return 0.0

    def calls(self, origin: str, now: float) -> None:
        """A call begins."""
        server = self._servers.get(origin)
        if server is not None and server.rests:
            server.tried_until = now + _CALL_S

    def works(self, origin: str) -> None:
        """It answered a call with something it had to say."""
        self._servers.pop(origin, None)

    def fails(self, origin: str, account: str, now: float, *, asked_s: float | None, all_: bool) -> None:
        """A call brought nothing.

        Args:
            asked_s: the pause that the server asked for; None: it asked for nothing.
            all_: it said so to everybody, not to this account; otherwise a second account must find the same,
                since a server may fail over one login alone.
        """
        server = self._servers.setdefault(origin, _Server())
        server.failed.add(account)
        server.tried_until = 0.0
        if not all_ and len(server.failed) < 2:
            return
        if now >= server.until:  # those who called at the same time say nothing new
            server.rests += 1
        pause_s = min(_LONGEST_S, 2.0 ** min(server.rests - 1, 9))
        if asked_s is not None:
            pause_s = min(asked_s, _LONGEST_ASKED_S)
        server.until = max(server.until, now + pause_s)
