"""ServiceNow: one error for all, the same refresh token again, sessions that outlive tokens, short pages."""

from __future__ import annotations

import re

import pytest
from sandbox_room import log_in

from connector.sandbox import CLIENT_ID, PUBLIC_CLIENT_ID

TOKEN = "/servicenow/oauth_token.do"
TABLE = "/servicenow/api/now/table"
DENIED = {"error": "server_error", "error_description": "access_denied"}


@pytest.mark.parametrize(
    "fields",
    [
        {"grant_type": "refresh_token", "refresh_token": "dead"},
        {"grant_type": "client_credentials", "client_secret": "wrong"},
        {"grant_type": "password", "username": "admin", "password": "wrong"},
        {"grant_type": "device_code"},
    ],
)
def test_one_error_for_all(wire, fields):
    """Whatever is wrong, the answer is the same 401."""
    reply = wire.token(TOKEN, **fields)
    assert (reply.status_code, reply.json()) == (401, DENIED)


def test_credentials_in_the_url_are_refused(wire):
    """Fields come in the body only."""
    reply = wire.token(TOKEN + "?client_id=sandbox", grant_type="client_credentials")
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_request")


@pytest.mark.parametrize(
    ("fields", "refreshable"),
    [
        ({"grant_type": "client_credentials"}, False),
        ({"grant_type": "password", "username": "admin", "password": "sandbox"}, True),
    ],
)
def test_grants(wire, fields, refreshable):
    """A password yields a refresh token, client_credentials none."""
    reply = wire.token(TOKEN, **fields).json()
    assert reply["expires_in"] == 1800
    assert ("refresh_token" in reply) is refreshable


@pytest.mark.parametrize(("client_id", "refreshable"), [(CLIENT_ID, True), (PUBLIC_CLIENT_ID, False)])
def test_authorization_code(wire, client_id, refreshable):
    """A client with a secret gets a refresh token from a login; a public one, with PKCE, gets none."""
    reply = log_in(wire, "servicenow", client_id)
    assert reply["expires_in"] == 1800
    assert ("refresh_token" in reply) is refreshable
    assert wire.get(f"{TABLE}/sys_user?sysparm_limit=1", reply["access_token"]).is_success


def test_public_clients_get_no_refresh_token(wire):
    """Public clients must come back through the login."""
    assert "refresh_token" not in wire.sandbox.authorize("servicenow", client_id=PUBLIC_CLIENT_ID)


def test_refresh_reissues(wire, clock):
    """A still valid access token comes back unchanged with the rest of its time, a dead one is replaced."""
    first = wire.sandbox.authorize("servicenow", lifetime_s=10.0)
    clock.now += 3.5
    again = wire.refresh(TOKEN, first["refresh_token"]).json()
    assert again["access_token"] == first["access_token"]
    assert again["refresh_token"] == first["refresh_token"]
    assert again["expires_in"] == 6
    clock.now += 6.5
    later = wire.refresh(TOKEN, first["refresh_token"]).json()
    assert later["access_token"] != first["access_token"]
    assert (later["refresh_token"], later["expires_in"]) == (first["refresh_token"], 10)
    wire.sandbox.expire("servicenow")
    forced = wire.refresh(TOKEN, first["refresh_token"]).json()
    assert wire.get(f"{TABLE}/cmdb_ci", forced["access_token"]).status_code == 200


def test_refresh_expiry_stays(wire, clock):
    """A refresh does not move the end of the refresh token: 8,640,000 s after the consent it is dead."""
    refresh_token = wire.sandbox.authorize("servicenow")["refresh_token"]
    clock.now += 8_639_999
    assert wire.refresh(TOKEN, refresh_token).status_code == 200
    clock.now += 2
    assert wire.refresh(TOKEN, refresh_token).json() == DENIED


def test_session_outlives_the_token(wire, clock):
    """Who keeps the cookie of a token call is let in with a dead token; who drops it is not."""
    reply = wire.token(TOKEN, grant_type="client_credentials", sandbox_lifetime="5")
    token, session = reply.json()["access_token"], reply.cookies["JSESSIONID"]
    clock.now += 6
    refused = wire.get(f"{TABLE}/sys_user?sysparm_limit=1", token)
    assert refused.status_code == 401
    assert refused.json()["error"]["message"] == "User Not Authenticated"
    kept = wire.get(f"{TABLE}/sys_user?sysparm_limit=1", token, headers={"Cookie": f"JSESSIONID={session}"})
    assert kept.status_code == 200


def test_state_is_required(wire):
    """The login page wants a state."""
    asked = {"response_type": "code", "client_id": "sandbox", "redirect_uri": "http://localhost:1/"}
    reply = wire("GET", "/servicenow/oauth_auth.do", params=asked)
    assert "error=invalid_request" in reply.headers["location"]


def test_revocation_needs_no_client(wire):
    """Anyone who holds a token can revoke it."""
    reply = wire.sandbox.authorize("servicenow")
    token = reply["refresh_token"]
    assert wire("POST", "/servicenow/oauth_revoke_token.do", data={"token": token}).status_code == 200
    assert wire.refresh(TOKEN, token).json() == DENIED


def test_link_paging(wire):
    """Following rel=next reads every visible incident, over short and even empty pages in the middle."""
    token = wire.sandbox.authorize("servicenow")["access_token"]
    url, numbers, sizes = f"{TABLE}/incident?sysparm_limit=10&sysparm_fields=number", [], []
    while url:
        reply = wire.get(url, token)
        page = reply.json()["result"]
        numbers += [row["number"] for row in page]
        sizes.append(len(page))
        assert reply.headers["x-total-count"] == "2500"
        following = re.search(r'<([^>]*)>;rel="next"', reply.headers["link"])
        url = following[1] if following else ""
    assert len(numbers) == len(set(numbers)) == wire.sandbox.records.visible("incident") == 2460
    assert len(sizes) == 250
    assert 0 in sizes[:-1]
    assert sizes[-1] > 0


def test_table_rows(wire):
    """Rows can be filtered, made, changed and read; problems come in ServiceNow's shape."""
    token = wire.sandbox.authorize("servicenow")["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    made = wire("POST", f"{TABLE}/incident", headers=headers, json={"short_description": "Cold office"})
    assert (made.status_code, made.json()["result"]["number"]) == (201, "INC0012501")
    path = f"{TABLE}/incident/{made.json()['result']['sys_id']}"
    assert made.headers["location"].endswith(path)
    assert wire("PATCH", path, headers=headers, json={"state": "6"}).json()["result"]["state"] == "6"
    found = wire.get(f"{TABLE}/incident?sysparm_query=number=INC0012501^ORDERBYnumber", token).json()[
        "result"
    ]
    assert [row["short_description"] for row in found] == ["Cold office"]
    assert wire.get(f"{TABLE}/nothing", token).json()["status"] == "failure"
    assert wire.get(f"{TABLE}/incident/0", token).status_code == 404
    hidden = next(iter(wire.sandbox.records.hidden()))
    assert wire.get(f"{TABLE}/incident/{hidden}", token).status_code == 404
    assert wire("POST", f"{TABLE}/incident", headers=headers, content="[").status_code == 400
