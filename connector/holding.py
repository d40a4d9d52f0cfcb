"""Ring 0: what memory holds of one account, and what it makes of what the API and a renewal say.

Rules of this room: nothing here waits. A fresh token is read without a lock; whatever changes more than one
thing does so under it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from connector.account import Account
from connector.counts import Counts as Counts
from connector.drive import World, run
from connector.errors import ConnectorError, NotAuthorizedError, StoreError
from connector.flight import Flight
from connector.landing import Landing, same
from connector.lives import leaving
from connector.moment import steady_beside
from connector.observe import count, tell, who
from connector.observing import needs_login, of_memory
from connector.record import Record
from connector.saving import prove
from connector.suspicion import Suspicion
from connector.token import Held, Token, Window
from connector.wish import REFUSED_AGAIN

PEEK_S = 2.0  # how often the store is looked at during a pause


class Holding:
    """What memory holds of one account; see `connector.source.TokenSource`."""

    def __init__(self, account: Account, world: World, window: Window | None) -> None:
        self.account = account
        self.counts = Counts(told=partial(count, account))
        self.nonces: dict[str, str] = {}  # the last one that each API wanted in its proofs, by origin
        self._world = replace(
            world, account=account, called=lambda: self.counts.add("token_calls"), wanted=self._wanted
        )
        self._ticks: Callable[[], float] = world.steady or steady_beside(world.clock)
        self._window = window or Window(early_s=account.endpoint.refresh.before_s)
        self._held: Held | None = None
        self._refused: Held | None = None  # what was held until the API refused it
        self._worked: Token | None = None  # the last one that the API took, and when
        self._worked_at = 0.0
        self._lived_s: float | None = None  # how long the one before lived, once the new one works
        self._record: Record | None = None
        self._rejected = ""
        self._suspicion = Suspicion()
        self._later_until = 0.0  # no early renewal before this moment
        self._seen = ""  # fingerprint of the token in the store when a renewal failed last
        self._peek_at = 0.0  # when the store is looked at next during that
        self._quiet_until = 0.0  # no renewal at all: `_error` is the answer
        self._error: ConnectorError | None = None
        self._errors_in_a_row = 0
        self._login_needed = False
        self._epoch = 0
        self._closing = False
        self._lock = threading.RLock()  # for changes of the above; reading a fresh token takes none
        self._known: tuple[str, Mapping[str, str]] | None = None
        self._notes: Flight[None] = Flight(f"connector-note-{account.name}")

    def now(self) -> float:
        """The time, seconds since the epoch."""
        return self._world.clock()

    def server_now(self) -> float:
        """The time by the server's clock, as far as it is known; seconds since the epoch."""
        record = self._record
        mine = record is not None and record.clock_of == self._world.machine
        return self._world.clock() + (record.server_clock if record is not None and mine else 0.0)

    def measured(self) -> dict[str, float]:
        """What the gauges of `connector.measures` show of the token in memory."""
        return of_memory(self._record, self._world.clock(), self._login_needed)

    def reject(self, token: Token) -> bool:
        """The API refused `token`. Return whether asking for another one makes sense.

        Not when a renewal for that reason has just been no cure (see `Suspicion`), nor when nothing is
        renewed by itself.
        """
        self.counts.add("rejections")
        tell("token.rejected", who(self.account), token=token.fingerprint)
        with self._lock:
            current = self._record.token if self._record is not None else None
            if current is not None and current.fingerprint != token.fingerprint:
                return True  # already replaced by somebody else
            if not self.account.auto_refresh:
                return False
            if self._rejected == token.fingerprint:
                return True  # that renewal is on its way
            held = self._hold(token)
            now = self._ticks()
            if not self._suspicion.allows(token, now, age_s=now - held.since):
                return False
            self._rejected, self._refused, self._held = token.fingerprint, held, None
            # Only of a token that had worked is it known that it lived, and only where nobody said how long.
            taught = token.expires_at is None and self._works(token)
            self._lived_s = now - held.since if taught else None
            return True

    def accept(self, token: Token) -> None:
        """The API took `token`: it is proven. Called for each request, so the common case comes first."""
        if token is self._worked and token.expires_at is not None:
            return
        first, record, lived_s = not self._works(token), self._record, None
        self._worked, self._worked_at = token, self._ticks()
        if self._suspicion.accept(token):
            lived_s, self._lived_s = self._lived_s, None
        if record is None or record.unsaved:
            return
        if lived_s is not None or (first and record.strikes):
            self._notes.join(lambda: self._note(token, lived_s))

    def secrets(self) -> Mapping[str, str]:
        """The account's secrets by name, for hooks that sign requests; as they were when the token came."""
        known = self._known
        fingerprint = self._held.token.fingerprint if self._held else ""
        if known is None or known[0] != fingerprint:
            known = self._known = (fingerprint, self._world.texts())
        return known[1]

    def forget(self) -> None:
        """Forget what memory holds; the store is asked next time."""
        with self._lock:
            self._epoch += 1  # what a flight under way brings is of the old login
            self._held, self._record, self._rejected, self._error = None, None, "", None
            self._refused = self._worked = self._lived_s = None
            self._login_needed = False
            self._later_until = self._quiet_until = 0.0

    def _wanted(self) -> bool:
        """Whether a renewal is still of use that has shown nothing yet."""
        return not (self._closing or leaving())

    def _stale(self, token: Token) -> bool:
        return self._ticks() >= self._hold(token).stale_at

    def _hold(self, token: Token, since: float | None = None) -> Held:
        """`token` with its ends by the steady clock: those that memory has, whatever the wall clock says."""
        for held in (self._held, self._refused):
            if held is not None and held.speaks_of(token):
                return held
        return self._window.hold(token, self._world.moment(), since=since)

    def _works(self, token: Token) -> bool:
        return self._worked is not None and self._worked.fingerprint == token.fingerprint

    def _note(self, token: Token, lived_s: float | None) -> None:
        """Write down that `token` works, in a thread of its own."""
        # Somebody else than who renews here: the same name would share its lease.
        world = replace(self._world, identity=f"{self._world.identity}/note")
        with contextlib.suppress(ConnectorError):  # what is not written down is learnt another time
            record = run(prove(world.holder, token, lived_s), world)
            with self._lock:
                known, held = self._record, self._held
                if known is None or record.token is None or known.unsaved or not same(known, record):
                    return
                self._record = record
                if held is not None and held.speaks_of(record.token):
                    self._held = self._window.hold(record.token, self._world.moment(), since=held.since)

    def _take(self, landing: Landing, before: Record | None) -> None:
        """Put what a flight brought into memory. Under the lock."""
        now, record = self._ticks(), landing.record
        self._login_needed = needs_login(landing.error, before=self._login_needed)
        if record is None:
            self._record = landing.unfinished or self._record
            self._take_failure(landing, now)
            return
        token = record.token
        assert token is not None
        self._error, self._errors_in_a_row, self._quiet_until = None, 0, 0.0
        self._record = record
        if token.fingerprint == self._rejected and landing.rejected != self._rejected:
            return  # refused by the API while this flight was under way
        if self._rejected:
            self._rejected = ""
            self._suspicion.watch(token)
        if not landing.rejected or not landing.called:
            self._lived_s = None  # whoever made the call tells the lesson, and nobody else
        # What memory has goes on as it is: the wall clock may have been set since.
        held = self._hold(token, record.since)
        # A server that answered an early renewal with the same token is not asked again at once.
        left = held.expired_at - now
        self._later_until = now + max(0.5, left / 2) if same(before, record) else 0.0
        self._held, self._refused = replace(held, token=token), None

    def _take_failure(self, landing: Landing, now: float) -> None:
        error, refused = landing.error, self._refused
        if error is None or error.code == "abandoned":
            return
        if error.code == REFUSED_AGAIN and landing.rejected == self._rejected:
            # Another token is no cure: this one is handed out as before, and its 401 is the answer.
            self._rejected, self._held, self._refused = "", refused, None
            if refused is not None:
                self._suspicion.shut(refused.token, now + (getattr(error, "retry_after", 0.0) or 0.0))
            return
        pause = getattr(error, "retry_after", None)
        if pause is None:
            # The store is looked at again soon, since a person may bring a login at any moment. What only
            # another manifest cures is written down nowhere, and must not become a storm of token calls.
            soon = isinstance(error, NotAuthorizedError) and error.code == "needs_authorization"
            pause = 1.0 if soon else 5.0 * 2.0 ** min(self._errors_in_a_row, 6)
            if isinstance(error, StoreError):
                pause = 2.0  # without the store there are no token calls: that it is back is seen soon
        pause = min(pause, 300.0)
        self._later_until = now + max(1.0, pause)
        if landing.early or landing.rejected != self._rejected:
            return  # more may be asked for at any moment, and may be answered otherwise
        self._errors_in_a_row += 1
        self._error = error
        self._peek_at = now + PEEK_S
        self._quiet_until = now + pause

    def after_fork(self) -> None:
        """In the child: the parent's flights and locks do not exist here; memory is still right."""
        self._notes.reset()
        self._lock = threading.RLock()
        self.counts.lock = threading.RLock()
