"""What a new token still needs before it can be used, as a generator of effects: ``exchange``, ``discover``.

Rules of this room: the token is in the store before any of this begins. A crash in between costs nothing:
whoever comes next goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from connector.account import Account
from connector.effects import Effect, NoReply, Ready
from connector.endpointparts import StepSpec
from connector.hooked import connect, connects
from connector.record import Record
from connector.reply import Refusal
from connector.steps import left, read_exchange, read_step, step_request, words
from connector.token import Token
from connector.tokencall import post
from connector.verdict import failed_later

Keep = Callable[[Record, str], Generator[Effect, Any, Record | None]]


def whole(account: Account, token: Token | None) -> bool:
    """Whether a token needs nothing more before it can be used."""
    return token is not None and not left(account, token) and not connects(account, token)


def finish(
    ready: Ready, record: Record, keep: Keep, *, until: float, ahead_s: float = 0.0, alone: bool = True
) -> Generator[Effect, Any, Record | None]:
    """Make the calls that are left; None: a newer login is there.

    A record that the store did not take comes back as it is, with calls left: an error would lose it.

    Args:
        keep: saves a record, given the login it was made from; None: a newer one is there.
        until: a call that begins later, by the steady clock, is not made.
        ahead_s: what the store's clock is ahead of our steady one.
        alone: whether another token can be had without a person.

    Raises RenewalError ``step_failed``; what was reached until then is saved.
    """
    account = ready.account
    while not record.unsaved and not whole(account, record.token):
        token, before = record.token, record.login
        assert token is not None, "a renewal brought it"
        steps, exchanging = left(account, token), token.exchanges_left > 0
        asks_hook = connects(account, token) and not exchanging
        if asks_hook:
            outcome = yield from connect(ready, token, until=until)
        else:
            outcome = yield from _call(ready, steps[0], token, exchanging=exchanging, until=until)
        if not isinstance(outcome, Token):
            what = "running the hook after_connect" if asks_hook else words(steps[0])
            ends = _ends(outcome, record, exchanging=exchanging, alone=alone)
            yield from _failed(account, record, what, outcome, ends=ends, ahead_s=ahead_s)
            return None
        record = replace(record, token=outcome)
        if whole(account, outcome):
            record = record.finished()
        if exchanging or whole(account, outcome):
            # What an exchange brought may exist only once; what was found out can be found out again.
            kept = yield from keep(record, before)
            if kept is None:
                return None
            record = kept
    return record


def _call(
    ready: Ready, step: StepSpec, token: Token, *, exchanging: bool, until: float
) -> Generator[Effect, Any, Token | Refusal | NoReply]:
    read = read_exchange if exchanging else read_step
    return (
        yield from post(
            ready,
            lambda ready: step_request(ready.account, step, token, ready.credentials),
            lambda reply, request: read(ready.account, step, token, reply, request),
            until=until,
        )
    )


def _ends(outcome: Refusal | NoReply, record: Record, *, exchanging: bool, alone: bool) -> bool:
    """Whether nothing comes of showing the token again, so that the next attempt begins with another one."""
    if not isinstance(outcome, Refusal):
        return False
    if exchanging:
        return outcome.kind in ("login", "client", "scope")
    return outcome.status == 401 and (alone or bool(record.presents))


def _failed(
    account: Account,
    record: Record,
    what: str,
    outcome: Refusal | NoReply,
    *,
    ends: bool,
    ahead_s: float,
) -> Generator[Effect, Any, None]:
    said = outcome.words if isinstance(outcome, NoReply) else outcome.words()
    if isinstance(outcome, Refusal) and outcome.kind == "protocol" and outcome.status < 300:
        said = outcome.description  # the server said yes, and not enough
    if ends and record.token is not None:
        ended = replace(record.token, expires_at=record.token.obtained_at, exchanges_left=0)
        record = replace(record, token=ended)
    asked = outcome.retry_after_s if isinstance(outcome, Refusal) else None
    yield from failed_later(
        account,
        record,
        f"{what}: {said}",
        in_doubt=record.spending is not None,  # no step settles a doubt about the refresh token
        asked_s=asked,
        code="step_failed",
        message=f"account {account.name!r} has a token that cannot be used yet",
        ahead_s=ahead_s,
    )
