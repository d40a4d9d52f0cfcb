"""The grants beside the usual ones: password, JWT bearer, token exchange."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from protocol_room import ISSUER, NOW, account, credentials, form, header, part

from connector.credentials import Credentials
from connector.errors import NotAuthorizedError
from connector.grants import Grant, JwtBearer, Password, TokenExchange
from connector.jwts import new_dpop_key
from connector.secret import Secret
from connector.token import Token

KEY = ec.generate_private_key(ec.SECP384R1())
PEM = Secret(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
BARE = Token(access_token=Secret("old"), obtained_at=NOW)
WHOLE = Token(access_token=Secret("old"), refresh_token=Secret("refresh"), obtained_at=NOW)
CLIENT = {"client_id": "me", "client_secret": "pass"}
URN = "urn:ietf:params:oauth:"


def having(**secrets: str | Secret) -> Credentials:
    """Credentials with these secrets."""
    return credentials(
        secrets={name: text if isinstance(text, Secret) else Secret(text) for name, text in secrets.items()}
    )


def obtained(grant: Grant, given: Credentials, **more: Any) -> dict[str, str]:
    """The fields by which a grant begins."""
    request = grant.obtain(account(**more), given)
    assert request is not None
    assert request.presents == ""
    return form(request)


def test_password() -> None:
    """RFC 6749 section 4.3.2: username, password and scope, with the client's proof; a refresh token is wanted."""
    given = having(username="ada", password="p w&d")
    assert obtained(Password(), given, spec={"scopes": {"offline": ["offline_access"]}}, scopes=("a",)) == {
        "grant_type": "password",
        "username": "ada",
        "password": "p w&d",
        "scope": "a offline_access",
        **CLIENT,
    }


def test_a_password_is_hidden() -> None:
    """What a server repeats of it is found and taken out of messages."""
    request = Password().obtain(account(), having(username="ada", password="hunter2"))
    assert request is not None
    assert {Secret("ada"), Secret("hunter2")} <= set(request.secrets)
    assert "hunter2" not in repr(request)


def test_jwt_bearer_in_full() -> None:
    """RFC 7523 sections 2.1 and 3: an assertion of ours, signed; its claims are the account's where it says so."""
    fields = obtained(
        JwtBearer(), having(private_key=PEM), key_id="k", claims={"sub": "ada", "x": [1]}, scopes=("a",)
    )
    assertion = fields.pop("assertion")
    assert fields == {"grant_type": f"{URN}grant-type:jwt-bearer", "scope": "a", **CLIENT}
    assert part(assertion, 0) == {"alg": "ES384", "kid": "k", "typ": "JWT"}
    assert part(assertion, 1) == {
        "iss": "me",
        "sub": "ada",
        "aud": ISSUER,
        "iat": int(NOW),
        "exp": int(NOW) + 300,
        "jti": "once",
        "x": [1],
    }


def test_the_audience_is_the_token_endpoint_without_an_issuer() -> None:
    """RFC 7523 section 3, item 3: the server's own address is an audience too."""
    assertion = obtained(JwtBearer(), having(private_key=PEM), spec={"issuer": None})["assertion"]
    assert part(assertion, 1)["aud"] == f"{ISSUER}/token"


def test_an_assertion_made_elsewhere() -> None:
    """It is shown as it is; no key is needed."""
    assert obtained(JwtBearer(), having(assertion="e.y.J"))["assertion"] == "e.y.J"


def test_token_exchange_in_full() -> None:
    """RFC 8693 section 2.1: each token with its type, short names made long; what is not said is not sent."""
    assert obtained(TokenExchange(), having(subject_token="st")) == {
        "grant_type": f"{URN}grant-type:token-exchange",
        "subject_token": "st",
        "subject_token_type": f"{URN}token-type:access_token",
        **CLIENT,
    }
    said = {
        "subject_token_type": "id_token",
        "requested_token_type": "urn:x:own",
        "audience": "api",
        "actor_token_type": "jwt",
    }
    given = having(subject_token="st", actor_token="at")
    found = obtained(
        TokenExchange(), given, exchange=said, scopes=("a",), resources=("https://r.example.com",)
    )
    assert found == {
        "grant_type": f"{URN}grant-type:token-exchange",
        "subject_token": "st",
        "subject_token_type": f"{URN}token-type:id_token",
        "actor_token": "at",
        "actor_token_type": f"{URN}token-type:jwt",
        "requested_token_type": "urn:x:own",
        "audience": "api",
        "scope": "a",
        "resource": "https://r.example.com",
        **CLIENT,
    }


def test_no_type_of_an_actor_that_is_not_there() -> None:
    """RFC 8693 section 2.1: `actor_token_type` goes with an actor token only."""
    fields = obtained(TokenExchange(), having(subject_token="st"), exchange={"actor_token_type": "jwt"})
    assert "actor_token_type" not in fields


GRANTS: list[tuple[Grant, dict[str, str | Secret]]] = [
    (Password(), {"username": "u", "password": "p"}),
    (JwtBearer(), {"private_key": PEM}),
    (TokenExchange(), {"subject_token": "st"}),
]


@pytest.mark.parametrize(("grant", "secrets"), GRANTS, ids=lambda value: getattr(value, "name", ""))
def test_renewing(grant: Grant, secrets: dict[str, str | Secret]) -> None:
    """With a refresh token that is shown alone (RFC 6749 section 6); without one the grant begins anew."""
    given = having(**secrets)
    renewed = grant.renew(account(), WHOLE, given)
    assert renewed is not None
    assert form(renewed) == {"grant_type": "refresh_token", "refresh_token": "refresh", **CLIENT}
    assert renewed.presents == Secret("refresh").fingerprint
    again = grant.renew(account(), BARE, given)
    assert again is not None
    assert form(again)["grant_type"] == obtained(grant, given)["grant_type"]
    assert grant.interactive is False


@pytest.mark.parametrize(("grant", "secrets"), GRANTS, ids=lambda value: getattr(value, "name", ""))
def test_bound_from_the_start(grant: Grant, secrets: dict[str, str | Secret]) -> None:
    """RFC 9449 section 5: whatever the grant, a proof goes along; a renewal proves the token's own key."""
    key, other = new_dpop_key(), new_dpop_key()
    given = credentials(secrets=having(**secrets).secrets, dpop_key=key)
    first = grant.obtain(account(dpop=True), given)
    bound = Token(access_token=Secret("a"), refresh_token=Secret("r"), obtained_at=NOW, dpop_key=other)
    later = grant.renew(account(dpop=True), bound, given)
    assert first is not None
    assert later is not None
    assert (first.dpop_key, later.dpop_key) == (key, other)
    assert part(header(first, "Dpop"), 0)["jwk"] != part(header(later, "Dpop"), 0)["jwk"]


@pytest.mark.parametrize(
    ("grant", "secrets", "missing"),
    [(Password(), {}, "username"), (Password(), {"username": "u"}, "password"), (JwtBearer(), {}, "private_key"),
     (TokenExchange(), {}, "subject_token")],
)  # fmt: skip
def test_what_is_missing_is_named(grant: Grant, secrets: dict[str, str], missing: str) -> None:
    """The error says which field to add, and shows no other."""
    with pytest.raises(NotAuthorizedError, match=f"has no {missing}") as caught:
        grant.obtain(account(), having(**secrets))
    assert caught.value.code == "incomplete_account"
