"""Every decision of a renewal, as one pure generator: no I/O, no clock, no lock.

    Load -> newer than mine? done : Lease -> Load again -> journal -> Post -> Save(version) -> Release

It yields effects and is sent their results; a failed effect is thrown into it. `connector.drive` performs
them for real, a test performs them in any order it likes and crashes between any two.

What it promises:
- a refresh token is shown only by the holder of the lease, with time enough left in it for the call, and only
  after the journal says so;
- a reply is saved before anybody uses it, on the version it was made from, or merged with what came between;
- one whose fate is unknown (no answer, 5xx) is *in doubt*: it is tried again, with growing pauses and after
  the journal was counted up, since without an answer nothing is left to lose; that of another only after
  that one was given the time to hear an answer and to save it;
- a refusal is final only after the store was read once more and still shows the same refresh token.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from connector.effects import (
    Acquire,
    Await,
    Effect,
    Load,
    NoReply,
    Now,
    Ready,
    Reveal,
    Save,
)
from connector.errors import ConnectorError, PluginError, RenewalError, StoreError
from connector.finishing import finish, whole
from connector.hooked import obtain, obtains
from connector.moment import Moment
from connector.record import Record, Spending
from connector.reply import Refusal
from connector.saving import keep, release, save_late
from connector.token import Token
from connector.tokencall import private_of, token_call
from connector.tokenrequest import TokenRequest
from connector.tokenstore import Lease, VersionConflict
from connector.verdict import failed_later, login_needed, refused
from connector.wish import Wish as Wish
from connector.wish import answers, doubtful, held_of, hopeless, puzzles, struck, unfinished
from connector.wish import usable as usable

Flow: TypeAlias = Generator[Effect, Any, Record]


def renew(wish: Wish) -> Flow:
    """Return a record with a usable token, renewing it if nobody else has.

    Raises NotAuthorizedError, RenewalError, or the StoreError or SecretMissingError of an effect.
    """
    if wish.have and wish.have.unsaved:
        late = yield from save_late(wish.have)
        if late.unsaved:
            # The store still shows the refresh token that this one replaced: nothing to renew from.
            return (yield from _only_in_memory(wish, late))
    for _ in range(_ROUNDS):
        leased = yield from _lease(wish)
        if isinstance(leased, Record):
            return leased
        try:
            record = yield from _under_lease(wish, leased)
        except GeneratorExit:
            raise  # the process is going down: the lease ends by itself
        except BaseException:
            yield from release()
            raise
        yield from release()
        if record is not None:
            return record
    raise RenewalError(
        f"the record of account {wish.account.name!r} keeps changing",
        account=wish.account.name,
        code="contended",
        reason="others save it at the same time",
        retry_after=1.0,
    )


_ROUNDS = 5


def _only_in_memory(wish: Wish, have: Record) -> Flow:
    now: Moment = yield Now()
    held = held_of(wish, have, now)
    good = usable(have.token, wish.window, now, rejected=wish.rejected, held=held)
    if good and whole(wish.account, have.token):
        return have
    raise StoreError(
        f"the renewed token of account {wish.account.name!r} cannot be saved",
        code="store_failed",
        reason="it is in this process's memory only, and the store still fails",
        resolution="bring the store back before this process ends",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leased:
    """The lease is ours.

    Attributes:
        until: a token call that begins later, by the steady clock, may outlive it.
        ahead_s: what the store's clock is ahead of our steady one. All who share an account share the store's
            clock, so what is written for others to wait for is written by it.
    """

    ready: Ready
    until: float
    ahead_s: float


def _lease(wish: Wish) -> Generator[Effect, Any, Record | _Leased]:
    """Wait for the lease. Returns it, or a record that makes the renewal needless."""
    started: Moment = yield Now()
    waited, pause, woken = 0.0, 0.02, 0.02
    ready: Ready | None = None
    while True:
        record: Record = yield Load()
        now: Moment = yield Now()
        good = answers(wish, record, now)
        if good and not puzzles(wish, record, now):
            return record
        if not good:
            hopeless(wish, record, now.at, renews=not unfinished(wish, record, now))
        if ready is None:
            # Before the lease, since a vault may be slow and a lease is short.
            ready = yield Reveal(spares=not (wish.on_demand or wish.forced or good))
            now = yield Now()
        lease, now, then = yield from _acquire(wish, now)
        if lease.holder == wish.holder:
            return _held(wish, ready, lease, now, then)
        if good:
            return record  # somebody renews it: until that is done it is as good as our clock says
        # The pauses are counted too: where no time goes by, this must not wait for ever.
        if max(now.steady - started.steady, waited) >= wish.patience_s:
            raise RenewalError(
                f"the token of account {wish.account.name!r} is being renewed elsewhere, for too long",
                account=wish.account.name,
                code="lease_held",
                reason=f"{lease.holder} holds the lease",
                retry_after=min(wish.lease_s, max(0.0, lease.expires_at - now.at)),
            )
        # The first is short for both: who begins to listen only now may have missed the release already.
        took: float = yield Await(pause, woken)
        waited += took
        pause, woken = min(0.5, pause * (1.5 + wish.jitter)), min(_WOKEN_S, woken * (3.5 + wish.jitter))


def _acquire(wish: Wish, before: Moment) -> Generator[Effect, Any, tuple[Lease, Moment, Moment]]:
    """Ask for the lease. Returns it, and the moments not long before and after it began.

    Whoever was held up just then cannot tell the store's clock by it, and asks again: it gets longer by that.
    """
    after = before
    for _ in range(_ASKS):
        before = after
        lease: Lease = yield Acquire(wish.lease_s)
        if lease.holder != wish.holder:
            break
        after = yield Now()
        if after.steady - before.steady <= _HELD_UP_S:
            break
    return lease, before, after


_ASKS, _HELD_UP_S = 3, 1.0

# A wake-up that is lost on its way costs this much, and so does a holder that died.
_WOKEN_S = 5.0


def _under_lease(wish: Wish, leased: _Leased) -> Generator[Effect, Any, Record | None]:
    """One attempt; None: somebody changed the record in between, look again."""
    record: Record = yield Load()
    now: Moment = yield Now()
    shared = now.steady + leased.ahead_s
    if record.token is not None and 0 < record.renewed_at <= shared:
        # The store's clock knows how old it is, whatever clock of a machine obtained it.
        record = replace(record, since=now.steady - (shared - record.renewed_at))
    if answers(wish, record, now):
        return record
    ready, server_s = _as_of(now, record, leased.ready)
    leased = replace(leased, ready=ready)
    if unfinished(wish, record, now):
        return (yield from _finish(wish, leased, record))
    doubtful(wish, record, now, shared)
    hopeless(wish, record, shared)
    struck(wish, record, shared)
    if record.spending is not None and record.spending.holder != wish.holder:
        heard = yield from _listen(wish, leased, record, record.spending)
        if heard is None:
            return None
        leased, now = heard
        shared = now.steady + leased.ahead_s
        ready, server_s = _as_of(now, record, leased.ready)
        leased = replace(leased, ready=ready)
    # A person begins what a person must begin; the hook takes over from there.
    hooked = obtains(wish.account) and (record.token is not None or not wish.grant.interactive)
    request = None if hooked else _request(wish, record, ready)
    if isinstance(request, Token):
        fresh = record.renewed(_made(request, record, ready), now=shared)
        kept = yield from keep(fresh, made_from=record.login, base=record)
        return kept and (yield from _finish(wish, leased, kept))
    presents = record.presents if request is None else request.presents
    if presents and wish.account.endpoint.refresh.rotates != "never":
        try:
            record = yield Save(record.about_to_spend(holder=wish.holder, now=shared))
        except VersionConflict:
            return None
    if hooked:
        made = yield from obtain(ready, record.token, until=leased.until)
        if made is not None:
            made = replace(made, private=private_of(ready)) if isinstance(made, Token) else made
            return (yield from _conclude(wish, leased, record, made))
    told: list[float] = []
    # Whoever was held up for so long that the lease may end during the call does not make it.
    outcome = yield from token_call(
        ready,
        lambda ready: _call(wish, record, ready),
        previous=record.token,
        until=leased.until,
        server_s=server_s,
        told=told.append,
    )
    if told:
        record = replace(record, server_clock=told[-1], clock_of=ready.machine)
    return (yield from _conclude(wish, leased, record, outcome))


def _listen(
    wish: Wish, leased: _Leased, record: Record, spending: Spending
) -> Generator[Effect, Any, tuple[_Leased, Moment] | None]:
    """Before the refresh token of another's doubt is shown again: let that one speak.

    It may be calling still, where a store has lost its lease; or it has an answer that the store did not take
    while it was away, and saves it now. Returns the lease made longer, and the moment; None: something came.
    """
    now: Moment = yield Now()
    calls_s = spending.last + wish.call_s - (now.steady + leased.ahead_s)
    left_s = max(_HEARD_S, min(calls_s, wish.call_s))
    while left_s > 0:
        before = now
        took: float = yield Await(min(left_s, _LOOK_S), min(left_s, _WOKEN_S))
        again: Record = yield Load()
        if (again.version, again.login, again.spending) != (record.version, record.login, spending):
            return None
        now = yield Now()
        # Being woken for no reason counts a little too: this must not wait for ever where no time goes by.
        left_s -= max(took, now.steady - before.steady, _LOOK_S / 20)
    lease, now, then = yield from _acquire(wish, now)
    if lease.holder != wish.holder:
        return None
    return _held(wish, leased.ready, lease, now, then), then


_HEARD_S, _LOOK_S = 3.0, 1.0


def _held(wish: Wish, ready: Ready, lease: Lease, now: Moment, then: Moment) -> _Leased:
    """A lease that is ours, by the moments not long before and after it began."""
    return _Leased(
        ready=ready,
        # Counted from before the lease began, so that being held up just then errs to the safe side.
        until=now.steady + wish.lease_s - wish.call_s,
        # And by the answer the store's clock is told, since what comes before it is waited for.
        ahead_s=lease.expires_at - wish.lease_s - then.steady,
    )


def _made(token: Token, record: Record, ready: Ready) -> Token:
    """A token that was made here, without a call: what was found out with the last one stays known."""
    found = {**(record.token.captured if record.token else {}), **token.captured}
    return replace(token, private=private_of(ready), captured=MappingProxyType(found))


def _conclude(
    wish: Wish, leased: _Leased, record: Record, outcome: Token | Refusal | NoReply
) -> Generator[Effect, Any, Record | None]:
    """What a call brought, saved; or what it did not bring, told."""
    if isinstance(outcome, NoReply):
        words, in_doubt = outcome.words, outcome.sent
        yield from failed_later(wish.account, record, words, in_doubt=in_doubt, ahead_s=leased.ahead_s)
        return None
    if isinstance(outcome, Token):
        came: Moment = yield Now()
        fresh = record.renewed(
            outcome,
            now=came.steady + leased.ahead_s,
            worked_s=wish.worked_s,
            unproven=wish.unproven and record.token is not None and record.token.fingerprint == wish.rejected,
        )
        # Where a step fails each time, the pauses grow although each time there is a new token.
        failures = 0 if whole(wish.account, outcome) else record.failures
        fresh = replace(fresh, since=came.steady, failures=failures)
        kept = yield from keep(fresh, made_from=record.login, base=record)
        return kept and (yield from _finish(wish, leased, kept))
    yield from refused(wish.account, wish.grant, record, outcome, ahead_s=leased.ahead_s)
    return None


def _as_of(now: Moment, record: Record, ready: Ready) -> tuple[Ready, float]:
    """What calls are made of as of now, and what the server's clock is ahead of ours as far as is known."""
    mine = bool(record.clock_of) and record.clock_of == ready.machine
    server_s = record.server_clock if mine else 0.0
    return replace(ready, credentials=replace(ready.credentials, now=now.at + server_s)), server_s


def _finish(wish: Wish, leased: _Leased, record: Record) -> Generator[Effect, Any, Record | None]:
    """What a token that is saved still needs before it can be used; one that is not saved stays as it is."""
    return (
        yield from finish(
            leased.ready,
            record,
            # No step settles a doubt about the refresh token, so the journal stays.
            lambda fresh, before: keep(fresh, made_from=before, base=record, journal=fresh.spending),
            until=leased.until,
            ahead_s=leased.ahead_s,
            alone=not wish.grant.interactive,
        )
    )


def _call(wish: Wish, record: Record, ready: Ready) -> TokenRequest:
    request = _request(wish, record, ready)
    assert isinstance(request, TokenRequest), "a grant that makes a call makes it again for a nonce"
    return request


def _request(wish: Wish, record: Record, ready: Ready) -> TokenRequest | Token:
    grant, account, credentials = wish.grant, ready.account, ready.credentials
    try:
        if record.token:
            request = grant.renew(account, record.token, credentials)
        else:
            request = grant.obtain(account, credentials)
    except ConnectorError:
        raise
    except Exception as error:  # a stranger's plugin; its words may hold a secret, its kind does not
        raise PluginError(
            f"the grant {grant.name!r} failed for account {account.name!r}",
            owner=type(grant).__module__,
            hook="grants",
            reason=type(error).__name__,
        ) from None
    if request is None:
        had = wish.have is not None and wish.have.token is not None
        raise login_needed(account, record, had=had)
    return request
