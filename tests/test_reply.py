"""Reading token replies: whatever a server sends becomes a Token or a Refusal, and no secret is repeated."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.account import Account
from connector.endpoint import endpoint_from_spec
from connector.errors import ConnectorError
from connector.reply import Refusal, Reply, read_adopted, read_reply
from connector.secret import Hidden, Secret
from connector.token import Token

NOW = 1_800_000_000.0
SENT = Secret("sent-refresh-token-canary")


def account(**response: Any) -> Account:
    spec = {"endpoint": "x", "token": {"url": "https://x.test/t"}, "response": response}
    return Account(name="x", client_id="id", endpoint=endpoint_from_spec(spec), grant="authorization_code")


def read(
    body: Any, status: int = 200, headers: dict[str, str] | None = None, **response: Any
) -> Token | Refusal:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = Reply(status=status, headers=headers or {}, body=raw, received_at=NOW)
    return read_reply(account(**response), reply, previous=None, secrets=[SENT])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SENT.reveal()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "expires_at",
        "scope",
        "error",
        "error_description",
    ]
)


@given(
    body=st.binary(max_size=200) | st.dictionaries(FIELDS, VALUES).map(lambda d: json.dumps(d).encode()),
    status=st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 502]),
    kind=st.sampled_from(["application/json", "text/html", "application/x-www-form-urlencoded", ""]),
    challenge=st.text(max_size=40),
)
def test_anything_becomes_a_token_or_a_refusal(body: bytes, status: int, kind: str, challenge: str) -> None:
    """No reply raises; a lifetime is sane; a refusal repeats nothing that was sent."""
    found = read(
        body, status, {"content-type": kind, "www-authenticate": challenge, "retry-after": challenge}
    )
    if isinstance(found, Token):
        assert 200 <= status < 300
        assert found.expires_at is None or NOW < found.expires_at < NOW + 11 * 366 * 86_400
        assert found.access_token.reveal().isprintable()
    else:
        assert SENT.reveal() not in found.words()
        assert found.words().isprintable()


@pytest.mark.parametrize(
    ("said", "lifetime"),
    [
        (3600, 3600),
        ("3600", 3600),
        (3599.5, 3599.5),
        (0, None),
        (-1, None),
        ("soon", None),
        (True, None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
        (10**15, 10 * 365.25 * 86_400),
    ],
)
def test_expires_in_becomes_a_sane_lifetime(said: Any, lifetime: float | None) -> None:
    """What servers really send as expires_in; None: the end is unknown and a 401 will tell."""
    found = read({"access_token": "t", "expires_in": said})
    assert isinstance(found, Token)
    assert found.lifetime_s == (None if lifetime is None else pytest.approx(lifetime))


@pytest.mark.parametrize("digits", ["1" * 5000, "1e400", "-1e400"])
def test_numbers_no_machine_holds(digits: str) -> None:
    """A 5,000-digit integer and 1e400 are no lifetime and no crash."""
    found = read(b'{"access_token": "t", "expires_in": ' + digits.encode() + b"}")
    assert isinstance(found, Token)
    assert found.expires_at is None or math.isfinite(found.expires_at)


@pytest.mark.parametrize(
    ("status", "body", "kind", "spent"),
    [
        (400, {"error": "invalid_grant"}, "login", False),
        (401, {"error": "server_error", "error_description": "access_denied"}, "login", False),  # ServiceNow
        (401, {"error": "invalid_client"}, "client", False),
        (400, {"error": "invalid_scope"}, "scope", False),
        (400, b"", "login", False),
        (403, b"<html>blocked</html>", "protocol", False),
        (429, b"", "later", False),
        (500, b"oops", "later", True),
        (502, {"error": "invalid_grant"}, "later", True),
        (307, b"", "protocol", False),
        (200, b"<html>hello</html>", "protocol", True),
        (200, {"error": "invalid_grant"}, "login", False),
    ],
)
def test_refusals_are_told_apart(status: int, body: Any, kind: str, spent: bool) -> None:
    """Who must act follows from the kind; whether a single-use token may be gone, from `spent`."""
    found = read(body, status)
    assert isinstance(found, Refusal)
    assert (found.kind, found.spent) == (kind, spent)


def test_form_encoded_and_nested_replies() -> None:
    """Some servers answer in a form, some put the token deeper; the old refresh token stays when none comes."""
    found = read(
        b"access_token=t&expires_in=60", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert isinstance(found, Token)
    assert found.lifetime_s == 60
    found = read({"data": {"token": "deep"}}, access_token="/data/token")
    assert isinstance(found, Token)
    assert found.access_token.reveal() == "deep"


@pytest.mark.parametrize(
    "reply",
    [[], {}, {"access_token": 5}, {"access_token": "a b"}, {"access_token": "t", "expires_in": "soon"},
     {"access_token": "t", "expires_at": "tomorrow"}, {"access_token": "t", "token_type": "mac"}],
)  # fmt: skip
def test_bad_replies_are_not_adopted(reply: Any) -> None:
    """What is no token reply is refused with its reason, and without its values."""
    with pytest.raises(ConnectorError) as caught:
        read_adopted(account(), Hidden(reply), now=NOW)
    assert caught.value.code == "bad_token_reply"


def test_adopting_counts_from_now() -> None:
    """expires_in 0 means expired, a refresh token alone is enough, ISO moments are read."""
    assert read_adopted(account(), Hidden({"access_token": "t", "expires_in": 0}), now=NOW).expires_at == NOW
    assert read_adopted(account(), Hidden({"refresh_token": "r"}), now=NOW).expires_at == NOW
    found = read_adopted(
        account(), Hidden({"access_token": "t", "expires_at": "2030-01-01T00:00:00Z"}), now=NOW
    )
    assert found.expires_at == 1_893_456_000
