"""The one thing to ask for a valid token: rings 0 (memory) and 1 (flight) around an account.

A fresh token is handed out with no lock, no await and no I/O: one attribute is read, one number compared. All
else is a flight: one thread that runs `flow.renew` to its end, whoever stops waiting.
"""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from typing import Any

from connector.account import Account
from connector.drive import World, run
from connector.errors import ConnectorError
from connector.finishing import whole
from connector.flight import Flight, landed
from connector.flow import Wish, renew, save_late
from connector.grants import Grant
from connector.holding import PEEK_S, Holding
from connector.holding import Counts as Counts
from connector.landing import Landing, again, broken, copied, same, slow, threadless, unsaved
from connector.lives import forks, linger, settles
from connector.observe import here, lasting, tell, waiting, watch, who
from connector.observing import end_renewal, fail_renewal
from connector.token import Token, Window
from connector.wish import REFUSED_AGAIN, usable

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
            # Bounded without a timer of the event loop: the flow's own patience and the token call's
            # timeouts end the flight, and cancelling this task ends the waiting.
            with waiting(self.account):
                await landed(found)
            token = self._landed(found, fresh, looks)
            if token is not None and not (fresh and self._stale(token) and looks < 2):
                return token

    def renew_now(self, *, force: bool = False) -> Token:
        """Renew whatever the state of the token; what `connector refresh` does.

        Args:
            force: also during a pause, and when a refresh token in doubt would be shown again while the
                access token still works.
        """
        record = self._world.load()
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
            with contextlib.suppress(ConnectorError):
                self._record = run(save_late(record), self._world)

    def _look(self, fresh: bool, *, inline: bool = False) -> Token | Future[Landing]:
        """The token at hand, or the flight to wait for."""
        held, now = self._held, self._ticks()
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
            token = self._world.load().token
            return token.fingerprint if token is not None else ""
        return ""

    def _peek(self, error: ConnectorError) -> Landing:
        """During a pause: whether a person or another process has mended it meanwhile. No token call."""
        with self._lock:
            before, epoch, rejected = self._record, self._epoch, self._rejected
        landing = Landing(
            rejected=rejected, epoch=epoch, error=again(error, self._quiet_until - self._ticks())
        )
        with contextlib.suppress(ConnectorError):
            record = self._world.load()
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
        super().after_fork()
