"""Token replies as RFC 6749 section 5.1 has them, and what a renewal keeps of the token before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_room import CANARY, NOW, account, reply

from connector.errors import ConnectorError
from connector.jwts import new_dpop_key
from connector.reply import Refusal, read_adopted, read_reply
from connector.secret import Hidden, Secret
from connector.token import Token

# The example of RFC 6749 section 5.1.
EXAMPLE = {
    "access_token": "2YotnFZFEjr1zCsicMWpAA",
    "token_type": "example",
    "expires_in": 3600,
    "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",
    "example_parameter": "example_value",
}
OLD = Token(
    access_token=Secret("old"), refresh_token=Secret("old-refresh"), obtained_at=NOW, captured={"pod": "7"}
)
KEY = new_dpop_key()


def read(body: Any, *, previous: Token | None = None, bound: bool = False) -> Token | Refusal:
    """What a reply of status 200 comes to."""
    return read_reply(account(), reply(body), previous=previous, dpop_key=KEY if bound else None)


def test_the_rfcs_example() -> None:
    """Token, lifetime and refresh token; a member nobody knows is passed over (section 5.1)."""
    found = read(EXAMPLE)
    assert isinstance(found, Token)
    assert found.access_token.reveal() == EXAMPLE["access_token"]
    assert found.refresh_token == Secret("tGzv3JOkF0XG5Qx2TlKWIA")
    assert (found.lifetime_s, found.scopes) == (3600.0, None)
    assert read({name: value for name, value in EXAMPLE.items() if name != "example_parameter"}) == found


def test_tokens_of_any_size() -> None:
    """Section 5.1: nothing is assumed of their sizes."""
    found = read({"access_token": "a" * 100_000, "token_type": "bearer", "refresh_token": "r" * 100_000})
    assert isinstance(found, Token)
    assert found.refresh_token is not None
    assert (len(found.access_token.reveal()), len(found.refresh_token.reveal())) == (100_000, 100_000)


def test_a_new_refresh_token_replaces_the_old() -> None:
    """Section 6: the old one is forgotten; where none comes it stays, with what was captured."""
    renewed = read(EXAMPLE, previous=OLD)
    kept = read({"access_token": "new"}, previous=OLD)
    assert isinstance(renewed, Token)
    assert isinstance(kept, Token)
    assert (renewed.refresh_token, kept.refresh_token) == (
        Secret("tGzv3JOkF0XG5Qx2TlKWIA"),
        Secret("old-refresh"),
    )
    assert kept.captured == {"pod": "7"}


def test_granted_scopes() -> None:
    """Section 3.3: what was granted is kept where the server says it; None means as asked."""
    found = read({"access_token": "a", "scope": "read write"})
    assert isinstance(found, Token)
    assert found.scopes == ("read", "write")


@pytest.mark.parametrize("kind", ["dpop", "DPoP", "mac", "MAC", "pop"])
def test_types_that_need_more_than_a_header(kind: str) -> None:
    """Section 7.1: a token whose type asks for a proof that we cannot give is not used."""
    found = read({"access_token": CANARY, "token_type": kind})
    assert isinstance(found, Refusal)
    assert found.kind == "protocol"
    assert CANARY not in found.words()


@pytest.mark.parametrize(
    "kind", ["Bearer", "bearer", "BEARER", "BearerToken", "bot", None, 5, "", "two words"]
)
def test_types_that_are_bearer_by_another_name(kind: Any) -> None:
    """Servers write what they like; it is shown as a bearer token."""
    assert isinstance(read({"access_token": "a", "token_type": kind}), Token)


@pytest.mark.parametrize("kind", ["DPoP", "dpop", " DPoP "])
def test_a_bound_token(kind: str) -> None:
    """RFC 9449 section 5: the type in any case; the key stays with the token."""
    found = read({"access_token": "a", "token_type": kind}, bound=True)
    assert isinstance(found, Token)
    assert (found.token_type.lower(), found.dpop_key) == ("dpop", KEY)


NAMES = st.sampled_from([*EXAMPLE, "scope", "expires_at", "error", "error_description"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([CANARY, "DPoP", "\x1b[2J"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    changed=st.dictionaries(NAMES, VALUES, max_size=6),
    bound=st.booleans(),
    status=st.sampled_from([200, 201, 400, 401, 503]),
)
def test_any_reply(changed: dict[str, Any], bound: bool, status: int) -> None:
    """A token that fits in a header and prints as nothing, or a refusal that repeats no token that came with it."""
    body = {**EXAMPLE, **changed}
    found = read_reply(
        account(),
        reply(body, status),
        previous=OLD,
        secrets=(Secret(CANARY),),
        dpop_key=KEY if bound else None,
    )
    told = repr(found) + (found.words() if isinstance(found, Refusal) else str(found))
    assert CANARY not in told
    assert not any(
        str(body[name]) in told for name in ("access_token", "refresh_token") if len(str(body[name])) > 12
    )
    if isinstance(found, Token):
        assert found.access_token.reveal().isascii()
        assert found.access_token.reveal().isprintable()
        assert found.token_type.isprintable()
        assert json.dumps(found.to_dict())


@given(st.dictionaries(NAMES, VALUES, max_size=6) | VALUES)
def test_any_reply_that_a_person_holds(body: Any) -> None:
    """Adopted, or a typed error that repeats nothing of it."""
    try:
        found = read_adopted(account(), Hidden(body), now=NOW)
    except ConnectorError as error:
        # Its token_type is quoted, so that a person sees what is wrong.
        if not (isinstance(body, dict) and CANARY in str(body.get("token_type"))):
            assert CANARY not in str(error) + repr(error)
    else:
        assert CANARY not in repr(found)
