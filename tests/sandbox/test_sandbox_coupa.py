"""Coupa: the offline_access table, scopes, error bodies, XML and JSON, 50 records a page."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from connector.sandbox import CLIENT_ID, PUBLIC_CLIENT_ID

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

TOKEN = "/coupa/oauth2/token"
BACK = "http://127.0.0.1:8765/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def consent(wire, client_id, scope, **more):
    """Return the query of the redirect that the authorization page answers with."""
    asked = {"response_type": "code", "client_id": client_id, "redirect_uri": BACK, "scope": scope, **more}
    reply = wire("GET", "/coupa/oauth2/authorizations/new", params=asked)
    assert reply.status_code == 302
    assert reply.headers["location"].startswith(BACK + "?")
    return {name: texts[0] for name, texts in parse_qs(urlsplit(reply.headers["location"]).query).items()}


def obtain(wire, kind, scope):
    """Go through one grant to its token reply."""
    if kind == "client_credentials":
        return wire.token(TOKEN, grant_type=kind, scope=scope).json()
    if kind == "shared secret":
        code = consent(wire, CLIENT_ID, scope)["code"]
        return wire.token(TOKEN, grant_type="authorization_code", code=code, redirect_uri=BACK).json()
    if kind.startswith("device"):
        who = {"client_id": PUBLIC_CLIENT_ID, "client_secret": ""} if kind == "device, public" else {}
        begun = wire.token("/coupa/oauth2/device_authorization", scope=scope, **who).json()
        wire.sandbox.approve(begun["user_code"])
        return wire.token(TOKEN, grant_type=DEVICE_GRANT, device_code=begun["device_code"], **who).json()
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = consent(wire, PUBLIC_CLIENT_ID, scope, **pkce)["code"]
    who = {"client_id": PUBLIC_CLIENT_ID, "client_secret": "", "code_verifier": VERIFIER}
    return wire.token(TOKEN, grant_type="authorization_code", code=code, redirect_uri=BACK, **who).json()


@pytest.mark.parametrize(
    ("kind", "offline", "refreshable"),
    [
        ("client_credentials", False, False),
        ("client_credentials", True, False),
        ("shared secret", False, False),
        ("shared secret", True, True),
        ("pkce", False, False),
        ("pkce", True, True),
        ("device", False, False),
        ("device", True, True),
        ("device, public", False, False),
        ("device, public", True, True),
    ],
)
def test_offline_access(wire, kind, offline, refreshable):
    """A refresh token comes with offline_access and a person's consent, never with client_credentials."""
    reply = obtain(wire, kind, "core.invoice.read" + " offline_access" * offline)
    assert (reply["expires_in"], reply["token_type"]) == (86_400, "bearer")
    assert ("refresh_token" in reply) is refreshable
    if refreshable:
        public = kind in ("pkce", "device, public")
        who = {"client_id": PUBLIC_CLIENT_ID, "client_secret": ""} if public else {}
        renewed = wire.refresh(TOKEN, reply["refresh_token"], **who).json()
        assert (renewed["expires_in"], renewed["scope"]) == (86_400, reply["scope"])


def test_a_public_client_needs_a_person(wire):
    """A client without a secret cannot ask for itself: 400, since it is not a wrong secret."""
    who = {"client_id": PUBLIC_CLIENT_ID, "client_secret": ""}
    reply = wire.token(TOKEN, grant_type="client_credentials", scope="core.invoice.read", **who)
    assert (reply.status_code, reply.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": "client_credentials"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "a", "client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "a", "client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password", "scope": "a"}, 400, "unsupported_grant_type"),
        ({"scope": "a"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "old"}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials", "scope": "a", "sandbox_lifetime": "x"}, 400, "invalid_request"),
    ],
)
def test_refusals(wire, fields, status, error):
    """Refusals look like rack-oauth2's: 401 with a Basic challenge for the client, 400 for the rest."""
    reply = wire.token(TOKEN, **fields)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert reply.headers.get("www-authenticate", "").startswith("Basic") is (status == 401)
    assert wire.sandbox.counts["coupa"].refused == 1


def test_basic_is_refused(wire):
    """Client id and secret belong in the body."""
    form = {"grant_type": "client_credentials", "scope": "a"}
    assert wire("POST", TOKEN, data=form, auth=("sandbox", "sandbox-secret")).status_code == 401


@pytest.mark.parametrize("client_id", [CLIENT_ID, PUBLIC_CLIENT_ID])
@pytest.mark.parametrize("verifier", ["w" * 43, ""])
def test_pkce_mismatch(wire, client_id, verifier):
    """A wrong verifier, or none, is invalid_grant (RFC 7636 section 4.6), and the code stays good for the right one."""
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = consent(wire, client_id, "a", **pkce)["code"]
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": client_id}
    grant["client_secret"] = "sandbox-secret" if client_id == CLIENT_ID else ""
    reply = wire.token(TOKEN, **grant, code_verifier=verifier)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")
    assert wire.token(TOKEN, **grant, code_verifier=VERIFIER).is_success


def test_code_is_good_once(wire):
    """The second exchange of a code is refused, and what the first one gave is dead."""
    grant = {"grant_type": "authorization_code", "redirect_uri": BACK}
    grant["code"] = consent(wire, CLIENT_ID, "core.invoice.read")["code"]
    token = wire.token(TOKEN, **grant).json()["access_token"]
    assert wire.get("/coupa/api/invoices", token).status_code == 200
    assert wire.token(TOKEN, **grant).json()["error"] == "invalid_grant"
    assert wire.get("/coupa/api/invoices", token).status_code == 401


def test_authorization_page(wire):
    """It hands state back, reports what is wrong, and never redirects to another machine."""
    assert consent(wire, CLIENT_ID, "a", state="s&1")["state"] == "s&1"
    assert consent(wire, CLIENT_ID, "")["error"] == "invalid_scope"
    assert consent(wire, PUBLIC_CLIENT_ID, "a")["error"] == "invalid_request"
    asked = {"response_type": "code", "client_id": CLIENT_ID, "scope": "a"}
    for address in ("https://evil.example/cb", "http://127.0.0.1.evil.example/", "http://[::1", ""):
        reply = wire("GET", "/coupa/oauth2/authorizations/new", params={**asked, "redirect_uri": address})
        assert reply.status_code == 400


def test_offset_paging(wire):
    """Pages of at most 50 add up to every invoice, in a stable order."""
    token = wire.sandbox.authorize("coupa", scopes=["core.invoice.read"])["access_token"]
    seen = []
    while page := wire.get(f"/coupa/api/invoices?offset={len(seen)}&limit=500", token).json():
        assert len(page) <= 50
        seen += [record["id"] for record in page]
    assert seen == list(range(1, 3001))


def test_scopes_guard_the_api(wire):
    """Reading, writing and each collection want their own scope; without a token it is a 401."""
    token = wire.sandbox.authorize("coupa", scopes=["core.invoice.read"])["access_token"]
    assert wire.get("/coupa/api/suppliers", token).status_code == 403
    headers = {"Authorization": f"Bearer {token}"}
    assert wire("POST", "/coupa/api/invoices", headers=headers, json={}).status_code == 403
    reply = wire.get("/coupa/api/suppliers")
    assert (reply.status_code, reply.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert wire.sandbox.counts["coupa"].unauthorized == 1


def test_xml_unless_json(wire):
    """Without an Accept header the answer is XML, and XML is taken back."""
    token = wire.sandbox.authorize("coupa", scopes=["core.invoice.read", "core.invoice.write"])[
        "access_token"
    ]
    headers = {"Authorization": f"Bearer {token}"}
    reply = wire("GET", "/coupa/api/invoices/1", headers=headers)
    assert reply.headers["content-type"].startswith("application/xml")
    assert "<invoice><id type=" in reply.text
    changed = reply.text.replace("<status>new<", "<status>approved<")
    assert wire("PUT", "/coupa/api/invoices/1", headers=headers, content=changed).status_code == 200
    assert wire.get("/coupa/api/invoices/1", token).json()["status"] == "approved"
    for bad in ("<!DOCTYPE x><x/>", "<x", ""):
        assert wire("PUT", "/coupa/api/invoices/1", headers=headers, content=bad).status_code == 400


def test_create(wire):
    """A new invoice gets the next id and is listed; one without a number is refused."""
    token = wire.sandbox.authorize("coupa", scopes=["core.invoice.read", "core.invoice.write"])[
        "access_token"
    ]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    reply = wire("POST", "/coupa/api/invoices", headers=headers, json={"invoice-number": "X-1"})
    assert (reply.status_code, reply.json()["id"]) == (201, 3001)
    assert wire.get("/coupa/api/invoices?offset=3000", token).json() == [reply.json()]
    assert wire("POST", "/coupa/api/invoices", headers=headers, json={}).status_code == 400
    assert wire.get("/coupa/api/invoices/9999", token).status_code == 404
    assert wire.get("/coupa/api/invoices?invoice_number=X-1", token).json() == [reply.json()]
