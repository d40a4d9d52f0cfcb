"""The five states of an account, judged at a moment that the test chooses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.record import Death, Record, Spending
from connector.secret import Secret
from connector.status import Status, status_of
from connector.token import Token, Window
from connector.tokenstore import Lease

# Obtained at 0, ends at 1000: stale from 800 on, expired from 995 on (a fifth; at most 5 s).
WINDOW = Window()


def token(*, refresh: str = "r", access: str = "a", expires_at: float | None = 1000.0) -> Token:
    return Token(
        access_token=Secret(access),
        obtained_at=0.0,
        expires_at=expires_at,
        refresh_token=Secret(refresh) if refresh else None,
    )


def judged(
    record: Record, now: float = 0.0, *, interactive: bool = True, lease: Lease | None = None
) -> Status:
    return status_of("acme", record, window=WINDOW, now=now, interactive=interactive, lease=lease)


@pytest.mark.parametrize(
    ("now", "state"),
    [(0, "ready"), (799, "ready"), (800, "expiring"), (994, "expiring"), (995, "expired"), (9999, "expired")],
)
@pytest.mark.parametrize("interactive", [True, False])
def test_a_token_ages(now: float, state: str, interactive: bool) -> None:
    """Ready, expiring while it is renewed behind, expired when it is no longer handed out."""
    assert judged(Record(token=token()), now, interactive=interactive).state == state


def test_without_a_token() -> None:
    """Who needs a person needs authorization; client credentials just fetch one, and count as expired."""
    assert judged(Record()).state == "needs_authorization"
    assert judged(Record(), interactive=False).state == "expired"


def test_without_a_refresh_token() -> None:
    """At the end of a token that nothing can renew, a person is asked; before it, it works."""
    record = Record(token=token(refresh=""))
    assert judged(record, 0).state == "ready"
    assert judged(record, 1000).state == "needs_authorization"
    assert judged(record, 1000, interactive=False).state == "expired"
    assert not judged(record).refreshable


def test_an_end_nobody_knows() -> None:
    """A server that said no lifetime: ready until a 401 says otherwise."""
    found = judged(Record(token=token(expires_at=None)), 1e12)
    assert (found.state, found.expires_at) == ("ready", None)


def test_a_refresh_token_alone() -> None:
    """Adopted without an access token: expired, and renewable at once."""
    found = judged(Record(token=token(access="")))
    assert (found.state, found.fingerprint, found.expires_at) == ("expired", "", None)
    assert found.refreshable


def test_in_doubt_once_the_token_has_ended() -> None:
    """Nobody knows whether the refresh token was spent; while the access token works, nobody needs to."""
    record = Record(
        token=token(), spending=Spending(presents=token().refresh_token.fingerprint, holder="h", at=1)
    )  # type: ignore[union-attr]
    assert judged(record, 0).state == "ready"
    assert judged(record, 900).state == "expiring"
    assert judged(record, 2000).state == "in_doubt"


def test_dead_until_another_refresh_token_comes() -> None:
    """The server's refusal speaks of one refresh token only."""
    one = token(refresh="one")
    death = Death(presents=one.refresh_token.fingerprint, at=1.0, words="invalid_grant")  # type: ignore[union-attr]
    assert judged(Record(token=one, death=death), 0).state == "needs_authorization"
    assert judged(Record(token=token(refresh="two"), death=death), 0).state == "ready"


def test_what_else_it_tells() -> None:
    """Failures, the pause as long as it lasts, and who holds the lease; all plain values."""
    record = Record(token=token(), failures=2, retry_at=50.0, last_failure="503", renewals=9)
    lease = Lease(account="acme#1", holder="host/1/2", expires_at=60.0)
    found = judged(record, 40.0, lease=lease)
    assert (found.failures, found.retry_at, found.last_refusal, found.renewals) == (2, 50.0, "503", 9)
    assert found.holder == "host/1/2"
    assert judged(record, 51.0).retry_at == 0.0
    plain: dict[str, Any] = json.loads(json.dumps(found.to_dict()))
    assert plain["state"] == "ready"
    assert "access_token" not in plain
