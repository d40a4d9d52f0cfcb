"""What a renewal brings into the store, and how it lets go: generators of effects.

Rules of this room: a server's answer exists once in the world, so nothing here gives up easily.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from connector.effects import Acquire, Effect, Load, Release, Save, Wait
from connector.errors import StoreError
from connector.record import Record, Spending
from connector.token import Token
from connector.tokenstore import Lease, VersionConflict

_SAVES = 5
_NOTE_S = 10.0


def keep(
    fresh: Record,
    *,
    made_from: str,
    base: Record | None = None,
    journal: Spending | None = None,
    late: bool = False,
    tries: int = _SAVES,
) -> Generator[Effect, Any, Record | None]:
    """Save what the server gave; None: a newer login is there.

    The reply exists once in the world, so this does not give up easily. What cannot be saved is returned
    with `unsaved` set, and remembers what it was made from in its journal.
    """
    for attempt in range(tries):
        try:
            saved: Record = yield Save(replace(fresh, unsaved=False, spending=journal))
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
            if fresh.login == made_from:
                # It brings no other refresh token, so what has been written down of that one since stands.
                if late and (current.spending or current.death):
                    return current
                journal = current.spending or journal
        except StoreError:
            if attempt < tries - 1:
                yield Wait(0.1 * 4.0 ** min(attempt, 3))
    before = base.spending if base else fresh.spending
    journal = replace(before, presents=made_from) if before else Spending(presents=made_from, holder="", at=0)
    return replace(fresh, unsaved=True, spending=journal)


def save_late(have: Record, *, tries: int = _SAVES) -> Generator[Effect, Any, Record]:
    """Save a record that the store failed to take earlier, unless a newer login is there by now."""
    made_from = have.spending.presents if have.spending else ""
    saved = yield from keep(have, made_from=made_from, late=True, tries=tries)
    return saved or Record()


def prove(holder: str, token: Token, lived_s: float | None) -> Generator[Effect, Any, Record]:
    """Write down that a token which was fetched because of a refusal works, and what that teaches.

    Under a lease of its own: a save in the middle of somebody's renewal would make that begin again. Nothing
    is lost where the lease is not to be had.
    """
    lease: Lease = yield Acquire(_NOTE_S)
    if lease.holder != holder:
        return Record()
    try:
        record: Record = yield Load()
        if record.token is not None and record.token.fingerprint == token.fingerprint:
            proven = record.proven(lived_s)
            record = (yield Save(proven)) if proven != record else record
    finally:
        yield from release()
    return record


def release() -> Generator[Effect, Any, None]:
    """Give the lease back; one that cannot be given back ends by itself."""
    with contextlib.suppress(StoreError):
        yield Release()
