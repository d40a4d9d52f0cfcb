"""Tokens and time: lifetimes are scaled and chosen, restarts and neighbours keep tokens, forgeries fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.sandbox import Sandbox
from connector.sandbox.tokens import Claims, Signer, fingerprint
from connector.secret import Secret

PROBES = {
    "coupa": "/coupa/api/suppliers?limit=1",
    "servicenow": "/servicenow/api/now/table/sys_user?sysparm_limit=1",
    "strict": "/strict/api/items?limit=1",
    "flaky": "/flaky/api/items?limit=1&fault=none",
}
VENDOR_S = {"coupa": 86_400, "servicenow": 1_800, "strict": 300, "flaky": 300}
TOKENS = {
    "coupa": "/coupa/oauth2/token",
    "servicenow": "/servicenow/oauth_token.do",
    "strict": "/strict/token",
    "flaky": "/flaky/token",
}
PERSONAS = list(PROBES)


def authorized(sandbox, persona, **more):
    """A reply with every scope that the tests need."""
    scopes = ["core.supplier.read", "offline_access"] if persona == "coupa" else []
    return sandbox.authorize(persona, scopes=scopes, **more)


@pytest.mark.parametrize("persona", PERSONAS)
@pytest.mark.parametrize(("of_all_s", "own_s"), [(None, None), (4.9, None), (4.9, 2.5)])
def test_lifetimes(wire_to, clock, persona, of_all_s, own_s):
    """The vendor's lifetime, the sandbox's or the account's own: cut to whole seconds, true to the end."""
    wire = wire_to(Sandbox(lifetime_s=of_all_s, clock=clock))
    lasting_s = own_s or of_all_s or VENDOR_S[persona]
    reply = authorized(wire.sandbox, persona, lifetime_s=own_s)
    assert reply["expires_in"] == int(lasting_s)
    clock.now += lasting_s - 0.01
    assert wire.get(PROBES[persona], reply["access_token"]).status_code == 200
    clock.now += 0.02
    assert wire.get(PROBES[persona], reply["access_token"]).status_code == 401
    renewed = wire.refresh(TOKENS[persona], reply["refresh_token"]).json()
    assert renewed["expires_in"] == int(lasting_s)
    assert wire.get(PROBES[persona], renewed["access_token"]).status_code == 200


def test_lifetime_chosen_in_the_call(wire, clock):
    """The form field sandbox_lifetime decides for one call and for what is renewed from it."""
    reply = wire.sandbox.authorize("strict")
    chosen = wire.refresh("/strict/token", reply["refresh_token"], sandbox_lifetime="7").json()
    assert chosen["expires_in"] == 7
    assert wire.refresh("/strict/token", chosen["refresh_token"]).json()["expires_in"] == 7


@pytest.mark.parametrize("persona", PERSONAS)
def test_expire(wire, persona):
    """After expire every access token of that persona gets a 401; new ones are good at once."""
    old = authorized(wire.sandbox, persona)
    wire.sandbox.expire(persona)
    assert wire.get(PROBES[persona], old["access_token"]).status_code == 401
    new = wire.refresh(TOKENS[persona], old["refresh_token"]).json()
    assert wire.get(PROBES[persona], new["access_token"]).status_code == 200


@pytest.mark.parametrize("persona", PERSONAS)
def test_restart_keeps_tokens(wire_to, persona):
    """A new sandbox of the same seed takes both tokens, one of another seed neither."""
    reply = authorized(Sandbox(seed=1), persona)
    same, other = wire_to(Sandbox(seed=1)), wire_to(Sandbox(seed=2))
    assert same.get(PROBES[persona], reply["access_token"]).status_code == 200
    assert same.refresh(TOKENS[persona], reply["refresh_token"]).status_code == 200
    assert other.get(PROBES[persona], reply["access_token"]).status_code == 401
    assert other.refresh(TOKENS[persona], reply["refresh_token"]).status_code in (400, 401)


def test_restart_follows_rotation(wire_to):
    """A family that is new to a process is taken up at its generation, and from then on reuse kills it."""
    before = wire_to(Sandbox(seed=1))
    reply = before.sandbox.authorize("strict")
    for _ in range(3):
        reply = before.refresh("/strict/token", reply["refresh_token"]).json()
    after = wire_to(Sandbox(seed=1))
    following = after.refresh("/strict/token", reply["refresh_token"]).json()
    assert after.refresh("/strict/token", reply["refresh_token"]).status_code == 400
    assert after.refresh("/strict/token", following["refresh_token"]).status_code == 400


def test_personas_keep_to_themselves(wire):
    """A token of one persona is nothing at another, and a refresh token is no access token."""
    reply = wire.sandbox.authorize("strict")
    assert wire.get(PROBES["flaky"], reply["access_token"]).status_code == 401
    assert wire.get(PROBES["strict"], reply["refresh_token"]).status_code == 401


@settings(max_examples=200)
@given(st.text(max_size=80))
def test_forgeries(text):
    """No text but a signed one can be read, and nothing makes the reader raise."""
    assert Signer(7).read(text) is None
    claims = Claims(persona="strict", kind="access", issued_at=0, expires_at=1)
    real = Signer(7).sign(claims)
    assert Signer(7).read(text + real) == (None if text else claims)


@given(st.text())
def test_fingerprint_is_the_products(text):
    """The counts name tokens exactly as the product's own secrets do."""
    assert fingerprint(text) == Secret(text).fingerprint
