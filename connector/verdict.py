"""What follows from a token call that brought no token: an error, and what the record says from then on."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from connector.account import Account
from connector.effects import Effect, Load, Now, Save
from connector.errors import NotAuthorizedError, RenewalError, StoreError
from connector.grants import Grant
from connector.moment import Moment
from connector.record import Record
from connector.reply import Refusal
from connector.tokenstore import VersionConflict


def login_needed(account: Account, record: Record, *, had: bool = False) -> NotAuthorizedError:
    """The error for a login that is dead or was never there.

    `had`: this process has used one of the account.
    """
    pasted = account.grant == "bearer"
    how = f"run `connector {'adopt' if pasted else 'login'} {account.name}`"
    if record.dead:
        return NotAuthorizedError(
            f"account {account.name!r} must be authorized again",
            account=account.name,
            reason=f"its refresh token was refused: {record.dead.words}",
            resolution=how,
        )
    missing = "it has no refresh token" if record.token else "nobody has authorized it yet"
    if had and record.token is None:
        missing = "the login it had until now is not in the store any more"
        how = f"see whether somebody has logged out, or the store was emptied or is another one; then {how}"
    return NotAuthorizedError(
        f"account {account.name!r} must be authorized", account=account.name, reason=missing, resolution=how
    )


def refused(
    account: Account, grant: Grant, record: Record, refusal: Refusal, *, ahead_s: float = 0.0
) -> Generator[Effect, Any, None]:
    """What follows from a refusal: an error, or nothing when there is something newer to look at instead.

    `ahead_s`: what the store's clock is ahead of our steady one.
    """
    words = refusal.words()
    if refusal.kind == "later":
        asked_s = refusal.retry_after_s
        yield from failed_later(
            account, record, words, in_doubt=refusal.spent, asked_s=asked_s, ahead_s=ahead_s
        )
        return
    if refusal.kind == "protocol":
        # A truncated reply may have been the one with the successor in it.
        yield from failed_later(
            account, record, words, in_doubt=refusal.spent, code="bad_token_reply", ahead_s=ahead_s
        )
        return
    if record.presents:
        current: Record = yield Load()
        if current.login != record.login and current.token is not None:
            return  # someone brought a new login while we were asking with the old one
    moment: Moment = yield Now()
    now = moment.steady + ahead_s
    if refusal.kind == "login" and record.presents and not grant.interactive:
        # No person is needed for a new login: without the dead refresh token the grant begins anew.
        with contextlib.suppress(VersionConflict):  # then somebody has begun anew already
            yield Save(record.without_refresh_token())
        return
    if refusal.kind == "login" and record.presents:
        if record.spending and record.spending.attempts > 1:
            words += "; an earlier attempt got no answer, so the server may have replaced it then"
        dead = record.died(words, now=now)
        if (yield from note(dead)) is False:
            return  # a holder that was held up has saved what it got after all
        raise login_needed(account, dead)
    error = misfit(account, refusal.kind, words)
    yield from note(record.failed(words, now=now, pause_s=0.0, in_doubt=False, refused=error.code))
    raise error


_TO_CHECK = {
    "password": "check username and password",
    "jwt_bearer": "check the assertion's key, claims and audience, and whether the server knows the key",
    "token_exchange": "check the subject token, and what it may be exchanged for",
    "two_step": "check user name, password and the account's settings",
}


def misfit(account: Account, kind: str, said: str) -> NotAuthorizedError:
    """Errors that neither waiting nor logging in again cures."""
    code, message, resolution = {
        "client": (
            "client_refused",
            "the server does not accept the client of account",
            "check Client ID, Client Secret and whether it wants Basic authentication",
        ),
        "scope": (
            "scope_refused",
            "the server does not grant the scopes of account",
            "check `scopes:` and what the client may ask for at the server",
        ),
        "login": (
            "refused",
            "the server refused a token to account",
            _TO_CHECK.get(account.grant, "check the client's permissions and the grant at the server"),
        ),
    }[kind]
    return NotAuthorizedError(
        f"{message} {account.name!r}", account=account.name, code=code, reason=said, resolution=resolution
    )


def failed_later(
    account: Account,
    record: Record,
    words: str,
    *,
    in_doubt: bool,
    asked_s: float | None = None,
    code: str = "",
    ahead_s: float,
    message: str = "",
) -> Generator[Effect, Any, None]:
    """Write down what failed and when to try again, and raise it.

    Returns when somebody else has saved meanwhile: whoever was held up past the lease finds the token of
    its heir, and has no failure to tell.

    Args:
        in_doubt: whether a single-use refresh token may have been spent.
        asked_s: the pause that the server asked for.
        ahead_s: what the store's clock is ahead of our steady one.
        message: what happened, where it is not that a token could not be had.
    """
    now: Moment = yield Now()
    pause = asked_s if asked_s is not None else min(300.0, 2.0 ** min(record.failures, 9))
    failed = record.failed(words, now=now.steady + ahead_s, pause_s=pause, in_doubt=in_doubt)
    noted = yield from note(failed)
    if noted is False:
        return
    # What nobody can write down grows in memory: a store that takes nothing must not make for a storm.
    growing = noted is None and asked_s is None
    raise RenewalError(
        message
        or f"{'the' if record.token else 'a'} token of account {account.name!r} could not be"
        f" {'renewed' if record.token else 'fetched'}",
        account=account.name,
        code=code or ("in_doubt" if failed.spending else ""),
        reason=words,
        resolution="check the OAuth2 Token URL" if code and not message else "",
        retry_after=None if growing else pause,
    )


def note(record: Record) -> Generator[Effect, Any, bool | None]:
    """Save bookkeeping; False: somebody else has saved since it was read. None: the store does not take it.

    Losing it costs another attempt, so a failing store must not hide the real error.
    """
    try:
        yield Save(record)
    except VersionConflict:
        return False
    except StoreError:
        return None
    return True
