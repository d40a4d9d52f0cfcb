"""The state of an account, as `connector accounts` and `host.status` tell it. Holds no secret."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from connector.record import Record
from connector.token import Window
from connector.tokenstore import Lease

READY, EXPIRING, EXPIRED = "ready", "expiring", "expired"
NEEDS_AUTHORIZATION, IN_DOUBT = "needs_authorization", "in_doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is known of an account without asking anybody on the network.

    Attributes:
        state: ``ready``, ``expiring``, ``expired``, ``needs_authorization`` or ``in_doubt``.
        expires_at: end of the access token, seconds since the epoch; None: unknown, or there is none.
        fingerprint: of the access token, to tell two apart; empty: there is none.
        refreshable: whether there is a refresh token.
        renews: whether it is renewed by itself when it ends.
        scopes: what was granted; None: the server did not say.
        renewals: successful ones since the account was authorized.
        failures: failed ones in a row.
        retry_at: no renewal before this moment; 0: at once.
        refused: code of a refusal that neither waiting nor a login cures; empty: none.
        last_refusal: the last failure in words; empty: none since the last success.
        holder: who holds the lease now; empty: nobody.
    """

    account: str
    state: str
    expires_at: float | None = None
    fingerprint: str = ""
    refreshable: bool = False
    renews: bool = False
    scopes: tuple[str, ...] | None = None
    renewals: int = 0
    failures: int = 0
    retry_at: float = 0.0
    refused: str = ""
    last_refusal: str = ""
    holder: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def status_of(
    account: str,
    record: Record,
    *,
    window: Window,
    now: float,
    interactive: bool,
    auto_refresh: bool = True,
    local: bool = False,
    lease: Lease | None,
) -> Status:
    """Judge a record at a moment.

    Args:
        local: its tokens are made here, without a call.
    """
    token = record.token
    return Status(
        account=account,
        state=READY if local else _state(record, window, now, interactive),
        expires_at=token.expires_at if token and token.access_token else None,
        fingerprint=token.fingerprint if token and token.access_token else "",
        refreshable=bool(record.presents),
        refused=record.refused,
        renews=auto_refresh
        and not record.dead
        and not record.refused
        and (not interactive or bool(record.presents)),
        scopes=token.scopes if token else None,
        renewals=record.renewals,
        failures=record.failures,
        retry_at=record.retry_at if record.retry_at > now else 0.0,
        last_refusal=record.last_failure,
        holder=lease.holder if lease else "",
    )


def _state(record: Record, window: Window, now: float, interactive: bool) -> str:
    token = record.token
    if record.dead or (token is None and interactive):
        return NEEDS_AUTHORIZATION
    if token and token.access_token and now < window.expired_at(token):
        return READY if now < window.stale_at(token) else EXPIRING
    if record.spending:
        return IN_DOUBT
    if interactive and not record.presents:
        return NEEDS_AUTHORIZATION
    return EXPIRED
