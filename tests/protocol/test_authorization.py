"""The authorization request, pushed or not, and the call that redeems a code."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_room import CANARY, HERE, ISSUER, account, asked, credentials, form, header, part, reply

from connector.authorization import (
    authorization_url,
    code_request,
    pending,
    push_request,
    read_pushed,
)
from connector.errors import NotAuthorizedError
from connector.jwts import new_dpop_key, thumbprint
from connector.pkce import challenge
from connector.reply import Refusal
from connector.secret import Secret


def query(url: str) -> dict[str, str]:
    """The query of a URL, each parameter once."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), "a parameter stands there twice"
    return dict(pairs)


def test_the_request_in_full() -> None:
    """RFC 6749 section 4.1.1 with PKCE by S256 (RFC 7636 section 4.3), and nothing else."""
    made = account(scopes=("a", "b.read"))
    request = asked(made)
    assert request.verifier is not None
    assert query(authorization_url(made, request)) == {
        "response_type": "code",
        "client_id": "me",
        "redirect_uri": HERE,
        "scope": "a b.read",
        "state": request.state,
        "code_challenge": challenge(request.verifier, "S256"),
        "code_challenge_method": "S256",
    }


def test_each_request_has_its_own_state_and_verifier() -> None:
    """Neither is ever used for two requests (RFC 9700 sections 2.1 and 2.1.1)."""
    requests = [asked() for _ in range(50)]
    assert len({request.state for request in requests}) == 50
    assert len({request.verifier for request in requests}) == 50


def test_the_url_holds_no_secret() -> None:
    """Neither the client secret nor the verifier goes through the browser; repr shows neither."""
    made, request = account(), asked()
    url = authorization_url(made, request)
    assert request.verifier is not None
    for secret in ("pass", request.verifier.reveal()):
        assert secret not in url
        assert secret not in repr(request)


def test_the_servers_own_query_stays() -> None:
    """RFC 6749 section 3.1: a query of the authorization URL is kept, ours is added."""
    made = account({"authorize": {"url": f"{ISSUER}/authorize?tenant=7"}})
    url = authorization_url(made, asked(made))
    assert url.startswith(f"{ISSUER}/authorize?tenant=7&response_type=code&")


@pytest.mark.parametrize(("pkce", "sent"), [("plain", True), ("none", False)])
def test_an_endpoint_may_ask_for_less(pkce: str, sent: bool) -> None:
    """Only an endpoint file weakens PKCE, never an answer of the server."""
    made = account({"authorize": {"pkce": pkce}})
    request = asked(made)
    found = query(authorization_url(made, request))
    if sent:
        assert request.verifier is not None
        assert (found["code_challenge"], found["code_challenge_method"]) == (
            request.verifier.reveal(),
            "plain",
        )
    else:
        assert not {"code_challenge", "code_challenge_method"} & set(found)
        assert "code_verifier" not in form(code_request(made, credentials(), request, Secret("c")))


def test_parameters_of_endpoint_account_and_person() -> None:
    """An endpoint adds, renames and removes; the account and the person's own word replace; nothing is doubled."""
    spec = {"authorize": {"params": {"audience": "x", "scope": None}, "rename": {"client_id": "client_key"}}}
    made = account(spec, scopes=("a",), authorize_params=(("prompt", "login"), ("audience", Secret("y"))))
    request = asked(made, max_age="0", prompt="consent")
    found = query(authorization_url(made, request))
    assert (found["audience"], found["prompt"], found["max_age"], found["client_key"]) == (
        "y",
        "consent",
        "0",
        "me",
    )
    assert not {"scope", "client_id"} & set(found)


def test_resources_are_named_each() -> None:
    """RFC 8707 section 2: the parameter stands there once for each resource, with or without PAR."""
    resources = ("https://a.example.com", "https://b.example.com")
    made = account({"par": {"url": f"{ISSUER}/par"}}, resources=resources)
    request = asked(made)
    for text in (
        urlsplit(authorization_url(made, request)).query,
        push_request(made, credentials(), request).body.decode(),
    ):
        assert [value for name, value in parse_qsl(text) if name == "resource"] == [*resources]


def test_no_page_to_log_in_at() -> None:
    """The error names the missing setting, or that the endpoint has no such page."""
    for spec, words in (
        ({"authorize": {"url": "https://{host}/a"}}, "{host}"),
        ({"authorize": None}, "declares no"),
    ):
        made = account(spec)
        with pytest.raises(NotAuthorizedError, match=words) as caught:
            authorization_url(made, asked(made))
        assert caught.value.code == "incomplete_account"


def test_the_code_call_in_full() -> None:
    """RFC 6749 section 4.1.3 and RFC 7636 section 4.5: the same redirect URI, the verifier, the client."""
    made = account()
    request = asked(made)
    assert request.verifier is not None
    call = code_request(made, credentials(), request, Secret("the-code"))
    assert (call.method, call.url) == ("POST", f"{ISSUER}/token")
    assert form(call) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": HERE,
        "code_verifier": request.verifier.reveal(),
        "client_id": "me",
        "client_secret": "pass",
    }
    assert {Secret("the-code"), request.verifier} <= set(call.secrets)


def test_a_public_client_names_itself() -> None:
    """RFC 6749 section 3.2.1: without a secret the client id goes along, so that a code is nobody else's."""
    made = account({"token": {"auth": "none"}})
    call = code_request(made, credentials(client_secret=None), asked(made), Secret("c"))
    assert form(call)["client_id"] == "me"
    assert "client_secret" not in form(call)


def test_a_code_bound_to_a_key() -> None:
    """RFC 9449 section 10: the page is told the key's thumbprint, the code is redeemed with its proof."""
    key = new_dpop_key()
    given, made = credentials(dpop_key=key), account(dpop=True)
    request = pending(made, given, HERE, {})
    assert query(authorization_url(made, request))["dpop_jkt"] == thumbprint(key)
    proof = header(code_request(made, given, request, Secret("c")), "Dpop")
    assert part(proof, 1)["htu"] == f"{ISSUER}/token"


def test_a_pushed_request() -> None:
    """RFC 9126 section 2.1: all of the request and the client's proof in the body; the browser carries a name only."""
    made = account({"par": {"url": f"{ISSUER}/par"}}, scopes=("a",))
    request = asked(made)
    call = push_request(made, credentials(), request)
    assert (call.method, call.url) == ("POST", f"{ISSUER}/par")
    assert form(call) == {**dict(request.parameters), "client_secret": "pass"}
    assert "request_uri" not in form(call)
    url = authorization_url(made, request, "urn:ietf:params:oauth:request_uri:6esc")
    assert query(url) == {"client_id": "me", "request_uri": "urn:ietf:params:oauth:request_uri:6esc"}


@pytest.mark.parametrize("status", [200, 201])
def test_a_pushed_request_is_named(status: int) -> None:
    """RFC 9126 section 2.2 says 201; servers that say 200 mean the same."""
    found = read_pushed(account(), reply({"request_uri": "urn:x", "expires_in": 60}, status), ())
    assert found == "urn:x"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, {}, "protocol"),
        (201, {"request_uri": 7}, "protocol"),
        (201, {"request_uri": "a\nb"}, "protocol"),
        (201, {"request_uri": "u" * 2049}, "protocol"),
        (302, {"request_uri": "urn:x"}, "protocol"),
        (400, {"error": "invalid_request"}, "login"),
        (401, {"error": "invalid_client"}, "client"),
        (429, {}, "later"),
    ],
)
def test_a_push_that_failed(status: int, body: dict[str, Any], kind: str) -> None:
    """What is no name, and what is a no, is a refusal."""
    found = read_pushed(account(), reply(body, status), ())
    assert isinstance(found, Refusal)
    assert found.kind == kind


@given(
    st.binary(max_size=100) | st.dictionaries(st.sampled_from(["request_uri", "error"]), st.text()),
    st.integers(200, 599),
)
def test_any_answer_to_a_push(body: Any, status: int) -> None:
    """A name that fits on a line, or a refusal that repeats no secret."""
    found = read_pushed(account(), reply(body, status), (Secret(CANARY),))
    assert isinstance(found, (str, Refusal))
    assert CANARY not in (found.words() if isinstance(found, Refusal) else "")
    assert isinstance(found, Refusal) or found.isprintable()


def test_a_pushed_request_is_bound() -> None:
    """RFC 9449 section 10.1: the thumbprint stands in the body, beside a proof of the same key for this address."""
    key = new_dpop_key()
    made = account({"par": {"url": f"{ISSUER}/par"}}, dpop=True)
    given = credentials(dpop_key=key)
    call = push_request(made, given, pending(made, given, HERE, {}))
    assert form(call)["dpop_jkt"] == thumbprint(key)
    assert part(header(call, "Dpop"), 1)["htu"] == f"{ISSUER}/par"
