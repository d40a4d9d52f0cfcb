"""Counting what happened to an account in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace


@dataclass(slots=True)
class Counts:
    """What happened to an account in this process.

    Attributes:
        token_calls: calls to the token endpoint.
        renewals: those that replaced a token; the first token of a login is not one.
        failed_renewals: renewals that brought no token.
        rejections: 401s (or what the endpoint declares) for a token of ours.
        requests: requests sent with a token, replays included.
        replays: requests sent again after a renewal, or after waiting.
        failed_requests: requests that ended with a 4xx, a 5xx or no answer, after all replays.
        told: of each that is counted, which and how many.
    """

    token_calls: int = 0
    renewals: int = 0
    failed_renewals: int = 0
    rejections: int = 0
    requests: int = 0
    replays: int = 0
    failed_requests: int = 0
    told: Callable[[str, int], None] = field(default=lambda name, by: None, repr=False, compare=False)
    # Entered again by a signal handler or a ``__del__`` that makes a request itself.
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def now(self) -> Counts:
        """The counts of this moment; they do not change afterwards."""
        with self.lock:
            return replace(self, lock=threading.RLock())

    def add(self, name: str, by: int = 1) -> None:
        """Count one more."""
        with self.lock:
            setattr(self, name, getattr(self, name) + by)
        self.told(name, by)
