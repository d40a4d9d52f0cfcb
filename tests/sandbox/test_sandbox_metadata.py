"""What the strict server says of itself (RFC 8414), and that every word of it is true."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

SITE = "http://sandbox.test"
ADDRESSES = ["/.well-known/oauth-authorization-server/strict", "/strict/.well-known/openid-configuration"]


@pytest.fixture
def document(wire):
    """The document at the RFC's own address."""
    return wire.get(ADDRESSES[0]).json()


def test_both_addresses(wire, document):
    """The well-known part stands before the issuer's path (section 3.1), or after it for OpenID Connect."""
    assert wire.get(ADDRESSES[1]).json() == document
    assert document["issuer"] == SITE + "/strict"
    assert wire.get("/strict/.well-known/oauth-authorization-server").status_code == 404
    assert wire.get("/.well-known/oauth-authorization-server").status_code == 404


def test_every_endpoint_answers(wire, document):
    """No address leads nowhere, whichever method it wants."""
    named = {name: url for name, url in document.items() if name.endswith("_endpoint")}
    assert set(named) == {
        f"{name}_endpoint"
        for name in (
            "authorization",
            "token",
            "revocation",
            "introspection",
            "pushed_authorization_request",
            "device_authorization",
            "userinfo",
        )
    }
    for url in named.values():
        assert url.startswith(document["issuer"] + "/")
        path = urlsplit(url).path
        assert {wire("GET", path).status_code, wire("POST", path).status_code}.isdisjoint({404, 500})


def test_what_it_offers(document):
    """The words that clients decide by."""
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["require_pushed_authorization_requests"] is False
    assert {"client_secret_basic", "none"} <= set(document["token_endpoint_auth_methods_supported"])
    assert {"authorization_code", "refresh_token"} <= set(document["grant_types_supported"])


def test_every_grant_is_known(wire, document):
    """Each grant type that is named is understood: what is missing is another thing."""
    for grant in document["grant_types_supported"]:
        reply = wire.token("/strict/token", grant_type=grant)
        assert reply.is_success or reply.json()["error"] in ("invalid_grant", "invalid_request"), grant
    assert wire.token("/strict/token", grant_type="x").json()["error"] == "unsupported_grant_type"
