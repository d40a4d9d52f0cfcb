"""What a renewal is asked for, and whether a record answers it or forbids it: judgements, no effects."""

from __future__ import annotations

from dataclasses import dataclass

from connector.account import Account
from connector.errors import NotAuthorizedError, RenewalError
from connector.finishing import whole
from connector.grants import Grant
from connector.moment import Moment
from connector.record import Record, Spending
from connector.token import Held, Token, Window
from connector.verdict import login_needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a renewal is asked for.

    Attributes:
        holder: name of this process in leases and journals.
        have: the record in this process's memory; None: nothing yet.
        held: its token, with its ends by the steady clock; None: it is not in memory, or was refused.
        rejected: fingerprint of an access token that the API refused; empty: none.
        unproven: nobody here has seen that token work.
        worked_s: how old the token in memory was when the API last took it.
        early: renew although the token at hand still works.
        forced: a person asks in spite of a pause.
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
    held: Held | None = None
    rejected: str = ""
    unproven: bool = False
    worked_s: float = 0.0
    early: bool = False
    on_demand: bool = False
    forced: bool = False
    patience_s: float = 50.0  # longer than a lease: a holder that died costs its heirs time, not an error
    lease_s: float = 45.0
    call_s: float = 32.0
    jitter: float = 0.5


def usable(
    token: Token | None, window: Window, now: Moment, *, rejected: str = "", held: Held | None = None
) -> bool:
    """Whether a token can be handed out. The one in memory is judged by the steady clock (`held`)."""
    return (
        token is not None
        and bool(token.access_token)
        and now.steady < (held or window.hold(token, now)).expired_at
        and (not rejected or token.fingerprint != rejected)
    )


def held_of(wish: Wish, record: Record, now: Moment) -> Held | None:
    """The token of a record with its ends: as memory has it, else by the store's clock, else by ours."""
    token = record.token
    if token is None or (wish.held is not None and wish.held.speaks_of(token)):
        return wish.held
    return wish.window.hold(token, now, since=record.since)


def answers(wish: Wish, record: Record, now: Moment) -> bool:
    """Whether the token of a record is what was asked for."""
    held = held_of(wish, record, now)
    if not usable(record.token, wish.window, now, rejected=wish.rejected, held=held):
        return False
    if not whole(wish.account, record.token):
        return False
    if not wish.early:
        return True
    mine = wish.have.token.fingerprint if wish.have and wish.have.token else ""
    assert held is not None
    # Somebody renewed since: take theirs. Otherwise only a fresh one makes an early renewal needless.
    return held.token.fingerprint != mine or now.steady < held.stale_at


_NEAR_S = 5.0


def puzzles(wish: Wish, record: Record, now: Moment) -> bool:
    """Whether a token comes from the future by our clock: how old it is, only the store's can tell."""
    token = record.token
    if token is None or (wish.held is not None and wish.held.speaks_of(token)):
        return False
    return record.since is None and token.obtained_at > now.at + _NEAR_S


def unfinished(wish: Wish, record: Record, now: Moment) -> bool:
    """Whether a token is good, and only lacks what it needs before it can be used."""
    held = held_of(wish, record, now)
    good = usable(record.token, wish.window, now, rejected=wish.rejected, held=held)
    return good and not whole(wish.account, record.token)


def hopeless(wish: Wish, record: Record, now: float, *, renews: bool = True) -> None:
    """Raise what forbids a renewal.

    Args:
        now: by the wall clock; under the lease by the store's.
        renews: whether there is to be another token; False: the one at hand is made usable.
    """
    account = wish.account
    if record.dead:
        raise login_needed(account, record)
    if renews and not account.auto_refresh and record.token is not None:
        raise NotAuthorizedError(
            f"the token of account {account.name!r} has expired",
            account=account.name,
            code="auto_refresh_off",
            reason="auto_refresh is off in the manifest",
            resolution=f"set `auto_refresh: true`, or run `connector refresh {account.name}`",
        )
    left_s = record.pause_left_s(now)
    if left_s and not wish.forced:
        raise RenewalError(
            f"the token of account {account.name!r} could not be renewed",
            account=account.name,
            code="in_doubt" if record.spending else "",
            reason=record.last_failure,
            resolution=f"the next attempt may be made in {max(1, round(left_s))} s",
            retry_after=left_s,
        )


def struck(wish: Wish, record: Record, now: float) -> None:
    """Not after a growing pause, where the API refuses each new token. `now`: by the store's clock."""
    if not wish.unproven or not record.strikes or record.token is None:
        return
    left_s = record.renewed_at + min(300.0, 2.0 ** min(record.strikes, 9)) - now
    if record.token.fingerprint == wish.rejected and 0 < left_s <= 300.0:
        raise RenewalError(
            f"the API refuses each new token of account {wish.account.name!r}",
            account=wish.account.name,
            code="refused_again",
            reason=f"{record.strikes} in a row were refused before anybody saw them work",
            resolution="look why the API refuses them: another token is no cure",
            retry_after=left_s,
        )


REFUSED_AGAIN = "refused_again"


def doubtful(wish: Wish, record: Record, now: Moment, at: float) -> None:
    """Raise where a doubt forbids it: under the lease, since before it a renewal may be under way elsewhere.

    `at`: `now` by the store's clock.
    """
    if record.spending is None or _settles(wish, record.spending, at):
        return
    rejected = "" if wish.on_demand else wish.rejected
    held = held_of(wish, record, now)
    if usable(record.token, wish.window, now, rejected=rejected, held=held):
        # Showing it again could end the family, and with it the access token that still works.
        assert held is not None
        raise RenewalError(
            f"the renewal of account {wish.account.name!r} is in doubt; its token still works",
            account=wish.account.name,
            code="in_doubt",
            reason=record.last_failure or f"{record.spending.holder} may have shown the refresh token",
            retry_after=held.expired_at - now.steady,
        )


def _settles(wish: Wish, spending: Spending, now: float) -> bool:
    """Whether one careful attempt settles a doubt: the server says that it still knows the old token."""
    grace_s = wish.account.endpoint.refresh.grace_s
    return spending.attempts < 2 and 0 <= now - spending.at < grace_s
