"""The one thing to ask for a valid token: rings 0 (memory) and 1 (flight) around an account.

A fresh token is handed out with no lock, no await and no I/O: one attribute is read, one number compared. All
else is a flight: one thread that runs `flow.renew` to its end, whoever stops waiting.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from typing import Any

from connector.account import Account
from connector.drive import World, look, run
from connector.errors import ConnectorError
from connector.finishing import whole
from connector.flight import Flight, landed
from connector.flow import Wish, renew
from connector.grants import Grant
from connector.holding import PEEK_S, Holding
from connector.holding import Counts as Counts
from connector.landing import Landing, again, broken, copied, itself, same, slow, threadless, unsaved
from connector.lives import forks, leaving, linger, settles
from connector.observe import here, lasting, tell, waiting, watch, who
from connector.observing import end_renewal, fail_renewal
from connector.saving import save_late
from connector.token import Token, Window
from connector.wish import REFUSED_AGAIN, usable

_BRING_S, _BRING_MOST_S = 0.25, 1.0  # within the time that an heir listens (`flow._listen`)
_TOLD_S = 60.0  # how often the log says that the store still does not take it
_LOOKS = 3  # how often a caller whose flight was given up looks for another


class TokenSource(Holding):
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
        super().__init__(account, world, window)
        self._grant = grant
        self._patience_s = patience_s
        self._flight: Flight[Landing] = Flight(f"connector-renew-{account.name}")
        self._stirred = threading.Event()  # for those who bring the store what it did not take
        self._behind: Flight[None] = Flight(f"connector-save-{account.name}")
        forks(settles(self))
        watch(self)

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
            with waiting(self.account):
                await landed(found, self._patience_s)
            if not found.done():
                raise slow(self.account, self._patience_s)
            token = self._landed(found, fresh, looks)
            if token is not None and not (fresh and self._stale(token) and looks < 2):
                return token

    def renew_now(self, *, force: bool = False) -> Token:
        """Renew whatever the state of the token; what `connector refresh` does.

        Args:
            force: also during a pause, and when a refresh token in doubt would be shown again while the
                access token still works.
        """
        if self._flight.mine:
            raise itself(self.account)
        record = look(self._world)
        rejected = record.token.fingerprint if record.token else ""
        account, origin = replace(self.account, auto_refresh=True), here()
        while True:
            future = self._flight.join(
                lambda: self._fly(
                    rejected=rejected, account=account, on_demand=not force, forced=force, origin=origin
                ),
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
        flights: tuple[Future[Any] | None, ...] = (self._flight.running, self._notes.running)
        for running in flights:
            if running is not None:
                wait([running], timeout_s)
        record = self._record
        if record is not None and record.unsaved:
            # What is still not taken is brought again and again behind everybody's back (`_bring`).
            behind = self._behind.running
            with contextlib.suppress(ConnectorError):
                self._record = record = run(save_late(record, tries=1 if behind else 5), self._world)
            self._stirred.set()
            if behind is not None and not record.unsaved:
                wait([behind], timeout_s)

    def _look(self, fresh: bool, *, inline: bool = False) -> Token | Future[Landing]:
        """The token at hand, or the flight to wait for."""
        held, now = self._held, self._ticks()
        if held is not None:
            if now < held.stale_at:
                return held.token
            if now < held.expired_at:
                if self._flight.mine or now < self._later_until or not self.account.auto_refresh:
                    return held.token
                future = self._begin(early=True)
                return future if fresh else held.token
        if self._flight.mine:
            raise itself(self.account)
        error = self._error
        if now < self._quiet_until and error is not None:
            if now < self._peek_at:
                raise again(error, self._quiet_until - now)
            self._peek_at = now + PEEK_S
            return self._flight.join(partial(self._peek, error), here=inline)
        return self._begin(early=False, inline=inline)

    def _landed(self, future: Future[Landing], fresh: bool, looks: int) -> Token | None:
        """What a flight brought: a token, None to look again, or its error raised."""
        if future.cancelled():
            return None  # whoever began it was interrupted
        refusal = future.exception()
        if refusal is not None and self._held is not None and self._ticks() < self._held.expired_at:
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
        stands = fresh or landing.early or landing.error.code == REFUSED_AGAIN
        if held is not None and self._ticks() < held.expired_at and stands:
            return held.token
        if landing.early or landing.rejected != self._rejected:
            return None  # it was asked for less than is needed now
        # A copy for each waiter: one exception raised in many threads would share a traceback.
        raise copied(landing.error)

    def _begin(self, *, early: bool, inline: bool = False) -> Future[Landing]:
        rejected, origin = self._rejected, here()
        fly = partial(self._fly, rejected=rejected, early=early, origin=origin)
        return self._flight.join(fly, here=inline)

    def _fly(
        self,
        *,
        rejected: str,
        early: bool = False,
        on_demand: bool = False,
        forced: bool = False,
        account: Account | None = None,
        origin: object | None = None,
    ) -> Landing:
        """One renewal, in the flight's thread. `origin`: what `observe.here` said where it was begun."""
        about = {**who(self.account), "early": early, "rejected": bool(rejected)}
        renewal = lasting("connector.renewal", about, parent=origin)
        tell("renewal.started", about)
        with self._lock:
            before, epoch, held = self._record, self._epoch, self._held
            refused = self._refused if rejected and rejected == self._rejected else None
        mine = held or refused
        worked = mine is not None and self._works(mine.token)
        wish = Wish(
            account=account or self.account,
            grant=self._grant,
            window=self._window,
            holder=self._world.holder,
            have=before,
            held=held,
            rejected=rejected,
            unproven=refused is not None and not worked,
            worked_s=self._worked_at - mine.since if mine is not None and worked else 0.0,
            early=early,
            on_demand=on_demand,
            forced=forced,
            jitter=random.random(),  # noqa: S311  # spreads waiters, guards nothing
        )
        calls = self.counts.token_calls
        landing = Landing(rejected=rejected, early=early, epoch=epoch)
        try:
            record = run(renew(wish), self._world)
            if whole(self.account, record.token):
                landing = replace(landing, record=record)
            else:
                landing = replace(landing, unfinished=record, error=unsaved(self.account))
        except ConnectorError as error:
            landing = replace(landing, error=copied(error))
        except Exception as error:
            # Ours to mend; whoever waits still gets an error of the promised kind, without its frames.
            landing = replace(landing, error=broken(self.account, error))
        landing = replace(landing, called=self.counts.token_calls > calls)
        with self._lock:
            if landing.epoch == self._epoch:
                self._take(landing, before)
            unsaved_one = self._record is not None and self._record.unsaved
        if unsaved_one:
            self._behind.join(self._bring)
        if landing.error is not None:
            self._seen = self._stored()
            self.counts.add("failed_renewals", by=landing.error.code != "abandoned")
            fail_renewal(renewal, landing.error, works=early)
        elif landing.record is not None:
            if landing.called and landing.record.renewals:
                self.counts.add("renewals")
            now, unchanged = self._world.clock(), same(before, landing.record)
            end_renewal(
                renewal, landing.record, window=self._window, now=now, called=landing.called, same=unchanged
            )
        return landing

    def _stored(self) -> str:
        """Fingerprint of the token in the store; empty without one."""
        with contextlib.suppress(ConnectorError):
            token = look(self._world).token
            return token.fingerprint if token is not None else ""
        return ""

    def _bring(self) -> None:
        """Bring the store what it did not take, until it does, in a thread of its own.

        There is no other, and whoever finds the journal meanwhile will not wait for long. So neither
        the end of the host ends this nor its being forgotten, only that of the process.
        """
        pause_s, told_at = _BRING_S, -_TOLD_S
        while True:
            last, now = leaving(), time.monotonic()
            world = replace(self._world, hushed=now - told_at < _TOLD_S)
            told_at = told_at if world.hushed else now
            with self._lock:
                record, epoch = self._record, self._epoch
            if record is None or not record.unsaved:
                return
            with contextlib.suppress(ConnectorError):
                brought = run(save_late(record, tries=1), world)
                with self._lock:
                    if epoch == self._epoch and self._record is record:
                        self._record = brought
            if last:
                return
            if self._stirred.wait(pause_s):
                self._stirred.clear()
            pause_s = min(2.0 * pause_s, _BRING_MOST_S)

    def _peek(self, error: ConnectorError) -> Landing:
        """During a pause: whether a person or another process has mended it meanwhile. No token call."""
        with self._lock:
            before, epoch, rejected = self._record, self._epoch, self._rejected
        landing = Landing(
            rejected=rejected, epoch=epoch, error=again(error, self._quiet_until - self._ticks())
        )
        with contextlib.suppress(ConnectorError):
            record = look(self._world)
            good = usable(record.token, self._window, self._world.moment(), rejected=rejected)
            # What is known already is no news, whatever a clock that was set says of its age.
            news = record.token is not None and record.token.fingerprint != self._seen
            if good and news and not record.dead and whole(self.account, record.token):
                landing = replace(landing, record=record, error=None)
                with self._lock:
                    if epoch == self._epoch:
                        self._take(landing, before)
        return landing

    def after_fork(self) -> None:
        """In the child: the parent's flight and locks do not exist here; memory is still right."""
        self._flight.reset()
        self._behind.reset()
        self._stirred = threading.Event()
        super().after_fork()
