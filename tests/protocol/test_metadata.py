"""A server's description of itself: where it is looked for, whom it may speak of, and what it may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_room import CANARY, HERE, ISSUER, account, credentials

from connector.account import Account, TlsFiles
from connector.authorization import authorization_url, pending
from connector.errors import ConnectorError, NotAuthorizedError
from connector.metadata import Place, completed, place_of
from connector.secret import Secret
from connector.template import check_url

# A server that says all there is to say (RFC 8414 section 2 and what later RFCs add).
SAYS: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/md/authorize",
    "token_endpoint": f"{ISSUER}/md/token",
    "device_authorization_endpoint": f"{ISSUER}/md/device",
    "revocation_endpoint": f"{ISSUER}/md/revoke",
    "introspection_endpoint": f"{ISSUER}/md/introspect",
    "userinfo_endpoint": f"{ISSUER}/md/userinfo",
    "pushed_authorization_request_endpoint": f"{ISSUER}/md/par",
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
}
BARE = dict.fromkeys(("authorize", "token", "device", "revoke", "introspect"))


def bare(spec: dict[str, Any] | None = None, **more: Any) -> Account:
    """An account whose endpoint says its issuer only."""
    return account({**BARE, **(spec or {})}, **{"client_secret": Secret("pass"), **more})


def place(made: Account) -> Place:
    """Where its metadata is."""
    found = place_of(made)
    assert found is not None
    return found


def complete(made: Account, said: dict[str, Any]) -> Account:
    """The account with what a server says."""
    return completed(made, said, place(made))


@pytest.mark.parametrize(
    ("spec", "urls", "issuer"),
    [
        (
            {"issuer": "https://as.example.com"},
            ["https://as.example.com/.well-known/oauth-authorization-server",
             "https://as.example.com/.well-known/openid-configuration"],
            "https://as.example.com",
        ),
        (  # RFC 8414 section 3.1: before the path; OpenID Connect Discovery section 4: behind it
            {"issuer": "https://as.example.com/tenant/"},
            ["https://as.example.com/.well-known/oauth-authorization-server/tenant",
             "https://as.example.com/tenant/.well-known/openid-configuration",
             "https://as.example.com/tenant/.well-known/oauth-authorization-server"],
            "https://as.example.com/tenant/",
        ),
        (
            {"issuer": None, "discovery": "https://as.example.com/t/.well-known/openid-configuration"},
            ["https://as.example.com/t/.well-known/openid-configuration"],
            "https://as.example.com/t",
        ),
        (
            {"issuer": None, "discovery": "https://as.example.com/.well-known/oauth-authorization-server/t"},
            ["https://as.example.com/.well-known/oauth-authorization-server/t"],
            "https://as.example.com/t",
        ),
        (
            {"discovery": "https://cdn.example.com/.well-known/anything"},
            ["https://cdn.example.com/.well-known/anything"],
            ISSUER,
        ),
    ],
)  # fmt: skip
def test_where_it_is_looked_for(spec: dict[str, Any], urls: list[str], issuer: str) -> None:
    """The well-known part goes where each standard puts it; an address in full is taken as it is."""
    found = place(bare(spec))
    assert ([*found.urls], found.issuer) == (urls, issuer)


def test_whoever_says_all_is_not_asked() -> None:
    """An endpoint with a token URL and no `discovery` needs no metadata."""
    assert place_of(account()) is None
    assert place_of(account({"issuer": None})) is None


def test_everything_a_server_tells_is_used() -> None:
    """Each endpoint of the metadata is called where no file names another."""
    endpoint = complete(bare(), {**SAYS, "require_pushed_authorization_requests": True}).endpoint
    found = {
        name: place.url
        for name, place in (
            ("authorize", endpoint.authorize),
            ("token", endpoint.token),
            ("token", endpoint.refresh.request),
            ("device", endpoint.device),
            ("revoke", endpoint.revoke),
            ("introspect", endpoint.introspect),
            ("userinfo", endpoint.userinfo),
            ("par", endpoint.par),
        )
        if place
    }
    assert found == {name: (f"{ISSUER}/md/{name}",) for name in found}
    assert len(found) == 7


def test_a_file_counts_more_than_a_server() -> None:
    """What an endpoint declares stays, whatever the metadata says."""
    made = account({"discovery": ISSUER, "authorize": {"iss": False}})
    endpoint = complete(made, SAYS).endpoint
    assert endpoint.token.url == (f"{ISSUER}/token",)
    assert endpoint.authorize.url == (f"{ISSUER}/authorize",)
    assert endpoint.revoke is not None
    assert endpoint.revoke.url == (f"{ISSUER}/revoke",)


def test_requests_are_pushed_where_that_is_required() -> None:
    """RFC 9126 section 5: a server that requires it gets it; one that only offers it does not, unless asked."""
    assert complete(bare(), SAYS).endpoint.par is None
    assert complete(bare(), {**SAYS, "require_pushed_authorization_requests": True}).endpoint.par is not None
    assert complete(bare({"par": {"auth": "none"}}), SAYS).endpoint.par is not None


@pytest.mark.parametrize("said", [True, False, None, "true"])
def test_whether_answers_name_their_issuer(said: Any) -> None:
    """RFC 9207 section 3: only a literal true means that each answer will."""
    made = complete(bare(), {**SAYS, "authorization_response_iss_parameter_supported": said})
    assert made.endpoint.authorize.iss is (said is True)


@pytest.mark.parametrize(
    ("methods", "more", "auth"),
    [
        (None, {}, "client_secret_basic"),  # RFC 8414 section 2: what leaving it out means
        (["client_secret_post", "client_secret_basic"], {}, "client_secret_basic"),
        (["client_secret_post"], {}, "client_secret_post"),
        (["client_secret_jwt"], {}, "client_secret_jwt"),
        (["none", "client_secret_post"], {"client_secret": None}, "none"),
        (
            ["client_secret_basic", "private_key_jwt"],
            {"secrets": {"private_key": Secret("k")}},
            "private_key_jwt",
        ),
        (["made_up"], {}, "client_secret_post"),
        ("client_secret_basic", {}, "client_secret_post"),
        ([["x"], 5], {}, "client_secret_post"),
    ],
)
def test_how_the_client_proves_itself(methods: Any, more: dict[str, Any], auth: str) -> None:
    """A method the server offers and the account can use; the strongest first."""
    said = {**SAYS, "token_endpoint_auth_methods_supported": methods}
    if methods is None:
        del said["token_endpoint_auth_methods_supported"]
    endpoint = complete(bare(**more), said).endpoint
    assert (endpoint.token.auth, endpoint.refresh.request.auth) == (auth, auth)
    assert endpoint.revoke is not None
    assert endpoint.revoke.auth == auth


def test_a_declared_method_stays() -> None:
    """The endpoint file knows better than a list."""
    made = bare({"token": {"auth": "client_secret_post"}, "discovery": ISSUER})
    assert complete(made, SAYS).endpoint.token.auth == "client_secret_post"


@pytest.mark.parametrize(
    "more", [{"client_auth": "tls_client_auth"}, {"tls": TlsFiles(certificate="/c.pem")}]
)
def test_endpoints_for_certificates(more: dict[str, Any]) -> None:
    """RFC 8705 section 5: whoever shows a certificate calls the aliases; the page for people is no such call."""
    aliases = {
        "token_endpoint": f"{ISSUER}/mtls",
        "authorization_endpoint": f"{ISSUER}/nobody",
        "revocation_endpoint": 5,
    }
    said = {**SAYS, "mtls_endpoint_aliases": aliases}
    shown = complete(bare(**more), said).endpoint
    assert shown.token.url == (f"{ISSUER}/mtls",)
    assert shown.authorize.url == (f"{ISSUER}/md/authorize",)
    assert complete(bare(), said).endpoint.token.url == (f"{ISSUER}/md/token",)
    assert complete(bare(**more), {**SAYS, "mtls_endpoint_aliases": "x"}).endpoint.token.url == (
        f"{ISSUER}/md/token",
    )


def refused(made: Account, said: dict[str, Any]) -> NotAuthorizedError:
    """The error for metadata that does not fit."""
    with pytest.raises(NotAuthorizedError) as caught:
        complete(made, said)
    return caught.value


@pytest.mark.parametrize(
    "issuer", ["https://evil.example.com", ISSUER + "/", ISSUER + ":443", "", None, 5, ["x"]]
)
def test_another_issuer_is_refused(issuer: Any) -> None:
    """RFC 8414 section 3.3: the issuer must be the one asked, character by character."""
    assert refused(bare(), {**SAYS, "issuer": issuer}).code == "issuer_mismatch"


def test_an_address_that_two_issuers_share() -> None:
    """RFC 8414 section 3.1 drops a final slash to build the address, so from that alone either issuer may answer."""
    made = bare({"issuer": None, "discovery": f"{ISSUER}/.well-known/openid-configuration"})
    for issuer in (ISSUER, ISSUER + "/"):
        assert complete(made, {**SAYS, "issuer": issuer}).issuer() == issuer
    assert refused(made, {**SAYS, "issuer": ISSUER + "//"}).code == "issuer_mismatch"
    declared = bare({"discovery": f"{ISSUER}/.well-known/openid-configuration"})
    assert refused(declared, {**SAYS, "issuer": ISSUER + "/"}).code == "issuer_mismatch"


def test_an_address_of_no_standard() -> None:
    """Behind another well-known name, whoever is found there is the issuer, and answers must come from them."""
    made = bare({"issuer": None, "discovery": f"{ISSUER}/.well-known/our-server"})
    found = complete(made, {**SAYS, "issuer": "https://x.example.com/{a}"})
    assert found.issuer() == "https://x.example.com/{a}"
    assert pending(found, credentials(), HERE, {}).issuer == found.issuer()


@pytest.mark.parametrize(
    "url", ["http://as.example.com/token", "https://u:p@x/t", "ftp://x/", "https://x/#f", "//x", ""]
)
def test_unsafe_endpoints_are_refused(url: str) -> None:
    """A server that sends secrets over http, or nowhere, is not believed (RFC 6749 section 3.2)."""
    assert refused(bare(), {**SAYS, "token_endpoint": url}).code == "bad_metadata"


@pytest.mark.parametrize("url", [None, 5, ["https://x.example.com"]])
def test_a_server_without_a_token_endpoint(url: Any) -> None:
    """RFC 8414 section 2 requires one; the error says what is missing, and who says so."""
    caught = refused(bare(), {**SAYS, "token_endpoint": url})
    assert caught.code == "bad_metadata"
    assert "token_endpoint" in str(caught)


def test_braces_of_a_server_are_no_templates() -> None:
    """Metadata cannot make us fill our client id, or a setting, into a URL of its choice."""
    made = complete(bare(), {**SAYS, "authorization_endpoint": ISSUER + "/{client_id}"})
    assert authorization_url(made, pending(made, credentials(), HERE, {})).startswith(
        ISSUER + "/{client_id}?"
    )


URLS = st.sampled_from(
    [ISSUER, ISSUER + "/t", "http://x/", "https://[", "https://x/{y}", CANARY, "https://x:99999/"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | URLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SAYS]), inner, max_size=3),
    max_leaves=5,
)


@given(
    changed=st.dictionaries(
        st.sampled_from([*SAYS, "mtls_endpoint_aliases", "authorization_response_iss_parameter_supported"]),
        JSON,
        max_size=6,
    ),
    mtls=st.booleans(),
    issuer=st.sampled_from([None, "issuer", "discovery"]),
)
def test_any_metadata(changed: dict[str, Any], mtls: bool, issuer: str | None) -> None:
    """Never an untyped error, and never a URL that a secret may not travel to."""
    spec: dict[str, Any] = {None: {}, "issuer": {"discovery": ISSUER}, "discovery": {
        "issuer": None, "discovery": f"{ISSUER}/.well-known/openid-configuration"}}[issuer]  # fmt: skip
    made = bare(
        spec,
        secrets={"private_key": Secret(CANARY + "2")},
        **({"client_auth": "tls_client_auth"} if mtls else {}),
    )
    try:
        found = complete(made, json.loads(json.dumps({**SAYS, **changed})))
    except ConnectorError as error:
        assert CANARY + "2" not in str(error) + repr(error)
        assert str(error).isprintable()
    else:
        endpoint = found.endpoint
        places = (
            endpoint.token,
            endpoint.device,
            endpoint.revoke,
            endpoint.introspect,
            endpoint.userinfo,
            endpoint.par,
        )
        for url in (endpoint.authorize.url, *(place.url for place in places if place)):
            assert all(check_url(text.replace("{{", "{").replace("}}", "}")) for text in url)
        assert found.token_url()
