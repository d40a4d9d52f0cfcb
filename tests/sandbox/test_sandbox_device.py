"""Device authorization (RFC 8628): codes to type, a page to type them into, and polling at the right pace."""

from __future__ import annotations

import re

import pytest
from sandbox_room import BROWSER, TOKEN

from connector.sandbox import CLIENT_ID, PUBLIC_CLIENT_ID

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE = {"coupa": "/coupa/oauth2/device_authorization", "strict": "/strict/device"}
PAGE = {"coupa": "/coupa/oauth2/activate", "strict": "/strict/activate"}
PERSONAS = list(DEVICE)
both = pytest.mark.parametrize("persona", PERSONAS)


def begin(wire, persona, **fields):
    """Ask for a device and a user code, as the public client unless the fields say otherwise."""
    form = {"client_id": PUBLIC_CLIENT_ID, "client_secret": "", "scope": "items.read", **fields}
    return wire.token(DEVICE[persona], **form)


def poll(wire, persona, begun, **fields):
    """Poll once; return the status and the error, or the whole reply."""
    form = {"client_id": PUBLIC_CLIENT_ID, "client_secret": "", "grant_type": GRANT, **fields}
    reply = wire.token(TOKEN[persona], device_code=begun["device_code"], **form)
    return reply.json() if reply.is_success else (reply.status_code, reply.json()["error"])


@both
def test_what_a_device_is_told(wire, persona):
    """The fields of section 3.2; Coupa leaves interval out, so that 5 s is the client's own knowledge."""
    reply = begin(wire, persona)
    begun = reply.json()
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", begun["user_code"])
    assert begun["verification_uri"].endswith(PAGE[persona])
    assert begun["verification_uri_complete"] == f"{begun['verification_uri']}?user_code={begun['user_code']}"
    assert begun["expires_in"] == 900
    assert begun.get("interval") == {"coupa": None, "strict": 5}[persona]


@pytest.mark.parametrize(("chosen", "told"), [("0", 0), ("2", 2), ("0.5", 0.5)])
def test_interval_may_be_chosen(wire, chosen, told):
    """For tests that will not wait."""
    assert begin(wire, "strict", sandbox_interval=chosen).json()["interval"] == told
    assert "interval" not in begin(wire, "coupa", sandbox_interval=chosen).json()


@both
def test_pending_then_allowed_once(wire, clock, persona):
    """Pending until the person decides; then tokens, and never again with that code (section 3.5)."""
    begun = begin(wire, persona).json()
    assert poll(wire, persona, begun) == (400, "authorization_pending")
    wire.sandbox.approve(begun["user_code"].lower().replace("-", " "))
    clock.now += 5
    assert poll(wire, persona, begun)["scope"] == "items.read"
    clock.now += 5
    assert poll(wire, persona, begun) == (400, "invalid_grant")


@both
def test_denied(wire, persona):
    """A person who says no ends it."""
    begun = begin(wire, persona).json()
    wire.sandbox.deny(begun["user_code"])
    assert poll(wire, persona, begun) == (400, "access_denied")
    with pytest.raises(KeyError):
        wire.sandbox.approve("BCDF-GHJK-LMNP")


@both
def test_slow_down(wire, clock, persona):
    """Who polls too fast waits 5 s longer from then on, also when it is Coupa, which names no interval."""
    begun = begin(wire, persona).json()
    assert poll(wire, persona, begun) == (400, "authorization_pending")
    clock.now += 4.8
    assert poll(wire, persona, begun) == (400, "slow_down")
    clock.now += 5
    assert poll(wire, persona, begun) == (400, "slow_down")
    wire.sandbox.approve(begun["user_code"])
    clock.now += 14.8
    assert poll(wire, persona, begun) == (400, "slow_down")
    clock.now += 20
    assert "access_token" in poll(wire, persona, begun)


def test_no_interval_no_slow_down(wire):
    """An interval of 0 may be polled as fast as one likes."""
    begun = begin(wire, "strict", sandbox_interval="0").json()
    assert {poll(wire, "strict", begun) for _ in range(4)} == {(400, "authorization_pending")}


@both
def test_expired(wire, clock, persona):
    """After expires_in the code is expired_token, and no person can approve it any more."""
    begun = begin(wire, persona, sandbox_expires="30").json()
    assert begun["expires_in"] == 30
    clock.now += 29
    assert poll(wire, persona, begun) == (400, "authorization_pending")
    clock.now += 1
    assert poll(wire, persona, begun) == (400, "expired_token")
    form = {"user_code": begun["user_code"], "decision": "allow"}
    assert wire("POST", PAGE[persona], data=form).status_code == 404
    clock.now += 4000
    begin(wire, persona)
    assert poll(wire, persona, begun) == (400, "invalid_grant")


@both
def test_decided_at_once(wire, persona):
    """The field sandbox_person stands for the person."""
    assert "access_token" in poll(wire, persona, begin(wire, persona, sandbox_person="allow").json())
    denied = begin(wire, persona, sandbox_person="deny").json()
    assert poll(wire, persona, denied) == (400, "access_denied")


@both
def test_whose_code_it_is(wire, persona):
    """Another client, another server or a made-up code get nothing, and do not use it up."""
    begun = begin(wire, persona, sandbox_person="allow").json()
    secret = {"client_id": CLIENT_ID, "client_secret": "sandbox-secret"}
    assert poll(wire, persona, begun, **secret) == (400, "invalid_grant")
    other = "strict" if persona == "coupa" else "coupa"
    assert poll(wire, other, begun) == (400, "invalid_grant")
    assert poll(wire, persona, {"device_code": "x"}) == (400, "invalid_grant")
    assert "access_token" in poll(wire, persona, begun)


@both
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": CLIENT_ID, "client_secret": "wrong"}, "invalid_client"),
        ({"sandbox_person": "perhaps"}, "invalid_request"),
        ({"sandbox_expires": "soon"}, "invalid_request"),
        ({"sandbox_interval": "-1"}, "invalid_request"),
    ],
)
def test_refusals(wire, persona, fields, error):
    """The endpoint authenticates clients as the token endpoint does (section 3.1)."""
    reply = begin(wire, persona, **fields)
    assert reply.json()["error"] == error
    assert reply.status_code == (401 if error == "invalid_client" else 400)


def test_coupa_wants_a_scope(wire):
    """At least one, as everywhere at Coupa; the strict server has a default."""
    assert begin(wire, "coupa", scope="").json()["error"] == "invalid_scope"
    assert "device_code" in begin(wire, "strict", scope="").json()


@both
@pytest.mark.parametrize(("decision", "told"), [("allow", "Signed in."), ("deny", "Not signed in.")])
def test_the_page(wire, persona, decision, told):
    """The address of verification_uri_complete shows the code to compare (section 3.3.1), and takes a word."""
    begun = begin(wire, persona, scope="items.read <i>").json()
    path = begun["verification_uri_complete"].removeprefix("http://sandbox.test")
    page = wire("GET", path, headers=BROWSER)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert f'value="{begun["user_code"]}"' in page.text
    assert "very code" in page.text
    assert "<i>" not in page.text
    assert "&lt;i&gt;" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    form = {"user_code": begun["user_code"].lower(), "decision": decision}
    done = wire("POST", PAGE[persona], data=form)
    assert (done.status_code, told in done.text) == (200, True)
    assert wire("POST", PAGE[persona], data=form).status_code == 404
    polled = poll(wire, persona, begun)
    assert polled == (400, "access_denied") if decision == "deny" else "access_token" in polled


def test_the_page_without_a_code(wire):
    """An empty form to type into; a wrong code is said to be wrong, and another server's code is wrong here."""
    assert 'value=""' in wire("GET", PAGE["coupa"]).text
    unknown = wire("GET", PAGE["coupa"] + '?user_code="><script>')
    assert (unknown.status_code, "<script" in unknown.text) == (404, False)
    begun = begin(wire, "strict").json()
    form = {"user_code": begun["user_code"], "decision": "allow"}
    assert wire("POST", PAGE["coupa"], data=form).status_code == 404
    assert wire("POST", PAGE["strict"], content=b"\xff").status_code == 200
    assert wire("POST", PAGE["strict"], data={**form, "decision": "maybe"}).status_code == 200
    assert poll(wire, "strict", begun) == (400, "authorization_pending")


def test_refresh_tokens(wire):
    """The strict server always gives one, and it rotates."""
    reply = poll(wire, "strict", begin(wire, "strict", sandbox_person="allow").json())
    public = {"client_id": PUBLIC_CLIENT_ID, "client_secret": ""}
    renewed = wire.refresh(TOKEN["strict"], reply["refresh_token"], **public).json()
    assert renewed["refresh_token"] != reply["refresh_token"]
