"""Two habits of some servers: a rotated refresh token with a grace, and data that wants a stronger login."""

from __future__ import annotations

import pytest
from sandbox_room import TOKEN, log_in

from connector.sandbox import Sandbox

PATH = TOKEN["strict"]
SECURE = "/strict/api/secure"
ACR = "urn:sandbox:two-factors"


@pytest.fixture
def sandbox(clock):
    """One that forgives for ten seconds."""
    return Sandbox(grace_s=10, clock=clock)


def test_a_second_use_answers_the_same_successor(wire, clock):
    """Within the grace nobody is punished: the same refresh token, another good access token."""
    first = wire.sandbox.authorize("strict")
    second = wire.refresh(PATH, first["refresh_token"]).json()
    clock.now += 9.9
    again = wire.refresh(PATH, first["refresh_token"]).json()
    assert again["refresh_token"] == second["refresh_token"] != first["refresh_token"]
    assert again["access_token"] != second["access_token"]
    for reply in (second, again):
        assert wire.get("/strict/api/items", reply["access_token"]).status_code == 200
    assert wire.refresh(PATH, second["refresh_token"]).is_success


def test_the_grace_ends(wire, clock):
    """After it a second use kills the family (RFC 9700 section 4.14.2), and uses do not prolong it."""
    first = wire.sandbox.authorize("strict")
    second = wire.refresh(PATH, first["refresh_token"]).json()
    clock.now += 6
    assert wire.refresh(PATH, first["refresh_token"]).is_success
    clock.now += 4
    assert wire.refresh(PATH, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert wire.refresh(PATH, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert wire.get("/strict/api/items", second["access_token"]).status_code == 401


def test_the_grace_is_for_the_last_one(wire):
    """Once the successor was used as well, its predecessor kills."""
    first = wire.sandbox.authorize("strict")
    second = wire.refresh(PATH, first["refresh_token"]).json()
    third = wire.refresh(PATH, second["refresh_token"]).json()
    assert wire.refresh(PATH, second["refresh_token"]).json()["refresh_token"] == third["refresh_token"]
    assert wire.refresh(PATH, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert wire.refresh(PATH, third["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_revoked_login_has_no_grace(wire):
    """Revoking ends all of it."""
    first = wire.sandbox.authorize("strict")
    second = wire.refresh(PATH, first["refresh_token"]).json()
    wire.token("/strict/revoke", token=second["refresh_token"])
    assert wire.refresh(PATH, first["refresh_token"]).json()["error"] == "invalid_grant"


def test_without_a_grace_there_is_none(wire_to, clock):
    """The default is the strict one."""
    wire = wire_to(Sandbox(clock=clock))
    first = wire.sandbox.authorize("strict")
    assert wire.refresh(PATH, first["refresh_token"]).is_success
    assert wire.refresh(PATH, first["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_login_is_not_enough(wire):
    """401 with what would be (RFC 9470 section 3), and the same for every other login."""
    refused = wire.get(SECURE, log_in(wire, "strict")["access_token"])
    assert (refused.status_code, refused.json()["error"]) == (401, "insufficient_user_authentication")
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    for words in ('error="insufficient_user_authentication"', f'acr_values="{ACR}"', 'max_age="300"'):
        assert words in challenge
    other = log_in(wire, "strict", acr_values="urn:other")["access_token"]
    assert wire.get(SECURE, other).json()["error"] == "insufficient_user_authentication"
    own = wire.token(PATH, grant_type="client_credentials").json()["access_token"]
    assert wire.get(SECURE, own).json()["error"] == "insufficient_user_authentication"


def test_a_login_with_two_factors_is(wire, clock):
    """acr_values at the authorization page (section 4) opens it; introspection tells (section 6.2)."""
    reply = log_in(wire, "strict", acr_values=f"urn:other {ACR}", max_age="300")
    begun = int(clock.now)
    assert wire.get(SECURE, reply["access_token"]).json() == {"secure": True, "acr": ACR}
    told = wire.token("/strict/introspect", token=reply["access_token"]).json()
    assert (told["acr"], told["auth_time"]) == (ACR, begun)
    clock.now += 200
    renewed = wire.refresh(PATH, reply["refresh_token"]).json()
    assert wire.get(SECURE, renewed["access_token"]).status_code == 200
    clock.now += 101
    assert wire.get(SECURE, renewed["access_token"]).json()["error"] == "insufficient_user_authentication"


def test_the_door_comes_first(wire):
    """A missing token and a missing scope are told as everywhere."""
    assert "insufficient_user" not in wire.get(SECURE).text
    token = log_in(wire, "strict", acr_values=ACR, scope="items.write")["access_token"]
    assert wire.get(SECURE, token).json()["error"] == "insufficient_scope"
