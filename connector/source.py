"""The one thing to ask for a valid token: rings 0 (memory) and 1 (flight) around an account.

A fresh token is handed out with no lock, no await and no I/O: one attribute is read, one number compared. All
else is a flight: one thread that runs `flow.renew` to its end, whoever stops waiting.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial

from connector.account import Account
from connector.counts import Counts as Counts
from connector.drive import World, run
from connector.errors import ConnectorError, NotAuthorizedError, StoreError
from connector.flight import Flight, landed
from connector.flighterrors import again, copied, slow, threadless
from connector.flow import Wish, renew, save_late
from connector.grants import Grant
from connector.lives import forks, leaving, linger, settles
from connector.observe import count, here, lasting, tell, waiting, watch, who
from connector.observing import end_renewal, fail_renewal, needs_login, of_memory
from connector.record import Record
from connector.suspicion import Suspicion
from connector.token import Token, Window
from connector.verdict import broke_off

_LOOKS = 3  # how often a caller whose flight was given up looks for another


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What memory holds: replaced as a whole, so that a reader without a lock sees one or the other."""

    token: Token
    stale_at: float
    expired_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Landing:
    """What a flight brought, and what it was asked for: an error is a value here, so that no traceback
    (its frames hold secrets) travels from the flight's thread to those who wait.
    """

    record: Record | None = None
    error: ConnectorError | None = None
    rejected: str = ""
    early: bool = False
    epoch: int = 0


class TokenSource:
    """Valid tokens for one account; safe from any thread, task, loop or fork.

    Args:
        world: what renewals act on.
        window: when a token is stale and when expired.
        patience_s: how long a caller waits for a renewal before RenewalError ``renewal_slow``; the
            renewal itself goes on.
    """

    def __init__(
        self,
        account: Account,
        grant: Grant,
        world: World,
        *,
        window: Window | None = None,
        patience_s: float = 60.0,
    ) -> None:
        self.account = account
        self.counts = Counts(told=partial(count, account))
        self.nonces: dict[str, str] = {}  # the last one that each API wanted in its proofs, by origin
        self._grant = grant
        self._world = replace(
            world, account=account, called=lambda: self.counts.add("token_calls"), wanted=self._wanted
        )
        self._clock: Callable[[], float] = world.clock
        self._window = window or Window(early_s=account.endpoint.refresh.before_s)
        self._patience_s = patience_s
        self._held: _Held | None = None
        self._record: Record | None = None
        self._rejected = ""
        self._suspicion = Suspicion()
        self._later_until = 0.0  # no early renewal before this moment
        self._quiet_until = 0.0  # no renewal at all: `_error` is the answer
        self._error: ConnectorError | None = None
        self._errors_in_a_row = 0
        self._login_needed = False
        self._epoch = 0
        self._closing = False
        self._lock = threading.RLock()  # for changes of the above; reading a fresh token takes none
        self._known: tuple[str, Mapping[str, str]] | None = None
        self._flight: Flight[_Landing] = Flight(f"connector-renew-{account.name}")
        forks(settles(self))
        watch(self)

    def now(self) -> float:
        """The time, seconds since the epoch."""
        return self._clock()

    def measured(self) -> dict[str, float]:
        """What the gauges of `connector.measures` show of the token in memory."""
        return of_memory(self._record, self._clock(), self._login_needed)

    def token(self, *, fresh: bool = False) -> Token:
        """Return a valid token, waiting for a renewal only when there is no other way.

        Args:
            fresh: wait for a renewal also while the token is merely stale (for a request whose body
                can be sent only once).

        Raises NotAuthorizedError, RenewalError, StoreError, SecretMissingError.
        """
        looks = 0  # at most two: one for what the store has, and one renewal of it
        while True:
            found, looks = self._look(fresh, inline=True), looks + 1
            if isinstance(found, Token):
                return found
            with waiting(self.account):
                wait([found], self._patience_s)
            if not found.done():
                raise slow(self.account, self._patience_s)
            token = self._landed(found, fresh, looks)
            if token is not None and not (fresh and self._stale(token) and looks < 2):
                return token

    async def atoken(self, *, fresh: bool = False) -> Token:
        """`token` for tasks of asyncio and trio; waiting holds up no event loop."""
        looks = 0  # at most two: one for what the store has, and one renewal of it
        while True:
            found, looks = self._look(fresh), looks + 1
            if isinstance(found, Token):
                return found
            # Bounded without a timer of the event loop: the flow's own patience and the token call's
            # timeouts end the flight, and cancelling this task ends the waiting.
            with waiting(self.account):
                await landed(found)
            token = self._landed(found, fresh, looks)
            if token is not None and not (fresh and self._stale(token) and looks < 2):
                return token

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
            if not self._suspicion.allows(token, self._clock()):
                return False
            self._rejected = token.fingerprint
            self._held = None
            return True

    def accept(self, token: Token) -> None:
        """The API took `token`: it is proven."""
        self._suspicion.accept(token)

    def secrets(self) -> Mapping[str, str]:
        """The account's secrets by name, for hooks that sign requests; as they were when the token came."""
        known = self._known
        fingerprint = self._held.token.fingerprint if self._held else ""
        if known is None or known[0] != fingerprint:
            client_secret = self._world.reveal()
            found = {name: secret.reveal() for name, secret in self._world.others().items()}
            if client_secret:
                found["client_secret"] = client_secret.reveal()
            known = self._known = (fingerprint, found)
        return known[1]

    def renew_now(self, *, force: bool = False) -> Token:
        """Renew whatever the state of the token; what `connector refresh` does.

        Args:
            force: also when a refresh token in doubt would be shown again while the access token still works.
        """
        record = self._world.load()
        rejected = record.token.fingerprint if record.token else ""
        account = replace(self.account, auto_refresh=True)
        origin = here()
        while True:
            future = self._flight.join(
                lambda: self._fly(rejected=rejected, account=account, on_demand=not force, origin=origin),
                here=True,
            )
            wait([future])
            if future.cancelled():
                continue  # whoever began it was interrupted
            landing = future.result()
            if landing.record is not None and landing.record.token is not None:
                if landing.rejected == rejected or landing.record.token.fingerprint != rejected:
                    return landing.record.token
            elif landing.rejected == rejected and not landing.early and landing.error is not None:
                if landing.error.code == "abandoned":
                    linger()
                raise copied(landing.error)
            # That was somebody else's flight, under way before we asked.

    def settle(self, timeout_s: float = 30.0, *, closing: bool = False) -> None:
        """Wait for a renewal under way, so that what it brings is saved before things are closed.

        Args:
            closing: give up one that has not shown anything yet and only waits for its turn.
        """
        self._closing = self._closing or closing
        running = self._flight.running
        if running is not None:
            wait([running], timeout_s)
        record = self._record
        if record is not None and record.unsaved:
            with contextlib.suppress(ConnectorError):
                self._record = run(save_late(record), self._world)

    def forget(self) -> None:
        """Forget what memory holds; the store is asked next time."""
        with self._lock:
            self._epoch += 1  # what a flight under way brings is of the old login
            self._held, self._record, self._rejected, self._error = None, None, "", None
            self._login_needed = False
            self._later_until = self._quiet_until = 0.0

    def _look(self, fresh: bool, *, inline: bool = False) -> Token | Future[_Landing]:
        """The token at hand, or the flight to wait for."""
        held, now = self._held, self._clock()
        if held is not None:
            if now < held.stale_at:
                return held.token
            if now < held.expired_at:
                if now < self._later_until or not self.account.auto_refresh:
                    return held.token
                future = self._begin(early=True)
                return future if fresh else held.token
        error = self._error
        if now < self._quiet_until and error is not None:
            raise again(error, self._quiet_until - now)
        return self._begin(early=False, inline=inline)

    def _stale(self, token: Token) -> bool:
        return self._clock() >= self._window.stale_at(token)

    def _landed(self, future: Future[_Landing], fresh: bool, looks: int) -> Token | None:
        """What a flight brought: a token, None to look again, or its error raised."""
        if future.cancelled():
            return None  # whoever began it was interrupted
        refusal = future.exception()
        if refusal is not None and self._held is not None and self._clock() < self._held.expired_at:
            return self._held.token
        if isinstance(refusal, RuntimeError):
            raise threadless(self.account)
        landing = future.result()
        if landing.epoch != self._epoch:
            return None
        if landing.error is not None and landing.error.code == "abandoned" and looks <= _LOOKS:
            linger()
            return None
        if landing.record is not None:
            token = landing.record.token
            assert token is not None
            # A flight that began before the API refused this very token is no answer.
            return None if token.fingerprint == self._rejected else token
        assert landing.error is not None
        held = self._held
        if held is not None and self._clock() < held.expired_at and (fresh or landing.early):
            return held.token
        if landing.early or landing.rejected != self._rejected:
            return None  # it was asked for less than is needed now
        # A copy for each waiter: one exception raised in many threads would share a traceback.
        raise copied(landing.error)

    def _begin(self, *, early: bool, inline: bool = False) -> Future[_Landing]:
        rejected, origin = self._rejected, here()
        fly = partial(self._fly, rejected=rejected, early=early, origin=origin)
        return self._flight.join(fly, here=inline)

    def _fly(
        self,
        *,
        rejected: str,
        early: bool = False,
        on_demand: bool = False,
        account: Account | None = None,
        origin: object | None = None,
    ) -> _Landing:
        """One renewal, in the flight's thread. `origin`: what `observe.here` said where it was begun."""
        about = {**who(self.account), "early": early, "rejected": bool(rejected)}
        renewal = lasting("connector.renewal", about, parent=origin)
        tell("renewal.started", about)
        with self._lock:
            before, epoch = self._record, self._epoch
        wish = Wish(
            account=account or self.account,
            grant=self._grant,
            window=self._window,
            holder=self._world.holder,
            have=before,
            rejected=rejected,
            early=early,
            on_demand=on_demand,
            jitter=random.random(),  # noqa: S311  # spreads waiters, guards nothing
        )
        calls = self.counts.token_calls
        landing = _Landing(rejected=rejected, early=early, epoch=epoch)
        try:
            landing = replace(landing, record=run(renew(wish), self._world))
        except ConnectorError as error:
            landing = replace(landing, error=copied(error))
        except Exception as error:
            # Ours to mend; whoever waits still gets an error of the promised kind, without its frames.
            landing = replace(landing, error=broke_off(self.account, error))
        with self._lock:
            if landing.epoch == self._epoch:
                self._take(landing, before)
        if landing.error is not None:
            self.counts.add("failed_renewals", by=landing.error.code != "abandoned")
            fail_renewal(renewal, landing.error, works=early)
        elif landing.record is not None:
            called, same = self.counts.token_calls > calls, _same(before, landing.record)
            if called and landing.record.renewals:
                self.counts.add("renewals")
            now = self._clock()
            end_renewal(renewal, landing.record, window=self._window, now=now, called=called, same=same)
        return landing

    def _take(self, landing: _Landing, before: Record | None) -> None:
        """Put what a flight brought into memory. Under the lock."""
        now, record = self._clock(), landing.record
        self._login_needed = needs_login(landing.error, before=self._login_needed)
        if record is None:
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
        # A server that answered an early renewal with the same token is not asked again at once.
        left = self._window.expired_at(token) - now
        self._later_until = now + max(0.5, left / 2) if _same(before, record) else 0.0
        self._held = _Held(
            token=token,
            stale_at=self._window.stale_at(token),
            expired_at=self._window.expired_at(token),
        )

    def _take_failure(self, landing: _Landing, now: float) -> None:
        error = landing.error
        if error is None or error.code == "abandoned":
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
        self._quiet_until = now + pause

    def _wanted(self) -> bool:
        """Whether a renewal is still of use that has shown nothing yet."""
        return not (self._closing or leaving())

    def after_fork(self) -> None:
        """In the child: the parent's flight and locks do not exist here; memory is still right."""
        self._flight.reset()
        self._lock = threading.RLock()
        self.counts.lock = threading.RLock()


def _same(before: Record | None, record: Record) -> bool:
    old = before.token if before is not None else None
    return old is not None and record.token is not None and old.fingerprint == record.token.fingerprint
