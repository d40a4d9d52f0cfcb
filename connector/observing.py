"""What `connector.observe` is told of token calls, leases, stores and renewals: fields made of our values."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from connector.effects import Effect, NoReply
from connector.errors import ConnectorError, NotAuthorizedError, RenewalError, StoreError
from connector.observe import Field, lasting, tell
from connector.record import Record
from connector.reply import Reply
from connector.template import origin_of
from connector.token import Token, Window
from connector.tokenrequest import TokenRequest
from connector.tokenstore import Lease, VersionConflict


def calling(named: Mapping[str, Field], request: TokenRequest) -> lasting:
    """A token call that begins now. Of its URL only the host is told: a query may hold a secret."""
    scheme, host = urlsplit(request.url).scheme, origin_of(request.url)
    return lasting("connector.token_call", named, host=host, method=request.method, scheme=scheme)


def of_answer(reply: Reply | NoReply) -> dict[str, Field]:
    """What came of a token call."""
    if isinstance(reply, NoReply):
        return {"outcome": "no_answer" if reply.sent else "not_sent", "reason": reply.words}
    return {"status": reply.status, "outcome": "ok" if 200 <= reply.status < 300 else "refused"}


def tell_holder(named: Mapping[str, Field], lease: Lease, mine: str, now: float) -> None:
    """Tell of the lease when it is somebody else's."""
    if lease.holder != mine:
        tell("renewal.waits", named, holder=lease.holder, lease_ends_in_s=lease.expires_at - now)


def tell_store(named: Mapping[str, Field], effect: Effect, error: Exception) -> None:
    """Tell of a store that failed; that another has saved first is none of its failures."""
    if isinstance(error, StoreError) and not isinstance(error, VersionConflict):
        operation = type(effect).__name__.lower()
        tell("store.failed", named, operation=operation, code=error.code, reason=_why(error))


def of_token(token: Token, window: Window, now: float) -> dict[str, Field]:
    """What is told of a token, and when it is renewed next."""
    ends = None if token.expires_at is None else token.expires_at - now
    following = None if token.expires_at is None else window.stale_at(token) - now
    return {"token": token.fingerprint, "expires_in_s": ends, "next_renewal_in_s": following}


def end_renewal(
    renewal: lasting, record: Record, *, window: Window, now: float, called: bool, same: bool
) -> None:
    """A renewal brought a token. `called`: by a token call; `same`: the one that was there before."""
    assert record.token is not None
    fields = of_token(record.token, window, now)
    if record.unsaved:
        renewal.end("token.unsaved", fields)
    elif not called:
        renewal.end("token.loaded", fields)
    else:
        renewal.end("renewal.same" if same else "renewal.done", fields, renewals=record.renewals)


def of_memory(record: Record | None, now: float, login_needed: bool) -> dict[str, float]:
    """What the gauges show of a token in memory."""
    found = {"login_needed": float(login_needed), "unsaved": float(record is not None and record.unsaved)}
    if record is not None and record.token is not None and record.token.expires_at is not None:
        found["remaining_s"] = record.token.expires_at - now
    return found


def needs_login(error: ConnectorError | None, *, before: bool = False) -> bool:
    """Whether a person must log in after this; `before`: whether that was so already."""
    if isinstance(error, NotAuthorizedError) and error.code == NotAuthorizedError.code:
        return True
    return before and error is not None  # a store that is away, say, ends no need


def fail_renewal(renewal: lasting, error: ConnectorError, *, works: bool) -> None:
    """A renewal brought an error. `works`: the token at hand still does."""
    level = logging.WARNING if works else logging.ERROR
    if error.code == "abandoned":
        level = logging.DEBUG  # nobody wanted it any more: at the end of a program a word would only be noise
    fields = {"code": error.code, "reason": _why(error), "resolution": error.resolution}
    if needs_login(error):
        renewal.end("login.needed", fields, level=level)
        return
    pause = error.retry_after if isinstance(error, RenewalError) else None
    final = not isinstance(error, (RenewalError, StoreError))
    renewal.end("renewal.failed", fields, level=level, retry_in_s=pause, final=final)


def _why(error: ConnectorError) -> str:
    return f"{error.message}: {error.reason}" if error.reason else error.message
