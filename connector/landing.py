"""What the flight of a renewal brings to those who wait for it; an error is a value here.

So no traceback, whose frames hold secrets, travels from the flight's thread to those who wait.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.account import Account
from connector.errors import ConnectorError, RenewalError, StoreError
from connector.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What a flight brought, and what it was asked for.

    Attributes:
        unfinished: a record that is in memory only, whose token cannot be used yet; `error` says so.
        called: it made a token call.
    """

    record: Record | None = None
    unfinished: Record | None = None
    error: ConnectorError | None = None
    rejected: str = ""
    early: bool = False
    epoch: int = 0
    called: bool = False


def same(before: Record | None, record: Record) -> bool:
    """Whether two records have the same access token."""
    old = before.token if before is not None else None
    return old is not None and record.token is not None and old.fingerprint == record.token.fingerprint


def broken(account: Account, error: Exception) -> RenewalError:
    """The error for a mistake of ours, or of a plugin."""
    return RenewalError(
        f"the renewal for account {account.name!r} broke off",
        account=account.name,
        code="internal",
        reason=f"an unexpected {type(error).__name__}",
        resolution="please report it",
        retry_after=5.0,
    )


def unsaved(account: Account) -> StoreError:
    """The error for a token that the store did not take, and that still needs calls before it can be used."""
    return StoreError(
        f"the new token of account {account.name!r} cannot be saved",
        code="store_failed",
        reason="it needs further calls before it can be used, and they are not made before it is saved",
        resolution="bring the store back before this process ends",
    )


def slow(account: Account, patience_s: float) -> RenewalError:
    """The error for a caller whose patience is over."""
    return RenewalError(
        f"the renewal for account {account.name!r} takes longer than {patience_s:g} s",
        account=account.name,
        code="renewal_slow",
        resolution="it goes on in the background; try again",
        retry_after=1.0,
    )


def itself(account: Account) -> RenewalError:
    """Something that runs in the renewal's own thread asks for its token: a log handler, a ``__del__``."""
    return RenewalError(
        f"the token of account {account.name!r} is asked for by its own renewal",
        account=account.name,
        code="renewal_slow",
        reason="it would wait for itself",
        resolution="make no request of an account in a handler of its log, or in a `__del__`",
        retry_after=1.0,
    )


def threadless(account: Account) -> RenewalError:
    """There is no thread that could renew."""
    return RenewalError(
        f"the token of account {account.name!r} cannot be renewed in the background",
        account=account.name,
        code="no_thread",
        reason="no thread can be started: the interpreter ends, or the system has no more",
        resolution="ask for the token before the program ends; look at the limits of the system",
        retry_after=1.0,
    )


def copied(error: ConnectorError) -> ConnectorError:
    """A copy for each who waits: one exception raised in many threads would share a traceback."""
    rebuild, args = error.__reduce__()[:2]
    copy: ConnectorError = rebuild(*args)
    return copy


def again(error: ConnectorError, left_s: float) -> ConnectorError:
    """The same answer once more, with the seconds that are left."""
    copy = copied(error)
    if isinstance(copy, RenewalError):
        copy.retry_after = max(0.0, left_s)
    return copy
