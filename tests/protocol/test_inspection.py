"""Revocation, introspection and who one is: requests in bytes, answers of any kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_room import CANARY, ISSUER, NOW, account, credentials, form, reply

from connector.errors import NotAuthorizedError
from connector.inspection import (
    Introspection,
    introspect_request,
    person_in,
    read_introspection,
    read_revoked,
    revoke_request,
)
from connector.reply import Refusal
from connector.secret import Secret
from connector.token import Token

BARE = Token(access_token=Secret("access"), obtained_at=NOW)
WHOLE = Token(access_token=Secret("access"), refresh_token=Secret("refresh"), obtained_at=NOW)


def test_revoking_shows_what_ends_the_login() -> None:
    """RFC 7009 section 2.1: the refresh token with its hint, the client's proof, and no resource or extra field."""
    made = account(resources=("https://api.example.com",), token_params=(("x", "y"),))
    call = revoke_request(made, credentials(), WHOLE)
    assert (call.method, call.url) == ("POST", f"{ISSUER}/revoke")
    assert form(call) == {
        "token": "refresh",
        "token_type_hint": "refresh_token",
        "client_id": "me",
        "client_secret": "pass",
    }
    assert Secret("refresh") in call.secrets


def test_revoking_without_a_refresh_token() -> None:
    """Then the access token is what there is to end."""
    call = revoke_request(account(), credentials(), BARE)
    assert (form(call)["token"], form(call)["token_type_hint"]) == ("access", "access_token")


def test_a_public_client_revokes_too() -> None:
    """RFC 7009 section 2.1: it names itself, and shows no secret."""
    call = revoke_request(account({"token": {"auth": "none"}}), credentials(client_secret=None), WHOLE)
    assert form(call) == {"token": "refresh", "token_type_hint": "refresh_token", "client_id": "me"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", None),
        (200, b"<html>", None),
        (204, b"", None),
        (302, b"", "protocol"),
        (400, {"error": "unsupported_token_type"}, "login"),
        (401, {"error": "invalid_client"}, "client"),
        (404, b"", "protocol"),
        (503, b"", "later"),
    ],
)
def test_what_became_of_it(status: int, body: Any, kind: str | None) -> None:
    """RFC 7009 section 2.2: the status alone counts, the body of a 200 does not; a 503 leaves the token alive."""
    found = read_revoked(account(), reply(body, status, retry_after="30"), ())
    if kind is None:
        assert found is True
    else:
        assert isinstance(found, Refusal)
        assert found.kind == kind
        assert found.retry_after_s == (None if status == 302 else 30.0)


def test_what_is_asked_of_a_token() -> None:
    """RFC 7662 section 2.1: a POST with the token in its body, and the client's proof."""
    call = introspect_request(account(), credentials(), WHOLE)
    assert (call.method, call.url) == ("POST", f"{ISSUER}/introspect")
    assert form(call) == {
        "token": "access",
        "token_type_hint": "access_token",
        "client_id": "me",
        "client_secret": "pass",
    }
    assert Secret("access") in call.secrets


@pytest.mark.parametrize(("make", "name"), [(revoke_request, "revoke"), (introspect_request, "introspect")])
def test_no_place_to_ask(make: Any, name: str) -> None:
    """The error names the part that the endpoint does not declare."""
    with pytest.raises(NotAuthorizedError, match=name) as caught:
        make(account({name: None}), credentials(), WHOLE)
    assert caught.value.code == "incomplete_account"


def test_the_rfcs_answer() -> None:
    """The example of RFC 7662 section 2.2, unknown members kept as they are."""
    said = {
        "active": True,
        "client_id": "l238j323ds-23ij4",
        "username": "jdoe",
        "scope": "read write dolphin",
        "sub": "Z5O3upPC88QrAjx00dis",
        "aud": "https://protected.example.net/resource",
        "iss": "https://server.example.com/",
        "exp": 1419356238,
        "iat": 1419350238,
        "extension_field": "twenty-seven",
    }
    found = read_introspection(account(), reply(said), ())
    assert found == Introspection(
        active=True,
        username="jdoe",
        subject="Z5O3upPC88QrAjx00dis",
        client_id="l238j323ds-23ij4",
        scopes=("read", "write", "dolphin"),
        expires_at=1419356238.0,
        claims=said,
    )
    assert "twenty-seven" not in repr(found)


@pytest.mark.parametrize("active", [False, None, 1, "true", [], {}])
def test_only_true_is_active(active: Any) -> None:
    """RFC 7662 section 2.2: `active` is a boolean; nothing else makes a token good."""
    found = read_introspection(account(), reply({"active": active}), ())
    assert isinstance(found, Introspection)
    assert found.active is False


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(401, {"error": "invalid_client"}, "client"), (403, b"", "protocol"), (302, b"", "protocol"),
     (200, b"<html>", "protocol"), (200, b"[]", "protocol"), (500, b"", "later")],
)  # fmt: skip
def test_no_answer(status: int, body: Any, kind: str) -> None:
    """RFC 7662 section 2.3: a refused client is told from a dead token, and an outage from both."""
    found = read_introspection(account(), reply(body, status), ())
    assert isinstance(found, Refusal)
    assert found.kind == kind


@pytest.mark.parametrize(
    ("said", "person"),
    [
        ({"sub": "7", "email": "a@b.example", "name": "Ada"}, "a@b.example"),
        ({"sub": "7", "preferred_username": "ada"}, "ada"),
        ({"sub": "7", "email": 5, "name": ""}, "7"),
        ({"login": "a\x1b[2Jda"}, "a [2Jda"),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_who_one_is(said: Any, person: str) -> None:
    """The claim a person would recognise, on one line, whatever the server sent."""
    assert person_in(said) == person


FIELDS = st.sampled_from(["active", "username", "sub", "client_id", "scope", "exp", "error", "email"])
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just(CANARY)
    | st.lists(st.text())
)


@given(
    body=st.dictionaries(FIELDS, VALUES) | st.binary(max_size=60),
    status=st.sampled_from([200, 204, 302, 400, 401, 403, 503]),
)
def test_any_answer(body: Any, status: int) -> None:
    """Never an exception, nothing in a message that we sent, and `active` only by a literal true."""
    sent = (Secret(CANARY),)
    found = read_introspection(account(), reply(body, status), sent)
    if isinstance(found, Introspection):
        assert found.active is (isinstance(body, dict) and body.get("active") is True)
        assert (found.username + found.subject + found.client_id + person_in(body)).isprintable()
    else:
        assert CANARY not in found.words() + repr(found)
    revoked = read_revoked(account(), reply(body, status), sent)
    assert revoked is True or (isinstance(revoked, Refusal) and CANARY not in revoked.words() + repr(revoked))
