"""Every decision of a renewal, as one pure generator: no I/O, no clock, no lock.

    Load -> newer than mine? done : Lease -> Load again -> journal -> Post -> Save(version) -> Release

It yields effects and is sent their results; a failed effect is thrown into it. `connector.drive` performs
them for real, a test performs them in any order it likes and crashes between any two.

What it promises:
- a refresh token is shown only by the holder of the lease, with time enough left in it for the call, and only
  after the journal says so;
- a reply is saved before anybody uses it, on the version it was made from, or merged with what came between;
- one whose fate is unknown (no answer, 5xx) is *in doubt*: it is tried again, with growing pauses and after
  the journal was counted up, since without an answer there is nothing left to lose;
- a refusal is final only after the store was read once more and still shows the same refresh token.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from connector.account import Account
from connector.effects import (
    Acquire,
    Await,
    Effect,
    Load,
    NoReply,
    Now,
    Ready,
    Release,
    Reveal,
    Save,
    Wait,
)
from connector.errors import ConnectorError, NotAuthorizedError, PluginError, RenewalError, StoreError
from connector.finishing import finish, whole
from connector.grants import Grant
from connector.hooked import obtain, obtains
from connector.record import Record, Spending
from connector.reply import Refusal
from connector.token import Token, Window
from connector.tokencall import token_call
from connector.tokenrequest import TokenRequest
from connector.tokenstore import Lease, VersionConflict
from connector.verdict import failed_later, login_needed, refused

Flow: TypeAlias = Generator[Effect, Any, Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a renewal is asked for.

    Attributes:
        holder: name of this process in leases and journals.
        have: the record in this process's memory; None: nothing yet.
        rejected: fingerprint of an access token that the API refused; empty: none.
        early: renew although the token at hand still works.
        on_demand: a person asks for another token although the one at hand (`rejected`) works; it is not
            put at risk for that.
        patience_s: how long to wait for another holder of the lease.
        lease_s: length of a lease; longer than a token call may take.
        call_s: how long a token call may take at most.
        jitter: 0 to 1, spreads those who wait for a lease.
    """

    account: Account
    grant: Grant
    window: Window
    holder: str
    have: Record | None = None
    rejected: str = ""
    early: bool = False
    on_demand: bool = False
    patience_s: float = 50.0  # longer than a lease: a holder that died costs its heirs time, not an error
    lease_s: float = 45.0
    call_s: float = 32.0
    jitter: float = 0.5


def usable(token: Token | None, window: Window, now: float, *, rejected: str = "") -> bool:
    """Whether a token can be handed out."""
    return (
        token is not None
        and bool(token.access_token)
        and now < window.expired_at(token)
        and (not rejected or token.fingerprint != rejected)
    )


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
            yield from _release()
            raise
        yield from _release()
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


def save_late(have: Record) -> Flow:
    """Save a record that the store failed to take earlier, unless a newer login is there by now."""
    saved = yield from _keep(have, made_from=have.spending.presents if have.spending else "")
    return saved or Record()


def _only_in_memory(wish: Wish, have: Record) -> Flow:
    now: float = yield Now()
    if usable(have.token, wish.window, now, rejected=wish.rejected):
        return have
    raise StoreError(
        f"the renewed token of account {wish.account.name!r} cannot be saved",
        code="store_failed",
        reason="it is in this process's memory only, and the store still fails",
        resolution="bring the store back before this process ends",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leased:
    """The lease is ours. `until`: a token call that begins later may outlive it."""

    ready: Ready
    until: float


def _lease(wish: Wish) -> Generator[Effect, Any, Record | _Leased]:
    """Wait for the lease. Returns it, or a record that makes the renewal needless."""
    started: float = yield Now()
    waited, pause, woken = 0.0, 0.02, 0.02
    ready: Ready | None = None
    while True:
        record: Record = yield Load()
        now: float = yield Now()
        if _answers(wish, record, now):
            return record
        _hopeless(wish, record, now)
        if ready is None:
            # Before the lease, since a vault may be slow and a lease is short.
            ready = yield Reveal()
            now = yield Now()
        lease: Lease = yield Acquire(wish.lease_s)
        if lease.holder == wish.holder:
            # Counted from before the lease began, so that being held up just then errs to the safe side.
            return _Leased(ready=ready, until=now + wish.lease_s - wish.call_s)
        # The pauses are counted too: a clock that was set back must not make this wait for ever.
        if max(now - started, waited) >= wish.patience_s:
            raise RenewalError(
                f"the token of account {wish.account.name!r} is being renewed elsewhere, for too long",
                account=wish.account.name,
                code="lease_held",
                reason=f"{lease.holder} holds the lease",
                retry_after=min(wish.lease_s, max(0.0, lease.expires_at - now)),
            )
        # The first is short for both: who begins to listen only now may have missed the release already.
        took: float = yield Await(pause, woken)
        waited += took
        pause, woken = min(0.5, pause * (1.5 + wish.jitter)), min(_WOKEN_S, woken * (3.5 + wish.jitter))


# A wake-up that is lost on its way costs this much, and so does a holder that died.
_WOKEN_S = 5.0


def _answers(wish: Wish, record: Record, now: float) -> bool:
    if not usable(record.token, wish.window, now, rejected=wish.rejected):
        return False
    if not whole(wish.account, record.token):
        return False
    if not wish.early:
        return True
    mine = wish.have.token.fingerprint if wish.have and wish.have.token else ""
    assert record.token is not None
    # Somebody renewed since: take theirs. Otherwise only a fresh one makes an early renewal needless.
    return record.token.fingerprint != mine or now < wish.window.stale_at(record.token)


def _hopeless(wish: Wish, record: Record, now: float) -> None:
    account = wish.account
    if record.dead:
        raise login_needed(account, record)
    if not account.auto_refresh and record.token is not None:
        raise NotAuthorizedError(
            f"the token of account {account.name!r} has expired",
            account=account.name,
            code="auto_refresh_off",
            reason="auto_refresh is off in the manifest",
            resolution=f"set `auto_refresh: true`, or run `connector refresh {account.name}`",
        )
    if now < record.retry_at <= now + _LONGEST_PAUSE_S:
        raise RenewalError(
            f"the token of account {account.name!r} could not be renewed",
            account=account.name,
            code="in_doubt" if record.spending else "",
            reason=record.last_failure,
            resolution=f"the next attempt may be made in {max(1, round(record.retry_at - now))} s",
            retry_after=record.retry_at - now,
        )


def _doubtful(wish: Wish, record: Record, now: float) -> None:
    """Under the lease only: before it, a journal may as well be that of a renewal under way elsewhere."""
    if record.spending is None or _settles(wish, record.spending, now):
        return
    rejected = "" if wish.on_demand else wish.rejected
    if usable(record.token, wish.window, now, rejected=rejected):
        # Showing it again could end the family, and with it the access token that still works.
        assert record.token is not None
        raise RenewalError(
            f"the renewal of account {wish.account.name!r} is in doubt; its token still works",
            account=wish.account.name,
            code="in_doubt",
            reason=record.last_failure or f"{record.spending.holder} may have shown the refresh token",
            retry_after=wish.window.expired_at(record.token) - now,
        )


def _settles(wish: Wish, spending: Spending, now: float) -> bool:
    """Whether one careful attempt settles a doubt: the server says that it still knows the old token."""
    grace_s = wish.account.endpoint.refresh.grace_s
    return spending.attempts < 2 and 0 <= now - spending.at < grace_s


# A moment further off than any pause was written by a clock that was wrong.
_LONGEST_PAUSE_S = 86_400.0


def _under_lease(wish: Wish, leased: _Leased) -> Generator[Effect, Any, Record | None]:
    """One attempt; None: somebody changed the record in between, look again."""
    record: Record = yield Load()
    now: float = yield Now()
    if _answers(wish, record, now):
        return record
    if usable(record.token, wish.window, now, rejected=wish.rejected) and not whole(
        wish.account, record.token
    ):
        return (yield from _finish(leased, record))
    _doubtful(wish, record, now)
    _hopeless(wish, record, now)
    # A person begins what a person must begin; the hook takes over from there.
    hooked = obtains(wish.account) and (record.token is not None or not wish.grant.interactive)
    request = None if hooked else _request(wish, record, leased.ready)
    if isinstance(request, Token):  # made here, without a call
        return (yield from _keep(record.renewed(request), made_from=record.login, base=record))
    presents = record.presents if request is None else request.presents
    if presents and wish.account.endpoint.refresh.rotates != "never":
        try:
            record = yield Save(record.about_to_spend(holder=wish.holder, now=now))
        except VersionConflict:
            return None
    if hooked:
        made = yield from obtain(leased.ready, record.token, until=leased.until)
        if made is not None:
            return (yield from _conclude(wish, leased, record, made))
    # Whoever was held up for so long that the lease may end during the call does not make it.
    outcome = yield from token_call(
        leased.ready,
        lambda ready: _call(wish, record, ready),
        previous=record.token,
        until=leased.until,
    )
    return (yield from _conclude(wish, leased, record, outcome))


def _conclude(
    wish: Wish, leased: _Leased, record: Record, outcome: Token | Refusal | NoReply
) -> Generator[Effect, Any, Record | None]:
    """What a call brought, saved; or what it did not bring, told."""
    if isinstance(outcome, NoReply):
        yield from failed_later(wish.account, record, outcome.words, in_doubt=outcome.sent)
        return None
    if isinstance(outcome, Token):
        kept = yield from _keep(record.renewed(outcome), made_from=record.login, base=record)
        return kept and (yield from _finish(leased, kept))
    yield from refused(wish.account, wish.grant, record, outcome)
    return None


def _finish(leased: _Leased, record: Record) -> Generator[Effect, Any, Record | None]:
    """What a token that is saved still needs before it can be used."""
    if record.unsaved:
        return record
    return (
        yield from finish(
            leased.ready,
            record,
            lambda fresh, before: _keep(fresh, made_from=before, base=record),
            until=leased.until,
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
        raise login_needed(account, record)
    return request


def _keep(
    fresh: Record, *, made_from: str, base: Record | None = None
) -> Generator[Effect, Any, Record | None]:
    """Save what the server gave; None: a newer login is there.

    The reply exists once in the world, so this does not give up easily. What cannot be saved is returned
    with `unsaved` set, and remembers what it was made from in its journal.
    """
    for attempt in range(_SAVES):
        try:
            saved: Record = yield Save(replace(fresh, unsaved=False, spending=None))
            return saved
        except VersionConflict:
            try:
                current: Record = yield Load()
            except StoreError:
                continue
            if current.login != made_from:
                # A person authorized anew in between: theirs is the login now. Or it is this very record,
                # saved by an attempt whose answer got lost.
                return current if current.login == fresh.login else None
            fresh = replace(fresh, version=current.version)
        except StoreError:
            if attempt < _SAVES - 1:
                yield Wait(0.1 * 4.0 ** min(attempt, 3))
    before = base.spending if base else fresh.spending
    journal = replace(before, presents=made_from) if before else Spending(presents=made_from, holder="", at=0)
    return replace(fresh, unsaved=True, spending=journal)


_SAVES = 5


def _release() -> Generator[Effect, Any, None]:
    with contextlib.suppress(StoreError):  # a lease ends by itself
        yield Release()
