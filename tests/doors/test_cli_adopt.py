"""`connector adopt`: whatever is on standard input."""

from __future__ import annotations

import json
from typing import Any

import pytest

CANARY = "canary-1f77"


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"   \n",
        b"garbage " + CANARY.encode(),
        b"[]",
        b"null",
        b"3",
        b'"canary-1f77"',
        b'{"refresh_token": 3}',
        b'{"expires_in": 3}',
        b'{"access_token": "canary-1f77", "expires_in": "soon"}',
        b'{"access_token": "canary 1f77"}',
        b'{"access_token": "canary-1f77"',
        b"\xff\xfe\x00\x01" + CANARY.encode(),
        bytes(range(256)) * 10,
        b"[" * 100_000,
        b" " * (1 << 20) + b"{}",
        b'{"expires_in": ' + b"9" * 5000 + b"}",
    ],
    ids=range(17),
)
def test_garbage_is_refused_without_repeating_it(call: Any, stdin: bytes) -> None:
    """What is no token reply is refused in words that hold nothing of it; the login stays as it was."""
    done = call("adopt", "person", stdin=stdin)
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert CANARY not in done.err
    rows = json.loads(call("accounts", "--json").out)
    assert rows[2]["state"] == "needs_authorization"


def test_adopted(call: Any) -> None:
    """A reply becomes the login, and is told by its fingerprint only."""
    reply = json.dumps({"access_token": CANARY, "refresh_token": "r-" + CANARY, "expires_in": 3600})
    done = call("adopt", "person", stdin=reply)
    assert (done.code, done.out) == (0, "")
    assert "and a refresh token" in done.err
    assert CANARY not in done.err
    assert call("token", "person").out == CANARY + "\n"


def test_unknown_account_is_told_before_anything_is_read(call: Any) -> None:
    """Nobody pastes a token for an account that is not there."""
    done = call("adopt", "nope", stdin="garbage")
    assert done.code == 2
    assert "there is no account 'nope'" in done.err
