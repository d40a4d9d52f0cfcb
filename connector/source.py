"""The one thing to ask for a valid token: rings 0 (memory) and 1 (flight) around an account.

A fresh token is handed out with no lock, no await and no I/O: one attribute is read, one number compared. All
else is a flight: one thread that runs `flow.renew` to its end, whoever stops waiting.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace

from connector.account import Account
from connector.drive import World, run
from connector.errors import ConnectorError, NotAuthorizedError, RenewalError
from connector.flight import Flight, landed
from connector.flow import Wish, renew
from connector.grants import Grant
from connector.record import Record
from connector.token import Token, Window

log = logging.getLogger("connector")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What memory holds: replaced as a whole, so that a reader without a lock sees one or the other."""

    token: Token
    stale_at: float
    expired_at: float


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
    """

    token_calls: int = 0
    renewals: int = 0
    failed_renewals: int = 0
    rejections: int = 0
    requests: int = 0
    replays: int = 0
    failed_requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str, by: int = 1) -> None:
        """Count one more."""
        with self.lock:
            setattr(self, name, getattr(self, name) + by)


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
        self.counts = Counts()
        self._grant = grant
        self._world = replace(world, called=lambda: self.counts.add("token_calls"))
        self._clock: Callable[[], float] = world.clock
        self._window = window or Window(early_s=account.endpoint.refresh.before_s)
        self._patience_s = patience_s
        self._held: _Held | None = None
        self._record: Record | None = None
        self._rejected = ""
        self._unproven = ""
        self._rejections_in_a_row = 0
        self._quiet_until = 0.0
        self._error: ConnectorError | None = None
        self._flight: Flight[Record] = Flight(f"connector-renew-{account.name}")
        _sources.add(self)

    def token(self, *, fresh: bool = False) -> Token:
        """Return a valid token, waiting for a renewal only when there is no other way.

        Args:
            fresh: wait for a renewal also while the token is merely stale (for a request whose body
                can be sent only once).

        Raises NotAuthorizedError, RenewalError, StoreError, SecretMissingError.
        """
        looks = 0  # at most two: one for what the store has, and one renewal of it
        while True:
            found, looks = self._look(fresh), looks + 1
            if isinstance(found, Token):
                return found
            wait([found], self._patience_s)
            if not found.done():
                raise self._slow()
            token = self._landed(found, fresh)
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
            await landed(found)
            token = self._landed(found, fresh)
            if token is not None and not (fresh and self._stale(token) and looks < 2):
                return token

    def reject(self, token: Token) -> bool:
        """The API refused `token`. Return whether asking for another one makes sense.

        A token that was itself fetched because of a refusal and is refused without ever having worked
        is not the cure: the next renewal for that reason waits, twice as long each time.
        """
        self.counts.add("rejections")
        held = self._held
        if held is not None and held.token.fingerprint != token.fingerprint:
            return True  # already replaced by somebody else
        if not self.account.auto_refresh:
            return False
        now = self._clock()
        if self._unproven == token.fingerprint:
            self._rejections_in_a_row += 1
            since = now - token.obtained_at
            if since < min(300.0, 2.0**self._rejections_in_a_row):
                return False
        self._rejected = token.fingerprint
        self._held = None
        return True

    def accept(self, token: Token) -> None:
        """The API took `token`: it is proven."""
        if self._unproven and self._unproven == token.fingerprint:
            self._unproven, self._rejections_in_a_row = "", 0

    def renew_now(self) -> Token:
        """Renew whatever the state of the token; what `connector refresh` does."""
        record = self._world.load()
        rejected = record.token.fingerprint if record.token else ""
        account = replace(self.account, auto_refresh=True)
        token = self._flight.join(lambda: self._fly(rejected=rejected, account=account)).result().token
        assert token is not None
        return token

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait for a renewal under way, so that what it brings is saved before things are closed."""
        running = self._flight.running
        if running is not None:
            wait([running], timeout_s)

    def forget(self) -> None:
        """Forget what memory holds; the store is asked next time."""
        self._held, self._record, self._rejected, self._quiet_until, self._error = None, None, "", 0.0, None

    def _look(self, fresh: bool) -> Token | Future[Record]:
        """The token at hand, or the flight to wait for."""
        held, now = self._held, self._clock()
        if held is not None:
            if now < held.stale_at:
                return held.token
            if now < held.expired_at:
                if now < self._quiet_until or not self.account.auto_refresh:
                    return held.token
                future = self._begin(early=True)
                return future if fresh else held.token
        if now < self._quiet_until and self._error is not None:
            raise self._again(self._error, now)
        return self._begin(early=False)

    def _stale(self, token: Token) -> bool:
        return self._clock() >= self._window.stale_at(token)

    def _landed(self, future: Future[Record], fresh: bool) -> Token | None:
        """What a flight brought: a token, None to look again, or its error raised."""
        error = future.exception()
        if error is None:
            token = future.result().token
            assert token is not None
            # A flight that began before the API refused this very token is no answer.
            return None if token.fingerprint == self._rejected else token
        held = self._held
        if fresh and held is not None and self._clock() < held.expired_at:
            return held.token
        # A copy for each waiter: one exception raised in many threads would share a traceback.
        raise (_copy(error) if isinstance(error, ConnectorError) else error)

    def _begin(self, *, early: bool) -> Future[Record]:
        rejected = self._rejected
        return self._flight.join(lambda: self._fly(rejected=rejected, early=early))

    def _fly(self, *, rejected: str, early: bool = False, account: Account | None = None) -> Record:
        """One renewal, in the flight's thread."""
        wish = Wish(
            account=account or self.account,
            grant=self._grant,
            window=self._window,
            holder=self._world.holder,
            have=self._record,
            rejected=rejected,
            early=early,
        )
        before, calls = self._record, self.counts.token_calls
        try:
            record = run(renew(wish), self._world)
        except ConnectorError as error:
            self._failed(error, early)
            raise
        if self.counts.token_calls > calls and record.renewals:
            self.counts.add("renewals")
        self._take(record, before)
        return record

    def _take(self, record: Record, before: Record | None) -> None:
        """Put a record into memory."""
        token = record.token
        assert token is not None
        same = (
            before is not None and before.token is not None and before.token.fingerprint == token.fingerprint
        )
        if self._rejected and token.fingerprint != self._rejected:
            self._unproven, self._rejected = token.fingerprint, ""
        now = self._clock()
        # A server that answered an early renewal with the same token is not asked again at once.
        self._quiet_until = now + max(0.5, (self._window.expired_at(token) - now) / 2) if same else 0.0
        self._error = None
        self._record = record
        self._held = _Held(
            token=token,
            stale_at=self._window.stale_at(token),
            expired_at=self._window.expired_at(token),
        )
        level = logging.WARNING if record.unsaved else logging.INFO
        log.log(
            level,
            "token.%s account=%s token=%s expires_in=%s",
            "unsaved" if record.unsaved else ("same" if same else "ready"),
            self.account.name,
            token.fingerprint,
            "unknown" if token.expires_at is None else f"{token.expires_at - now:.0f}s",
        )

    def _failed(self, error: ConnectorError, early: bool) -> None:
        self.counts.add("failed_renewals")
        self._error = error
        pause = getattr(error, "retry_after", None)
        if pause is None:
            # A person may bring a login at any moment, so the store is looked at again soon; a client
            # that is refused is not written down there and must not become a storm.
            pause = (
                1.0 if isinstance(error, NotAuthorizedError) and error.code == "needs_authorization" else 5.0
            )
        self._quiet_until = self._clock() + min(pause, 300.0)
        log.log(
            logging.WARNING if early else logging.ERROR,
            "token.failed account=%s code=%s: %s",
            self.account.name,
            error.code,
            error,
        )

    def _again(self, error: ConnectorError, now: float) -> ConnectorError:
        copy = _copy(error)
        if isinstance(copy, RenewalError):
            copy.retry_after = max(0.0, self._quiet_until - now)
        return copy

    def _slow(self) -> RenewalError:
        return RenewalError(
            f"the renewal for account {self.account.name!r} takes longer than {self._patience_s:g} s",
            account=self.account.name,
            code="renewal_slow",
            resolution="it goes on in the background; try again",
            retry_after=1.0,
        )

    def after_fork(self) -> None:
        """In the child: the parent's flight and locks do not exist here; memory is still right."""
        self._flight.reset()
        self.counts.lock = threading.Lock()


def _copy(error: ConnectorError) -> ConnectorError:
    rebuild, args = error.__reduce__()[:2]
    copy: ConnectorError = rebuild(*args)
    return copy


_sources: weakref.WeakSet[TokenSource] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_sources):
        source.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
