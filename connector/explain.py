"""Why an account is or is not renewed just now, in words: `connector explain`. Holds no secret."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from connector.record import Outcome, Record
from connector.status import Status, status_of
from connector.token import Window
from connector.tokenstore import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that decides when an account is renewed next.

    Attributes:
        status: what `connector status` tells.
        because: why it is or is not renewed now, one sentence.
        next_renewal_at: the earliest moment of the next one, seconds since the epoch; None: none is foreseen.
        lease_ends_at: when the lease of whoever renews ends by itself; None: nobody has it.
        showings: how often the refresh token in doubt was shown; 0: none is in doubt.
        history: the last ten outcomes, the newest last.
    """

    status: Status
    because: str
    next_renewal_at: float | None = None
    lease_ends_at: float | None = None
    showings: int = 0
    history: tuple[Outcome, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: those of the status first, then these (docs/command-line.md)."""
        facts = asdict(self)
        return {**facts.pop("status"), **facts}


def explanation_of(
    account: str,
    record: Record,
    *,
    window: Window,
    now: float,
    interactive: bool,
    auto_refresh: bool,
    local: bool = False,
    lease: Lease | None,
) -> Explanation:
    """Judge a record at a moment."""
    status = status_of(
        account,
        record,
        window=window,
        now=now,
        interactive=interactive,
        auto_refresh=auto_refresh,
        local=local,
        lease=lease,
    )
    because, moment = _because(record, status, window, now, auto_refresh, interactive)
    if local:
        because, moment = "what it shows is made here, without a call, when it is needed", None
    return Explanation(
        status=status,
        because=because,
        next_renewal_at=moment if moment is not None and math.isfinite(moment) else None,
        lease_ends_at=lease.expires_at if lease else None,
        showings=record.spending.attempts if record.spending else 0,
        history=record.history,
    )


def _because(
    record: Record, status: Status, window: Window, now: float, auto_refresh: bool, interactive: bool
) -> tuple[str, float | None]:
    token, works = record.token, status.state in ("ready", "expiring")
    if record.dead:
        return f"its refresh token was refused: {record.dead.words}", None
    if token is None:
        how = (
            "nobody has logged in yet"
            if interactive
            else "no token was fetched yet; the next use fetches one"
        )
        return how, None if interactive else now
    if not auto_refresh:
        return "auto_refresh is off: its token is used to its end and not renewed", None
    if status.holder:
        return f"it is being renewed by {status.holder}", now
    if record.spending and works:
        return (
            "a renewal got no answer, and its token still works: the refresh token is shown again after that",
            window.expired_at(token),
        )
    if record.refused and not works:
        return f"the server refused it, and asking again is no cure: {record.last_failure}", None
    if status.retry_at > now:
        return f"the last renewal failed: {record.last_failure}", status.retry_at
    if interactive and not record.presents:
        return "it has no refresh token: its token is used to its end", None
    if token.expires_at is None and token.learnt_s is None:
        return "the server did not say when its token ends: a 401 of the API will", None
    if status.state == "ready":
        known = "" if token.learnt_s is None else f"; tokens like it have lived {token.learnt_s:.0f} s"
        return f"its token is fresh{known}", window.stale_at(token)
    if status.state == "expiring":
        return "its token is near its end: the next use renews it in the background", now
    return "its token has ended: the next use renews it first", now
