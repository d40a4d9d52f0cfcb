"""Introspection (RFC 7662), resource indicators (RFC 8707) and userinfo: what a token is, told by its server."""

from __future__ import annotations

import pytest
from sandbox_room import AUTHORIZE, TOKEN, answer, log_in, question, redeem

from connector.sandbox import PUBLIC_CLIENT_ID

ONE, TWO = "https://one.example/api", "urn:two:api"


def look(wire, token, **fields):
    """Introspect a token as the demo client."""
    return wire.token("/strict/introspect", token=token, **fields)


def test_a_living_token(wire, clock):
    """The fields of section 2.2, of an access token and of a refresh token."""
    reply = log_in(wire, "strict")
    now = int(clock.now)
    common = {
        "active": True,
        "iss": "http://sandbox.test/strict",
        "scope": "items.read",
        "client_id": "sandbox",
        "username": "ada",
        "sub": "ada",
        "iat": now,
    }
    answered = look(wire, reply["access_token"])
    assert answered.headers["cache-control"] == "no-store"
    assert answered.json() == {**common, "exp": now + 300, "token_type": "Bearer"}
    hint = {"token_type_hint": "access_token"}
    assert look(wire, reply["refresh_token"], **hint).json() == {**common, "exp": now + 30 * 86_400}


def test_a_client_of_its_own(wire):
    """A token of client_credentials speaks for the client, and there is no user."""
    token = wire.token(TOKEN["strict"], grant_type="client_credentials").json()["access_token"]
    told = look(wire, token).json()
    assert (told["sub"], told["client_id"], "username" in told) == ("sandbox", "sandbox", False)


def test_dead_tokens(wire, clock):
    """Expired, revoked, another server's or made up: not active, and not a word more (section 2.2)."""
    dead = ["made-up", wire.sandbox.authorize("flaky")["access_token"]]
    revoked = log_in(wire, "strict")
    wire.token("/strict/revoke", token=revoked["refresh_token"])
    dead += [revoked["refresh_token"], revoked["access_token"]]
    expired = log_in(wire, "strict")["access_token"]
    assert look(wire, expired).json()["active"] is True
    clock.now += 300
    for token in [*dead, expired]:
        assert look(wire, token).json() == {"active": False}


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": PUBLIC_CLIENT_ID, "client_secret": ""}, 401, "invalid_client"),
        ({"token": ""}, 400, "invalid_request"),
    ],
)
def test_only_clients_with_a_secret_may_look(wire, fields, status, error):
    """Section 2.1: the endpoint must not be a place to try tokens at."""
    form = {"token": log_in(wire, "strict")["access_token"], **fields}
    reply = wire.token("/strict/introspect", **form)
    assert (reply.status_code, reply.json()["error"]) == (status, error)


def test_resources_are_remembered(wire):
    """One or several (RFC 8707 section 2), shown as aud, also after a refresh."""
    reply = log_in(wire, "strict", resource=[ONE, TWO])
    assert look(wire, reply["access_token"]).json()["aud"] == [ONE, TWO]
    renewed = wire.refresh(TOKEN["strict"], reply["refresh_token"]).json()
    assert look(wire, renewed["access_token"]).json()["aud"] == [ONE, TWO]
    own = wire.token(TOKEN["strict"], grant_type="client_credentials", resource=ONE).json()
    assert look(wire, own["access_token"]).json()["aud"] == [ONE]


def test_resources_can_be_fewer(wire):
    """A token call may ask for some of them, never for others (section 2.2), and loses nothing by it."""
    code = answer(wire("GET", AUTHORIZE["strict"], params=question(resource=[ONE, TWO])))["code"]
    refused = redeem(wire, "strict", code, resource="https://three.example/")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    reply = redeem(wire, "strict", code, resource=TWO).json()
    assert look(wire, reply["access_token"]).json()["aud"] == [TWO]
    other = wire.refresh(TOKEN["strict"], reply["refresh_token"], resource="https://three.example/")
    assert other.json()["error"] == "invalid_target"
    renewed = wire.refresh(TOKEN["strict"], reply["refresh_token"]).json()
    assert look(wire, renewed["access_token"]).json()["aud"] == [ONE, TWO]


@pytest.mark.parametrize(
    "bad", ["one", "//one.example", "https://one.example/#part", "https://[", "a b:c", ""]
)
def test_what_is_no_resource(wire, bad):
    """Absolute URIs without a fragment, else invalid_target: at the page and at the token endpoint."""
    if bad:
        told = answer(wire("GET", AUTHORIZE["strict"], params=question(resource=[ONE, bad])))
        assert told["error"] == "invalid_target"
    form = {"grant_type": "client_credentials", "resource": bad}
    reply = wire("POST", TOKEN["strict"], data=form, auth=("sandbox", "sandbox-secret"))
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_target")


def test_a_refresh_for_less_keeps_the_rest(wire):
    """The new refresh token allows what the old one did (RFC 6749 section 6)."""
    reply = log_in(wire, "strict", scope="items.read items.write")
    less = wire.refresh(TOKEN["strict"], reply["refresh_token"], scope="items.read").json()
    assert less["scope"] == "items.read"
    assert wire.refresh(TOKEN["strict"], less["refresh_token"]).json()["scope"] == "items.read items.write"


def test_userinfo(wire):
    """Who the person is; for a client's own token, the client; for no token, a challenge."""
    person = wire.get("/strict/userinfo", log_in(wire, "strict")["access_token"])
    assert person.json() == {"sub": "ada", "name": "Ada Baker", "preferred_username": "ada"}
    own = wire.token(TOKEN["strict"], grant_type="client_credentials").json()
    assert wire.get("/strict/userinfo", own["access_token"]).json()["sub"] == "sandbox"
    assert wire.get("/strict/userinfo").status_code == 401
