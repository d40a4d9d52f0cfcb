"""Ending a login, and asking what a token is worth, as generators of effects."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from connector.effects import Acquire, Await, Delete, Effect, Load, Now, Ready, Release, Reveal
from connector.endpointparts import WITHOUT_CALL
from connector.errors import RenewalError
from connector.inspection import (
    Introspection,
    introspect_request,
    read_introspection,
    read_revoked,
    revoke_request,
)
from connector.record import Record
from connector.signin import good
from connector.token import Token
from connector.tokencall import post
from connector.tokenstore import Lease

_LEASE_S = 45.0
_PATIENCE_S = 50.0
_PAUSE_S = 0.2


def logout(holder: str, *, revoke: bool) -> Generator[Effect, Any, bool]:
    """Revoke and forget; returns whether there was a login.

    Under the lease, so that a renewal elsewhere is not cut in half: what it brings is revoked, not lost.
    A revocation that fails forgets nothing: it can be tried again.
    """
    started: float = yield Now()
    while True:
        lease: Lease = yield Acquire(_LEASE_S)
        if lease.holder == holder:
            break
        now: float = yield Now()
        if now - started > _PATIENCE_S:
            raise RenewalError(
                "the login is being renewed elsewhere",
                code="lease_held",
                reason=f"{lease.holder} holds the lease",
                resolution="try again",
            )
        yield Await(_PAUSE_S, _PAUSE_S)
    try:
        record: Record = yield Load()
        token = record.token
        if token is not None and revoke:
            ready: Ready = yield Reveal()
            if ready.account.grant in WITHOUT_CALL:
                yield Delete()
                return True  # no server issued it, so there is none that could end it
            outcome = yield from post(
                ready,
                lambda ready: revoke_request(ready.account, ready.credentials, token),
                lambda reply, request: read_revoked(ready.account, reply, request.secrets),
            )
            good(ready.account, outcome, what="logout")
        yield Delete()
        return token is not None
    finally:
        yield Release()


def introspect(token: Token) -> Generator[Effect, Any, Introspection]:
    """Ask the server what a token is worth."""
    ready: Ready = yield Reveal()
    outcome = yield from post(
        ready,
        lambda ready: introspect_request(ready.account, ready.credentials, token),
        lambda reply, request: read_introspection(ready.account, reply, request.secrets),
    )
    return good(ready.account, outcome, what="introspection")
