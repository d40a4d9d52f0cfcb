"""Every decision of a renewal, as one pure generator: no I/O, no clock, no lock.

    Load -> newer than mine? done : Lease -> Load again -> journal -> Post -> Save(version) -> Release

It yields effects and is sent their results; a failed effect is thrown into it. `connector.drive` performs
them for real, a test performs them in any order it likes and crashes between any two.

What it promises:
- a refresh token is shown only by the holder of the lease, and only after the journal says so;
- a reply is saved before anybody uses it, on the version it was made from, or merged with what came between;
- one whose fate is unknown (no answer, 5xx) is *in doubt*: it is tried again, with growing pauses and after
  the journal was counted up, since without an answer there is nothing left to lose;
- a refusal is final only after the store was read once more and still shows the same refresh token.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from connector.account import Account
from connector.errors import NotAuthorizedError, RenewalError, StoreError
from connector.grants import Grant, TokenRequest
from connector.record import Record
from connector.reply import Refusal, Reply, read_reply
from connector.secret import Secret
from connector.token import Token, Window
from connector.tokenstore import Lease, VersionConflict


@dataclass(frozen=True, slots=True)
class Now:
    """Effect: the time, seconds since the epoch. Result: float."""


@dataclass(frozen=True, slots=True)
class Load:
    """Effect: read the record. Result: Record (version 0 when there is none)."""


@dataclass(frozen=True, slots=True)
class Save:
    """Effect: save `record` as its version plus one. Result: the Record with that version."""

    record: Record


@dataclass(frozen=True, slots=True)
class Acquire:
    """Effect: take or extend the lease. Result: the Lease in force."""

    ttl_s: float


@dataclass(frozen=True, slots=True)
class Release:
    """Effect: give the lease back. Result: None."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """Effect: resolve the client secret. Result: Secret, or None for a public client."""


@dataclass(frozen=True, slots=True)
class Post:
    """Effect: make the token call. Result: Reply, or NoReply when there was none."""

    request: TokenRequest


@dataclass(frozen=True, slots=True)
class Wait:
    """Effect: let time pass. Result: None."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReply:
    """The token call brought no reply.

    Attributes:
        sent: False only when the request provably never reached the server.
        words: what happened, without secrets.
    """

    sent: bool
    words: str


Effect: TypeAlias = Now | Load | Save | Acquire | Release | Reveal | Post | Wait
Flow: TypeAlias = Generator[Effect, Any, Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a renewal is asked for.

    Attributes:
        holder: name of this process in leases and journals.
        have: the record in this process's memory; None: nothing yet.
        rejected: fingerprint of an access token that the API refused; empty: none.
        early: renew although the token at hand still works.
        patience_s: how long to wait for another holder of the lease.
        lease_s: length of a lease; longer than a token call may take.
    """

    account: Account
    grant: Grant
    window: Window
    holder: str
    have: Record | None = None
    rejected: str = ""
    early: bool = False
    patience_s: float = 40.0
    lease_s: float = 45.0
    jitter: float = field(default=0.5)


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
        yield from _keep(wish.have, base=wish.have)
    started: float = yield Now()
    pause = 0.02
    while True:
        record: Record = yield Load()
        now: float = yield Now()
        if _answers(wish, record, now):
            return record
        _hopeless(wish, record, now)
        lease: Lease = yield Acquire(wish.lease_s)
        if lease.holder == wish.holder:
            break
        if now - started >= wish.patience_s:
            raise RenewalError(
                f"the token of account {wish.account.name!r} is being renewed elsewhere, for too long",
                account=wish.account.name,
                code="lease_held",
                reason=f"{lease.holder} holds the lease",
                retry_after=max(0.0, lease.expires_at - now),
            )
        yield Wait(pause)
        pause = min(0.5, pause * (1.5 + wish.jitter))
    try:
        record = yield from _under_lease(wish)
    except GeneratorExit:
        raise  # the process is going down: the lease ends by itself
    except BaseException:
        yield from _release()
        raise
    yield from _release()
    return record


def _answers(wish: Wish, record: Record, now: float) -> bool:
    if not usable(record.token, wish.window, now, rejected=wish.rejected):
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
    if record.spending and usable(record.token, wish.window, now, rejected=wish.rejected):
        # Showing it again could end the family, and with it the access token that still works.
        assert record.token is not None
        raise RenewalError(
            f"the renewal of account {account.name!r} is in doubt; its token still works",
            account=account.name,
            code="in_doubt",
            reason=record.last_failure or f"{record.spending.holder} may have shown the refresh token",
            retry_after=wish.window.expired_at(record.token) - now,
        )
    if record.retry_at > now:
        raise RenewalError(
            f"the token of account {account.name!r} could not be renewed",
            account=account.name,
            code="in_doubt" if record.spending else "",
            reason=record.last_failure,
            resolution=f"it is tried again in {record.retry_at - now:.0f} s",
            retry_after=record.retry_at - now,
        )


def login_needed(account: Account, record: Record) -> NotAuthorizedError:
    """The error for a login that is dead or was never there."""
    how = f"run `connector adopt {account.name}` with a token reply"
    if record.dead:
        return NotAuthorizedError(
            f"account {account.name!r} must be authorized again",
            account=account.name,
            reason=f"its refresh token was refused: {record.dead.words}",
            resolution=how,
        )
    missing = "it has no refresh token" if record.token else "nobody has authorized it yet"
    return NotAuthorizedError(
        f"account {account.name!r} must be authorized", account=account.name, reason=missing, resolution=how
    )


def _under_lease(wish: Wish) -> Flow:
    record: Record = yield Load()
    now: float = yield Now()
    if _answers(wish, record, now):
        return record
    _hopeless(wish, record, now)
    secret: Secret | None = yield Reveal()
    grant = wish.grant
    request = (
        grant.renew(wish.account, record.token, secret)
        if record.token
        else grant.obtain(wish.account, secret)
    )
    if request is None:
        raise login_needed(wish.account, record)
    if request.presents and wish.account.endpoint.refresh.rotates != "never":
        record = yield Save(record.about_to_spend(holder=wish.holder, now=now))
    reply: Reply | NoReply = yield Post(request)
    if isinstance(reply, NoReply):
        return (yield from _no_reply(wish, record, reply))
    outcome = read_reply(wish.account, reply, previous=record.token, secrets=request.secrets)
    if isinstance(outcome, Token):
        return (yield from _keep(record.renewed(outcome), base=record))
    return (yield from _refused(wish, record, outcome))


def _keep(fresh: Record, *, base: Record) -> Flow:
    """Save what the server gave. The reply exists once in the world, so this does not give up easily."""
    for attempt in range(4):
        try:
            saved: Record = yield Save(replace(fresh, unsaved=False))
            return saved
        except VersionConflict:
            current: Record = yield Load()
            if current.presents != base.presents:
                return current  # a person authorized anew in between: theirs is the login now
            fresh = replace(fresh, version=current.version)
        except StoreError:
            if attempt < 3:
                yield Wait(0.1 * 4**attempt)
    return replace(fresh, unsaved=True)


def _no_reply(wish: Wish, record: Record, reply: NoReply) -> Flow:
    error = yield from _later(wish, record, reply.words, in_doubt=reply.sent, asked_s=None)
    raise error


def _refused(wish: Wish, record: Record, refusal: Refusal) -> Flow:
    account = wish.account
    if refusal.kind == "later":
        error = yield from _later(
            wish, record, refusal.words(), in_doubt=refusal.spent, asked_s=refusal.retry_after_s
        )
        raise error
    if refusal.kind in ("login", "client") and record.presents:
        current: Record = yield Load()
        if current.presents != record.presents and current.token is not None:
            return current  # someone brought a new login while we were asking with the old one
    if refusal.kind == "login" and record.presents:
        now: float = yield Now()
        words = refusal.words()
        if record.spending and record.spending.attempts > 1:
            words += "; an earlier attempt got no answer, so the server may have replaced it then"
        dead = record.died(words, now=now)
        yield from _note(dead)
        raise login_needed(account, dead)
    yield from _note(replace(record, spending=None))
    raise _misfit(account, refusal)


def _misfit(account: Account, refusal: Refusal) -> NotAuthorizedError | RenewalError:
    """Errors that neither waiting nor logging in again cures."""
    name, said = account.name, refusal.words()
    if refusal.kind == "client":
        return NotAuthorizedError(
            f"the server does not accept the client of account {name!r}",
            account=name,
            code="client_refused",
            reason=said,
            resolution="check Client ID, Client Secret and whether it wants Basic authentication",
        )
    if refusal.kind == "scope":
        return NotAuthorizedError(
            f"the server does not grant the scopes of account {name!r}",
            account=name,
            code="scope_refused",
            reason=said,
            resolution="check `scopes:` and what the client may ask for at the server",
        )
    if refusal.kind == "login":
        return NotAuthorizedError(
            f"the server refused a token to account {name!r}",
            account=name,
            code="refused",
            reason=said,
            resolution="check the client's permissions and the grant at the server",
        )
    return RenewalError(
        f"the token endpoint of account {name!r} gave no token reply",
        account=name,
        code="bad_token_reply",
        reason=said,
        resolution="check the OAuth2 Token URL",
    )


def _later(
    wish: Wish, record: Record, words: str, *, in_doubt: bool, asked_s: float | None
) -> Generator[Effect, Any, RenewalError]:
    now: float = yield Now()
    pause = asked_s if asked_s is not None else min(300.0, 2.0 ** min(record.failures, 9))
    failed = record.failed(words, retry_at=now + pause, in_doubt=in_doubt)
    yield from _note(failed)
    return RenewalError(
        f"the token of account {wish.account.name!r} could not be renewed",
        account=wish.account.name,
        code="in_doubt" if failed.spending else "",
        reason=words,
        retry_after=pause,
    )


def _note(record: Record) -> Generator[Effect, Any, None]:
    """Save bookkeeping. Losing it costs another attempt, so a failing store must not hide the real error."""
    with contextlib.suppress(StoreError):
        yield Save(record)


def _release() -> Generator[Effect, Any, None]:
    with contextlib.suppress(StoreError):  # a lease ends by itself
        yield Release()
