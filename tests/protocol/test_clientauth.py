"""How a client proves itself: one way per call, at every place of the server."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from protocol_room import ISSUER, NOW, account, credentials, form, header, part

from connector.account import Account, TlsFiles
from connector.clientauth import CLIENT_AUTHENTICATION, WITH_CERTIFICATE, WITH_SECRET
from connector.credentials import Credentials
from connector.device import device_request
from connector.errors import NotAuthorizedError
from connector.grants import ClientCredentials
from connector.inspection import introspect_request, revoke_request
from connector.secret import Secret
from connector.token import Token
from connector.tokenrequest import TokenRequest

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = Secret(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
TOKEN = Token(access_token=Secret("a"), refresh_token=Secret("r"), obtained_at=NOW)
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
WAYS = sorted(CLIENT_AUTHENTICATION)


def having(**more: Any) -> Credentials:
    """Credentials with a private key too."""
    return credentials(secrets={"private_key": PEM}, **more)


def asked(made: Account, given: Credentials | None = None) -> TokenRequest:
    """A token request of the client for itself."""
    request = ClientCredentials().obtain(made, given or having())
    assert request is not None
    return request


@pytest.mark.parametrize("way", WAYS)
def test_one_way_per_call(way: str) -> None:
    """RFC 6749 section 2.3: exactly what this way needs, and nothing of any other."""
    request = asked(account({"token": {"auth": way}}, tls=TlsFiles(certificate="/c.pem")))
    assertion = {"client_id", "client_assertion", "client_assertion_type"}
    expected = {
        "client_secret_basic": set(),
        "client_secret_post": {"client_id", "client_secret"},
        "client_secret_jwt": assertion,
        "private_key_jwt": assertion,
    }.get(way, {"client_id"})
    assert set(form(request)) == {"grant_type", *expected}
    assert bool(header(request, "Authorization")) is (way == "client_secret_basic")
    assert request.tls == TlsFiles(certificate="/c.pem")


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_never_in_the_url(way: str) -> None:
    """RFC 6749 section 2.3.1: credentials travel in a header or the body."""
    request = asked(account({"token": {"auth": way}}))
    assert request.url == f"{ISSUER}/token"
    assert "pass" not in repr(request)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "call",
    [
        lambda made, given: device_request(made, given),
        lambda made, given: revoke_request(made, given, TOKEN),
        lambda made, given: introspect_request(made, given, TOKEN),
    ],
    ids=["device", "revoke", "introspect"],
)
def test_the_same_way_everywhere(way: str, call: Callable[[Account, Credentials], TokenRequest]) -> None:
    """RFC 8628 section 3.1, RFC 7009 section 2.1, RFC 7662 section 2.1: as at the token endpoint."""
    for made in (account({"token": {"auth": way}}), account(client_auth=way)):
        at_token, here = form(asked(made)), form(call(made, having()))
        names = {"client_id", "client_secret", "client_assertion_type"}
        assert {n: v for n, v in here.items() if n in names} == {
            n: v for n, v in at_token.items() if n in names
        }
        assert header(call(made, having()), "Authorization") == header(asked(made), "Authorization")


def test_a_place_may_want_another_way() -> None:
    """What the endpoint says of one place counts there, also against the account's word for the rest."""
    made = account({"revoke": {"auth": "none"}}, client_auth="client_secret_basic")
    request = revoke_request(made, credentials(), TOKEN)
    assert "client_secret" not in form(request)
    assert header(request, "Authorization") == ""
    assert header(introspect_request(made, credentials(), TOKEN), "Authorization").startswith("Basic ")


@pytest.mark.parametrize("way", ["client_secret_jwt", "private_key_jwt"])
def test_an_assertion_in_full(way: str) -> None:
    """RFC 7523 sections 2.2 and 3: who, for whom, how long, and once; the audience is the issuer."""
    request = asked(account({"token": {"auth": way}}, key_id="k1" if way == "private_key_jwt" else ""))
    token = form(request)["client_assertion"]
    assert form(request)["client_assertion_type"] == BEARER
    assert part(token, 1) == {
        "iss": "me",
        "sub": "me",
        "aud": ISSUER,
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "jti": "once",
    }
    if way == "private_key_jwt":
        assert part(token, 0)["kid"] == "k1"
        jwt.decode(token, KEY.public_key(), algorithms=["ES256"], audience=ISSUER,
                   options={"verify_exp": False, "verify_iat": False})  # fmt: skip


def test_the_audience_without_an_issuer() -> None:
    """Then it is the address of the call, which must be the server's own."""
    made = account({"issuer": None, "token": {"auth": "private_key_jwt"}})
    assert part(form(asked(made))["client_assertion"], 1)["aud"] == f"{ISSUER}/token"


def test_an_assertion_holds_no_secret() -> None:
    """The secret signs and stays here."""
    request = asked(
        account({"token": {"auth": "client_secret_jwt"}}), having(client_secret=Secret("hunter2hunter2"))
    )
    assert b"hunter2" not in request.body
    payload = form(request)["client_assertion"].split(".")[1]
    assert b"hunter2" not in base64.urlsafe_b64decode(payload + "==")


def test_a_missing_key_is_named() -> None:
    """The error says which field the account lacks."""
    with pytest.raises(NotAuthorizedError, match="private_key") as caught:
        asked(account({"token": {"auth": "private_key_jwt"}}), credentials())
    assert caught.value.code == "incomplete_account"


def test_what_ways_need() -> None:
    """The lists by which accounts are checked speak of ways that exist."""
    assert set(CLIENT_AUTHENTICATION) >= WITH_SECRET | WITH_CERTIFICATE
    assert not WITH_SECRET & WITH_CERTIFICATE


def test_nothing_is_used_twice() -> None:
    """`again` gives each further call of one breath its own unique text, and keeps the nonce it was given."""
    first = credentials()
    second = first.again(dpop_nonce="n")
    third = second.again()
    assert len({first.unique, second.unique, third.unique}) == 3
    assert (second.dpop_nonce, third.dpop_nonce) == ("n", "n")
    assert "pass" not in repr(having())
