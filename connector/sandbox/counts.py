"""What each persona was asked, counted, so that a test or a demo can tell what a client really did."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

PERSONAS = ("coupa", "servicenow", "strict", "flaky")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaCounts:
    """How often things happened at one persona until now.

    Attributes:
        token_calls: requests to the token endpoint, refused ones included.
        refused: token calls answered with an error of the protocol.
        issued: token calls that got an access token (a re-issued one counts as well).
        revocations: calls of the revocation endpoint.
        api_requests: requests to the API, whatever the answer.
        unauthorized: API requests answered 401.
        limited: API requests answered 429 by the rate limit.
        faults: answers spoilt on purpose.
        presentations: fingerprint of a refresh token -> how often it was presented.
    """

    token_calls: int = 0
    refused: int = 0
    issued: int = 0
    revocations: int = 0
    api_requests: int = 0
    unauthorized: int = 0
    limited: int = 0
    faults: int = 0
    presentations: Mapping[str, int] = field(default_factory=dict)


class Counts:
    """The counters themselves; safe from any thread."""

    __slots__ = ("_lock", "_presented", "_tallies")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[str, Counter[str]] = {name: Counter() for name in PERSONAS}
        self._presented: dict[str, Counter[str]] = {name: Counter() for name in PERSONAS}

    def add(self, persona: str, what: str) -> None:
        """Count one more of `what`, a field of `PersonaCounts`."""
        with self._lock:
            self._tallies[persona][what] += 1

    def presented(self, persona: str, token_fingerprint: str) -> None:
        """Count one presentation of a refresh token."""
        with self._lock:
            self._presented[persona][token_fingerprint] += 1

    def snapshot(self) -> Mapping[str, PersonaCounts]:
        """Return the counts of this moment by persona; they do not change afterwards."""
        with self._lock:
            return MappingProxyType(
                {
                    name: PersonaCounts(**tally, presentations=MappingProxyType(dict(self._presented[name])))
                    for name, tally in self._tallies.items()
                }
            )
