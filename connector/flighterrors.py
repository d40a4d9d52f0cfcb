"""The errors of a renewal's flight, as opposed to those of what was renewed."""

from __future__ import annotations

from connector.account import Account
from connector.errors import ConnectorError, RenewalError


def slow(account: Account, patience_s: float) -> RenewalError:
    """The caller waits no longer."""
    return RenewalError(
        f"the renewal for account {account.name!r} takes longer than {patience_s:g} s",
        account=account.name,
        code="renewal_slow",
        resolution="it goes on in the background; try again",
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
    """A copy without traceback, since its frames hold secrets, and for each who waits one of his own."""
    rebuild, args = error.__reduce__()[:2]
    copy: ConnectorError = rebuild(*args)
    return copy


def again(error: ConnectorError, left_s: float) -> ConnectorError:
    """The same error once more, with the seconds that are left of its pause."""
    copy = copied(error)
    if isinstance(copy, RenewalError):
        copy.retry_after = max(0.0, left_s)
    return copy
