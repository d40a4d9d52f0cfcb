"""Strict: rotation, reuse that kills, client authentication to the letter; and the API that tries manners."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.sandbox import ODD_CLIENT_ID, ODD_CLIENT_SECRET, Sandbox

TOKEN = "/strict/token"
SLOW = settings(max_examples=25, deadline=None)


def test_rotation_and_reuse(wire):
    """Each use answers a new refresh token; the second use of one kills the family, access tokens too."""
    first = wire.sandbox.authorize("strict")
    second = wire.refresh(TOKEN, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert wire.get("/strict/api/items", second["access_token"]).status_code == 200
    reused = wire.refresh(TOKEN, first["refresh_token"])
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert wire.refresh(TOKEN, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert wire.get("/strict/api/items", second["access_token"]).status_code == 401
    assert set(wire.sandbox.counts["strict"].presentations.values()) == {1, 2}
    other = wire.sandbox.authorize("strict")
    assert wire.get("/strict/api/items", other["access_token"]).status_code == 200


@SLOW
@given(uses=st.lists(st.integers(0, 4), max_size=8))
def test_any_order_of_uses(wire_to, uses):
    """Whatever order tokens are presented in, exactly the newest is good, and nothing after a reuse."""
    wire = wire_to(Sandbox())
    tokens, alive = [wire.sandbox.authorize("strict")["refresh_token"]], True
    for use in uses:
        use = min(use, len(tokens) - 1)
        reply = wire.refresh(TOKEN, tokens[use])
        alive = alive and use == len(tokens) - 1
        assert (reply.status_code == 200) is alive
        if alive:
            tokens.append(reply.json()["refresh_token"])


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def test_basic_is_form_encoded(wire):
    """Odd ids and secrets pass in the encoding of RFC 6749 section 2.3.1, and not raw."""
    form = {"grant_type": "client_credentials"}
    encoded = basic(quote_plus(ODD_CLIENT_ID), quote_plus(ODD_CLIENT_SECRET))
    assert wire("POST", TOKEN, data=form, headers=encoded).status_code == 200
    raw = wire("POST", TOKEN, data=form, headers=basic(ODD_CLIENT_ID, ODD_CLIENT_SECRET))
    assert (raw.status_code, raw.json()["error"]) == (401, "invalid_client")
    assert raw.headers["www-authenticate"].startswith("Basic")
    assert wire.token(TOKEN, **form, client_id=ODD_CLIENT_ID, client_secret=ODD_CLIENT_SECRET).is_success


@pytest.mark.parametrize(
    ("path", "content_type", "body", "headers"),
    [
        ("", "application/x-www-form-urlencoded;charset=UTF-8", "grant_type=client_credentials", {}),
        ("", "application/json", '{"grant_type": "client_credentials"}', {}),
        ("", "application/x-www-form-urlencoded", "grant_type=a&grant_type=b", {}),
        ("", "application/x-www-form-urlencoded", "grant_type=\xff", {}),
        ("?grant_type=client_credentials", "application/x-www-form-urlencoded", "", {}),
        ("", "application/x-www-form-urlencoded", "client_secret=x", basic("sandbox", "sandbox-secret")),
    ],
)
def test_strict_forms(wire, path, content_type, body, headers):
    """What RFC 6749 does not allow is invalid_request."""
    headers = {"Content-Type": content_type, **headers}
    reply = wire("POST", TOKEN + path, content=body.encode("latin-1"), headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")


def test_scope_narrows_only(wire):
    """A refresh may ask for less and never for more."""
    refresh_token = wire.sandbox.authorize("strict", scopes=["items.read"])["refresh_token"]
    wider = wire.refresh(TOKEN, refresh_token, scope="items.read items.write")
    assert wider.json()["error"] == "invalid_scope"
    token = wire.refresh(TOKEN, refresh_token).json()["access_token"]
    reply = wire("POST", "/strict/api/upload", content=b"x", headers={"Authorization": f"Bearer {token}"})
    assert (reply.status_code, reply.json()["error"]) == (403, "insufficient_scope")


def test_pkce_is_required(wire):
    """Even a client with a secret needs a code challenge; the answer names the issuer (RFC 9207)."""
    asked = {"response_type": "code", "client_id": "sandbox", "redirect_uri": "http://127.0.0.1:1/"}
    location = wire("GET", "/strict/authorize", params=asked).headers["location"]
    assert "error=invalid_request" in location
    assert "iss=" in location


def test_revocation(wire):
    """Revoking needs the client; an access token goes alone, a refresh token takes its family along."""
    reply = wire.sandbox.authorize("strict")
    assert wire("POST", "/strict/revoke", data={"token": "x"}).status_code == 401
    assert wire.token("/strict/revoke", token=reply["access_token"]).status_code == 200
    assert wire.get("/strict/api/items", reply["access_token"]).status_code == 401
    renewed = wire.refresh(TOKEN, reply["refresh_token"]).json()
    assert wire.token("/strict/revoke", token=renewed["refresh_token"]).status_code == 200
    assert wire.get("/strict/api/items", renewed["access_token"]).status_code == 401


def test_challenges(wire):
    """A missing token is challenged without an error code, a bad one with invalid_token (RFC 6750)."""
    assert "error=" not in wire.get("/strict/api/items").headers["www-authenticate"]
    assert 'error="invalid_token"' in wire.get("/strict/api/items", "x.y").headers["www-authenticate"]


def test_cursor_paging(wire):
    """Following the cursor reads all items; a made-up cursor is refused."""
    token = wire.sandbox.authorize("strict")["access_token"]
    seen, cursor = [], ""
    while cursor is not None:
        page = wire.get("/strict/api/items", token, params={"cursor": cursor, "limit": 150}).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert seen == list(range(1, 1001))
    for bad in ("x", "YWZ0ZXI6LTE=", "YWZ0ZXI6OTk5OTk="):
        assert wire.get("/strict/api/items", token, params={"cursor": bad}).status_code == 400


def test_page_numbers(wire):
    """Pages counted from 1 add up to the total that each of them states."""
    token = wire.sandbox.authorize("strict")["access_token"]
    seen, number, total = [], 1, 1
    while len(seen) < total:
        page = wire.get(f"/strict/api/pages?page={number}&per_page=77", token).json()
        seen += [item["id"] for item in page["items"]]
        total, number = page["total"], number + 1
    assert seen == list(range(1, 1001))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_echo(wire, method):
    """It tells method, length and digest of a chunked body, and keeps the token to itself."""
    token = wire.sandbox.authorize("strict")["access_token"]

    async def chunks():
        yield b"one"
        yield b"two"

    reply = wire(method, "/strict/api/echo", content=chunks(), headers={"Authorization": f"Bearer {token}"})
    assert (reply.json()["method"], reply.json()["length"]) == (method, 6)
    assert reply.json()["sha256"] == hashlib.sha256(b"onetwo").hexdigest()
    assert token not in reply.text


def test_slow(wire):
    """It takes as long as one asks for and says so; nonsense is refused."""
    token = wire.sandbox.authorize("strict")["access_token"]
    assert wire.get("/strict/api/slow?seconds=0", token).json() == {"slept_s": 0.0}
    assert wire.get("/strict/api/slow?seconds=soon", token).status_code == 400
