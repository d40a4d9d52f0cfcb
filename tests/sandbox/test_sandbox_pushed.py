"""Pushed authorization requests (RFC 9126): good for one answer within a minute, for one client."""

from __future__ import annotations

import pytest
from sandbox_room import BACK, BROWSER, answer, question, redeem

from connector.sandbox import CLIENT_ID, PUBLIC_CLIENT_ID, Sandbox

PAR = "/strict/par"


def push(wire, **more):
    """Push the usual request, with the demo client's secret unless `more` says otherwise."""
    return wire.token(PAR, **question(**more))


def visit(wire, name, client_id=CLIENT_ID, method="GET", **options):
    """Send the person there with nothing but the two fields of section 4."""
    params = {"client_id": client_id, "request_uri": name, **options.pop("more", {})}
    return wire(method, "/strict/authorize", params=params, **options)


def test_a_pushed_request_is_answered_once(wire):
    """201 with a name and 60 s (section 2.2); the browser carries the name; the second visit leads nowhere."""
    reply = push(wire, scope="items.read items.write")
    assert (reply.status_code, reply.headers["cache-control"]) == (201, "no-store")
    assert reply.json()["expires_in"] == 60
    name = reply.json()["request_uri"]
    assert name.startswith("urn:ietf:params:oauth:request_uri:")
    told = answer(visit(wire, name))
    assert (told["state"], told["iss"]) == ("s&1", "http://sandbox.test/strict")
    assert redeem(wire, "strict", told["code"]).json()["scope"] == "items.read items.write"
    again = visit(wire, name)
    assert (again.status_code, "location" in again.headers) == (400, False)


def test_it_expires(wire, clock):
    """After 60 s the name is worth nothing."""
    names = [push(wire).json()["request_uri"] for _ in range(2)]
    clock.now += 59.9
    assert visit(wire, names[0]).status_code == 302
    clock.now += 0.1
    assert visit(wire, names[1]).status_code == 400


def test_it_is_its_clients(wire):
    """Another client's name is refused to the person's face, and stays good for its own client."""
    name = push(wire).json()["request_uri"]
    assert visit(wire, name, PUBLIC_CLIENT_ID).status_code == 400
    assert visit(wire, name).status_code == 302
    assert visit(wire, "urn:ietf:params:oauth:request_uri:guess").status_code == 400


def test_what_stands_beside_the_name_counts_for_nothing(wire):
    """Only the pushed fields are used, so nobody between can change them."""
    name = push(wire, scope="items.read").json()["request_uri"]
    more = {"scope": "items.write", "redirect_uri": "http://127.0.0.1:1/other", "state": "x"}
    told = answer(visit(wire, name, more=more))
    assert told["state"] == "s&1"
    assert redeem(wire, "strict", told["code"]).json()["scope"] == "items.read"


def test_looking_at_the_page_does_not_use_it_up(wire_to):
    """A page may be reloaded; only the decision ends the request."""
    wire = wire_to(Sandbox(ask=True))
    name = push(wire).json()["request_uri"]
    for _ in range(2):
        page = visit(wire, name, headers=BROWSER)
        assert (page.status_code, "items.read" in page.text, BACK in page.text) == (200, True, True)
    assert answer(visit(wire, name, method="POST", data={"decision": "deny"}))["error"] == "access_denied"
    assert visit(wire, name, method="POST", data={"decision": "allow"}).status_code == 400


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"request_uri": "urn:x"}, 400, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, 400, "invalid_request"),
        ({"code_challenge": ""}, 400, "invalid_request"),
        ({"response_type": "token"}, 400, "unsupported_response_type"),
        ({"resource": "not absolute"}, 400, "invalid_target"),
    ],
)
def test_refusals(wire, more, status, error):
    """Clients authenticate (section 2), and what is wrong is said at once (section 2.3)."""
    reply = push(wire, **more)
    assert (reply.status_code, reply.json()["error"]) == (status, error)


def test_public_clients_push_too(wire):
    """A client without a secret names itself."""
    form = question(PUBLIC_CLIENT_ID)
    name = wire("POST", PAR, data=form).json()["request_uri"]
    code = answer(visit(wire, name, PUBLIC_CLIENT_ID))["code"]
    who = {"client_id": PUBLIC_CLIENT_ID, "client_secret": ""}
    assert redeem(wire, "strict", code, **who).status_code == 200


def test_others_do_not_know_it(wire):
    """Where nothing can be pushed, request_uri is one more unknown field."""
    asked = question(request_uri="urn:x", scope="core.invoice.read")
    assert "code" in answer(wire("GET", "/coupa/oauth2/authorizations/new", params=asked))
