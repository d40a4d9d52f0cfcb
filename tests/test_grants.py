"""What a token call looks like on the wire, for each habit an endpoint file can declare."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.account import Account
from connector.credentials import Credentials
from connector.endpoint import endpoint_from_spec
from connector.errors import NotAuthorizedError
from connector.grants import ClientCredentials, RefreshToken, TokenRequest
from connector.secret import Secret
from connector.token import Token

URL = "https://login.example.com/token"
TOKEN = Token(
    access_token=Secret("old-access"),
    refresh_token=Secret("old-refresh"),
    obtained_at=0.0,
    captured={"pod": "eu7"},
)
BARE = Token(access_token=Secret("old-access"), obtained_at=0.0)


def account(spec: dict[str, Any] | None = None, **more: Any) -> Account:
    """An account whose endpoint says this; `token` is merged with the token URL."""
    spec = {"endpoint": "example", **(spec or {})}
    spec["token"] = {"url": URL, **spec.get("token", {})}
    given = {
        "name": "a",
        "client_id": "me",
        "endpoint": endpoint_from_spec(spec),
        "grant": "client_credentials",
    }
    return Account(**{**given, **more})


def credentials(secret: str | None) -> Credentials:
    """What a call proves itself with."""
    return Credentials(now=0.0, unique="once", client_secret=Secret(secret) if secret is not None else None)


def obtained(made: Account, secret: str | None = "pass") -> TokenRequest:
    """The request for a first token."""
    request = ClientCredentials().obtain(made, credentials(secret))
    assert request is not None
    return request


def renewed(made: Account, token: Token = TOKEN) -> TokenRequest:
    """The request that renews a token."""
    request = RefreshToken().renew(made, token, credentials("pass"))
    assert request is not None
    return request


def form(request: TokenRequest) -> dict[str, str]:
    """The fields of a form body, each given once."""
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def basic(request: TokenRequest) -> str:
    """What a Basic header carries."""
    scheme, _, encoded = dict(request.headers)["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(encoded, validate=True).decode()


def test_client_credentials_in_full() -> None:
    """RFC 6749 section 4.4.2, byte for byte: a form without a charset, asking for JSON."""
    request = obtained(account(scopes=("b.read", "a")))
    assert (request.method, request.url) == ("POST", URL)
    assert dict(request.headers) == {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert request.body == b"grant_type=client_credentials&scope=b.read+a&client_id=me&client_secret=pass"
    assert request.presents == ""


def test_no_scope_parameter_where_none_is_asked_for() -> None:
    """An empty scope is not sent: some servers refuse it."""
    assert "scope" not in form(obtained(account()))


def test_client_credentials_never_ask_for_offline_access() -> None:
    """They get no refresh token (RFC 6749 section 4.4.3), so its scope is not asked for."""
    request = obtained(account({"scopes": {"offline": ["offline_access"]}}, scopes=("a",)))
    assert form(request)["scope"] == "a"


def test_basic_is_what_the_rfc_shows() -> None:
    """The example of RFC 6749 section 2.3.1; nothing of the client is in the body."""
    request = obtained(
        account({"token": {"auth": "client_secret_basic"}}, client_id="s6BhdRkqt3"), "gX1fBat3bV"
    )
    assert dict(request.headers)["Authorization"] == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"
    assert form(request) == {"grant_type": "client_credentials"}


@pytest.mark.parametrize(
    ("way", "expected"), [("rfc6749", "m%C3%A9%3A+1:p%2Bq%25+%2F"), ("raw", "mé: 1:p+q% /")]
)
def test_two_ways_of_basic(way: str, expected: str) -> None:
    """The RFC encodes id and secret as form fields first; servers that do not know this get them raw."""
    spec = {"token": {"auth": "client_secret_basic", "basic": way}}
    assert basic(obtained(account(spec, client_id="mé: 1"), "p+q% /")) == expected
    other = {"token": {"auth": "client_secret_basic"}}
    assert basic(obtained(account(other, client_id="mé: 1", basic=way), "p+q% /")) == expected


@pytest.mark.parametrize(
    ("auth", "secret", "fields"),
    [
        ("client_secret_post", "pass", {"client_id": "me", "client_secret": "pass"}),
        ("client_secret_post", None, {"client_id": "me"}),
        ("none", "pass", {"client_id": "me"}),
        ("none", None, {"client_id": "me"}),
    ],
)
def test_client_authentication_in_the_body(auth: str, secret: str | None, fields: dict[str, str]) -> None:
    """With `post` id and secret are fields, with `none` the id alone; there is no Authorization header."""
    for made in (account({"token": {"auth": auth}}), account(client_auth=auth)):
        request = obtained(made, secret)
        assert form(request) == {"grant_type": "client_credentials", **fields}
        assert "Authorization" not in dict(request.headers)


CLIENT = st.text(st.characters(exclude_categories=["Cs"]))


@given(client_id=CLIENT, secret=CLIENT.filter(bool), scope=CLIENT.filter(bool))
def test_any_text_arrives_as_it_is(client_id: str, secret: str, scope: str) -> None:
    """Whatever characters id, secret and scope hold: a server that decodes as the RFC says gets them back."""
    posted = form(obtained(account(client_id=client_id, scopes=(scope,)), secret))
    assert (posted["client_id"], posted["client_secret"], posted["scope"]) == (client_id, secret, scope)
    spec = {"token": {"auth": "client_secret_basic"}}
    user, _, password = basic(obtained(account(spec, client_id=client_id), secret)).partition(":")
    assert (unquote_plus(user), unquote_plus(password)) == (client_id, secret)


def test_a_json_body() -> None:
    """`body: json` sends the same fields as one object."""
    request = obtained(account({"token": {"body": "json"}}, scopes=("a",)))
    assert json.loads(request.body) == {
        "grant_type": "client_credentials",
        "scope": "a",
        "client_id": "me",
        "client_secret": "pass",
    }
    assert dict(request.headers)["Content-Type"] == "application/json"


@pytest.mark.parametrize("spec", [{"body": "query"}, {"method": "GET"}, {"method": "GET", "body": "form"}])
def test_fields_in_the_query(spec: dict[str, str]) -> None:
    """`body: query`, and GET in any case, put the fields into the URL and send no body."""
    request = obtained(account({"token": {**spec, "url": URL + "?v=2", "query": {"k": "x y"}}}))
    assert request.body == b""
    assert "Content-Type" not in dict(request.headers)
    assert request.method == spec.get("method", "POST")
    assert request.url.startswith(URL + "?v=2&")
    assert parse_qsl(urlsplit(request.url).query) == [
        ("v", "2"),
        ("k", "x y"),
        ("grant_type", "client_credentials"),
        ("client_id", "me"),
        ("client_secret", "pass"),
    ]


def test_a_query_beside_a_form() -> None:
    """`query` parameters go into the URL whatever the body is."""
    request = obtained(account({"token": {"query": {"tenant": "{org}"}}}, settings={"org": "a&b"}))
    assert request.url == URL + "?tenant=a%26b"
    assert form(request)["grant_type"] == "client_credentials"


def test_renamed_and_dropped_fields() -> None:
    """`rename` gives a standard field another name, or with null leaves it out, the client's own included."""
    spec = {"token": {"rename": {"client_id": "client_key", "client_secret": None, "scope": "scopes"}}}
    assert form(obtained(account(spec, scopes=("a",)))) == {
        "grant_type": "client_credentials",
        "scopes": "a",
        "client_key": "me",
    }


def test_params_add_replace_and_remove() -> None:
    """`params` are templates: they add fields, replace standard ones, and with null remove one."""
    spec = {
        "token": {
            "params": {
                "audience": "https://{org}.example.com",
                "grant_type": "password",
                "scope": None,
                "lost": "{nowhere}",
                "choice": ["{nowhere}", "second"],
            }
        }
    }
    assert form(obtained(account(spec, scopes=("a",), settings={"org": "acme"}))) == {
        "grant_type": "password",
        "audience": "https://acme.example.com",
        "choice": "second",
        "client_id": "me",
        "client_secret": "pass",
    }


def test_another_grant_type() -> None:
    """`grant_type` of an endpoint replaces the name of the grant on the wire."""
    made = account({"token": {"grant_type": "urn:x:own"}})
    assert form(obtained(made))["grant_type"] == "urn:x:own"


def test_rows_of_the_account_come_last_and_in_order() -> None:
    """Token endpoint config: fields of the account, one name as often as written, untouched by `rename`."""
    rows = (("resource", "one"), ("resource", Secret("two & three")), ("client_key", ""))
    spec = {"token": {"rename": {"client_id": "client_key", "resource": "never"}}}
    request = obtained(account(spec, token_params=rows))
    assert parse_qsl(request.body.decode(), keep_blank_values=True) == [
        ("grant_type", "client_credentials"),
        ("client_key", "me"),
        ("client_secret", "pass"),
        ("resource", "one"),
        ("resource", "two & three"),
        ("client_key", ""),
    ]
    assert Secret("two & three") in request.secrets


def test_rows_of_the_account_are_sent_with_renewals_too() -> None:
    """A server that wants an extra field wants it at every token call."""
    assert form(renewed(account(token_params=(("resource", "one"),))))["resource"] == "one"


def test_headers_of_an_endpoint_replace_ours_whatever_their_case() -> None:
    """`headers` are templates; a name in other letters replaces the header, it does not join it."""
    headers = {"content-type": "application/vnd.{org}", "ACCEPT": "text/plain", "x-api-key": "{key}"}
    request = obtained(account({"token": {"headers": headers}}, settings={"org": "acme", "key": "k"}))
    assert sorted((name.lower(), value) for name, value in request.headers) == [
        ("accept", "text/plain"),
        ("content-type", "application/vnd.acme"),
        ("x-api-key", "k"),
    ]


def test_a_missing_setting_is_named() -> None:
    """A URL that cannot be filled is the account's fault, and the error says which setting is missing."""
    with pytest.raises(NotAuthorizedError, match=r"\{host\}") as caught:
        obtained(account({"token": {"url": "https://{host}/token"}}))
    assert caught.value.code == "incomplete_account"
    assert caught.value.account == "a"
    assert "settings:" in caught.value.resolution


def test_a_renewal_shows_the_refresh_token_and_no_scope() -> None:
    """RFC 6749 section 6; without a scope, since what was granted stays granted."""
    request = renewed(account({"scopes": {"offline": ["offline_access"]}}, scopes=("a",)))
    assert form(request) == {
        "grant_type": "refresh_token",
        "refresh_token": "old-refresh",
        "client_id": "me",
        "client_secret": "pass",
    }
    assert request.presents == Secret("old-refresh").fingerprint


def test_a_renewal_that_shows_the_access_token() -> None:
    """`refresh: {with: access_token}` exchanges the access token itself for the next."""
    request = renewed(account({"refresh": {"with": "access_token"}}), BARE)
    assert form(request)["access_token"] == "old-access"
    assert "refresh_token" not in form(request)
    assert request.presents == Secret("old-access").fingerprint


def test_a_renewal_that_shows_the_client_alone() -> None:
    """`refresh: {with: client}` asks anew with the client's credentials; nothing is spent by it."""
    request = renewed(account({"refresh": {"with": "client", "url": "https://{pod}.example.com/t"}}))
    assert request.url == "https://eu7.example.com/t"
    assert form(request) == {"grant_type": "client_credentials", "client_id": "me", "client_secret": "pass"}
    assert request.presents == ""
    assert b"old-" not in request.body


def test_a_renewal_has_habits_of_its_own() -> None:
    """The refresh request is like the token request unless the endpoint says otherwise, captured values included."""
    spec = {
        "token": {"auth": "client_secret_basic", "headers": {"X-A": "1"}, "params": {"p": "1", "q": "1"}},
        "refresh": {
            "url": "https://{pod}.example.com/refresh",
            "body": "json",
            "params": {"p": None, "r": "2"},
        },
    }
    request = renewed(account(spec))
    assert request.url == "https://eu7.example.com/refresh"
    assert dict(request.headers)["X-A"] == "1"
    assert basic(request) == "me:pass"
    assert json.loads(request.body) == {
        "grant_type": "refresh_token",
        "refresh_token": "old-refresh",
        "q": "1",
        "r": "2",
    }


def test_who_can_begin_and_who_can_renew() -> None:
    """A refresh token grant needs a login first and cannot renew without its token; the client can do both."""
    person, client = RefreshToken(name="authorization_code"), ClientCredentials()
    assert (person.interactive, client.interactive) == (True, False)
    assert person.obtain(account(), credentials("pass")) is None
    assert person.renew(account(), BARE, credentials("pass")) is None
    assert client.renew(account(), BARE, credentials("pass")) == client.obtain(account(), credentials("pass"))


@pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_post"])
def test_a_request_prints_no_secret_and_knows_its_own(auth: str) -> None:
    """repr shows neither URL, headers nor body; everything a server might repeat is listed to be hidden."""
    made = account(
        {"token": {"auth": auth, "url": URL + "?k={key}"}},
        settings={"key": "hunter2"},
        token_params=(("assertion", Secret("hunter3")),),
    )
    request = renewed(made)
    for secret in ("hunter", "pass", "old-refresh", base64.b64encode(b"me:pass").decode()):
        assert secret not in repr(request)
    known = [secret.reveal() for secret in request.secrets]
    expected = ["pass", "old-refresh", "hunter3"]
    if auth == "client_secret_basic":
        expected.append(base64.b64encode(b"me:pass").decode())
    assert sorted(known) == sorted(expected)
