"""What the personas remember: as little as their behaviour needs, everything else is in the tokens.

Rules of this room: the clock comes from outside; whoever changes something holds `lock`, because `Sandbox`
methods are called from other threads than the server's.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.sandbox.counts import Counts
from connector.sandbox.devices import Devices
from connector.sandbox.once import Nonces, Once
from connector.sandbox.records import Records
from connector.sandbox.tokens import Claims, Kind, Signer, fingerprint

# The next moment that a float of today's epoch seconds can hold, generously.
_TICK_S = 1e-5


@dataclass(slots=True, kw_only=True)
class Family:
    """What became of one consent's refresh tokens: the generation that is good, or none any more.

    `successor` is that generation's token, known where it was issued; `rotated_at` is when.
    """

    generation: int
    revoked: bool = False
    successor: str = ""
    rotated_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """An authorization request that a client left at a persona, until it is used or expires."""

    persona: str
    fields: Mapping[str, str] = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class ForeignRequest:
    """What the other host was sent. Headers and body are not in the repr: they may hold leaked secrets."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class State:
    """Everything the personas of one sandbox share.

    Attributes:
        seed: decides keys, records and schedules.
        lifetime_s: access-token lifetime of every persona; None: each vendor's own.
        rate_limit: False: none; True: the vendor's; a number: so many requests per second.
        client_keys: the public keys of clients that sign (JWKs, RFC 7517), by client id.
        grace_s: how long a rotated refresh token still answers its successor.
        ask: whether a browser is shown the consent page; everyone else is redirected at once.
        clock: seconds since the epoch.
        foreign_url: where redirects to another host point.
    """

    def __init__(
        self,
        *,
        seed: int | str = 7,
        lifetime_s: float | None = None,
        records: Records | None = None,
        rate_limit: bool | float = False,
        client_keys: Mapping[str, Mapping[str, Any]] | None = None,
        grace_s: float = 0.0,
        ask: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.seed = seed
        self.lifetime_s = lifetime_s
        self.rate_limit = rate_limit
        self.grace_s = grace_s
        self.ask = ask
        self.client_keys: dict[str, list[Mapping[str, Any]]] = {
            client_id: list(known["keys"]) for client_id, known in (client_keys or {}).items()
        }
        self.clock = clock
        self.lock = threading.RLock()
        self.signer = Signer(seed)
        self.counts = Counts()
        self.once = Once()
        self.nonces = Nonces(self.signer.seal)
        self.devices = Devices()
        self.pushed: dict[str, Pushed] = {}
        self.records = records or Records(seed=seed)
        self.foreign_url = "http://foreign.test"
        self.foreign_requests: list[ForeignRequest] = []
        self.reissuable: dict[str, str] = {}
        self._tables: dict[str, dict[str, dict[str, Any]]] = {}
        self._cutoffs: dict[str, float] = {}
        self._families: dict[str, Family] = {}
        self._revoked: set[str] = set()
        self._spent: set[str] = set()

    def table(self, name: str) -> dict[str, dict[str, Any]]:
        """Return this sandbox's own copy of a collection, id -> record, in the order of the listing."""
        if name not in self._tables:
            self._tables[name] = dict(self.records.collection(name))
        return self._tables[name]

    def random(self, purpose: str) -> random.Random:
        """Return a generator that depends on the seed and the purpose only."""
        return random.Random(f"{self.seed} {purpose}")  # noqa: S311 - not for secrets

    # Tokens ---------------------------------------------------------------------------------------

    def issuing_at(self, persona: str) -> float:
        """Return the moment to write into a new token: now, but always after the last `expire`."""
        return max(self.clock(), self._cutoffs.get(persona, 0.0) + _TICK_S)

    def expire(self, persona: str) -> None:
        """Stop accepting every access token that `persona` issued until now."""
        with self.lock:
            self._cutoffs[persona] = self.issuing_at(persona)

    def read(self, persona: str, kind: Kind, text: str) -> Claims | None:
        """Return the claims of a token that is good now at `persona`, else None."""
        claims = self.signer.read(text)
        if claims is None or (claims.persona, claims.kind) != (persona, kind):
            return None
        family = self._families.get(claims.family)
        dead = (family is not None and family.revoked) or fingerprint(text) in self._revoked
        if dead or claims.expires_at <= self.clock():
            return None
        if kind == "access" and claims.issued_at <= self._cutoffs.get(persona, 0.0):
            return None
        return claims

    def rotate(self, claims: Claims) -> int | None:
        """Use a refresh token up and return the next generation; None: it was used before.

        The second use of a generation kills the family (RFC 9700 section 4.14.2). A family or generation that
        this process has not seen was advanced by another sandbox of the same seed, and is followed.
        """
        with self.lock:
            family = self._families.setdefault(claims.family, Family(generation=claims.generation))
            if family.revoked or claims.generation < family.generation:
                family.revoked = True
                return None
            family.generation, family.successor = claims.generation + 1, ""
            return family.generation

    def succeed(self, claims: Claims, successor: str) -> None:
        """Remember which token followed this one, for as long as the grace lasts."""
        with self.lock:
            if self.grace_s and (family := self._families.get(claims.family)) is not None:
                family.successor, family.rotated_at = successor, self.clock()

    def successor(self, claims: Claims) -> str:
        """Return the token that followed a refresh token a moment ago; empty: the grace does not hold.

        It holds for the last generation only: whoever is two behind has missed more than an answer.
        """
        with self.lock:
            family = self._families.get(claims.family)
            if family is None or claims.generation != family.generation - 1:
                return ""
            return family.successor if self.clock() < family.rotated_at + self.grace_s else ""

    def spend_code(self, claims: Claims) -> bool:
        """Use an authorization code up; False, and the family is dead, when it was used before."""
        with self.lock:
            if claims.serial in self._spent:
                self.revoke_family(claims.family)
                return False
            self._spent.add(claims.serial)
            return True

    def revoke_family(self, family: str) -> None:
        """Make every token that descends from one consent worthless."""
        with self.lock:
            self._families.setdefault(family, Family(generation=0)).revoked = True

    def revoke(self, text: str) -> None:
        """Revoke a token (RFC 7009 section 2.1): a refresh token with its family, any other alone."""
        claims = self.signer.read(text)
        if claims is None:
            return
        with self.lock:
            if claims.kind == "refresh":
                self.revoke_family(claims.family)
            self._revoked.add(fingerprint(text))
