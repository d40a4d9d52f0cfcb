"""The consent page: at once for programs, a page with two buttons for a person, and no for an answer."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from sandbox_room import AUTHORIZE, BACK, BROWSER, answer, question, redeem

from connector.sandbox import Sandbox

PERSONAS = list(AUTHORIZE)


@pytest.mark.parametrize("persona", PERSONAS)
def test_programs_are_redirected_at_once(wire, persona):
    """Without a word about the person, consent is given, whatever the client accepts."""
    for headers in ({}, BROWSER):
        reply = wire("GET", AUTHORIZE[persona], params=question(), headers=headers)
        assert reply.status_code == 302
        assert answer(reply)["state"] == "s&1"
        assert redeem(wire, persona, answer(reply)["code"]).status_code == 200


@pytest.mark.parametrize("persona", PERSONAS)
def test_deny(wire, persona):
    """A person who says no is an error of the client's redirect (RFC 6749 section 4.1.2.1)."""
    told = answer(wire("GET", AUTHORIZE[persona], params=question(sandbox_person="deny")))
    assert (told["error"], told["state"]) == ("access_denied", "s&1")
    assert "code" not in told


@pytest.mark.parametrize("persona", PERSONAS)
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_ask(wire, persona, decision):
    """The page says who asks for what; its form, sent back, redirects with 303 (RFC 9700 section 4.12)."""
    asked = question(sandbox_person="ask", scope="items.read <b>")
    page = wire("GET", AUTHORIZE[persona], params=asked)
    assert (page.status_code, "location" in page.headers) == (200, False)
    for told in ("sandbox", "items.read", "&lt;b&gt;", BACK, "Allow", "Deny"):
        assert told in page.text
    assert "<b>" not in page.text
    reply = wire("POST", AUTHORIZE[persona], params=asked, data={"decision": decision})
    assert reply.status_code == 303
    told = answer(reply)
    assert told["state"] == "s&1"
    if decision == "deny":
        assert told["error"] == "access_denied"
    else:
        assert redeem(wire, persona, told["code"]).status_code == 200


def test_ask_is_for_browsers(wire_to):
    """`Sandbox(ask=True)`, which `serve` uses, asks whoever accepts HTML and redirects everyone else."""
    wire = wire_to(Sandbox(ask=True))
    assert wire("GET", AUTHORIZE["strict"], params=question(), headers=BROWSER).status_code == 200
    assert wire("GET", AUTHORIZE["strict"], params=question()).status_code == 302
    at_once = wire("GET", AUTHORIZE["strict"], params=question(sandbox_person="allow"), headers=BROWSER)
    assert "code" in answer(at_once)


def test_the_page_is_closed(wire):
    """No script, nothing from elsewhere, not kept, not framed; the form may go where it must, and only there."""
    page = wire("GET", AUTHORIZE["strict"], params=question(sandbox_person="ask"))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.endswith("form-action 'self' http://127.0.0.1:8765")
    assert page.headers["cache-control"] == "no-store"
    style = re.search("<style>(.*)</style>", page.text)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    for word in ("<script", "src=", "href=", "url("):
        assert word not in page.text
    ipv6 = question(sandbox_person="ask", redirect_uri="http://[::1]:8765/callback")
    policy = wire("GET", AUTHORIZE["strict"], params=ipv6).headers["content-security-policy"]
    assert policy.endswith("form-action 'self' http:")


@pytest.mark.parametrize("form", [{}, {"decision": "maybe"}])
def test_no_decision_asks_again(wire, form):
    """A form without one of the two words is no consent."""
    reply = wire("POST", AUTHORIZE["strict"], params=question(), data=form)
    assert (reply.status_code, "Allow" in reply.text) == (200, True)


def test_what_is_wrong_is_told_before_anyone_is_asked(wire):
    """A bad request goes back to the client, a bad redirect URI stays with the person, nobody is asked."""
    bad = wire("GET", AUTHORIZE["strict"], params=question(sandbox_person="ask", code_challenge=""))
    assert answer(bad)["error"] == "invalid_request"
    nobody = wire("GET", AUTHORIZE["strict"], params=question(sandbox_person="nobody"))
    assert answer(nobody)["error"] == "invalid_request"
    elsewhere = question(sandbox_person="ask", redirect_uri="https://evil.example/")
    assert wire("GET", AUTHORIZE["strict"], params=elsewhere).status_code == 400
    unread = wire("POST", AUTHORIZE["strict"], params=question(), content=b"\xff")
    assert answer(unread)["error"] == "invalid_request"
