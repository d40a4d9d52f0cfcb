"""What a redirect is believed: its state, its issuer, and nothing before they fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from protocol_room import CANARY, HERE, ISSUER, account, asked, credentials, form

from connector.account import Account
from connector.authorization import Pending, code_request, read_redirect, state_of
from connector.errors import ConnectorError, NotAuthorizedError


def answer(request: Pending, **more: str) -> str:
    """Where the browser of a person who agreed ends up."""
    return f"{HERE}?{urlencode({'code': 'the-code', 'state': request.state, 'iss': ISSUER, **more})}"


def test_the_code_of_an_answer() -> None:
    """State and issuer fit; parameters nobody knows are passed over (RFC 6749 section 4.1.2)."""
    request = asked()
    assert read_redirect(account(), request, answer(request, session_state="x")).reveal() == "the-code"


@pytest.mark.parametrize(
    "form_of",
    [
        lambda url: url,
        lambda url: f"  {url}\n",
        lambda url: url + "#_=_",
        lambda url: "/callback?" + url.partition("?")[2],
        lambda url: url.partition("?")[2],
        lambda url: "?" + url.partition("?")[2],
        lambda url: url.removeprefix("http://"),
        lambda url: "com.example.app:/callback?" + url.partition("?")[2],
        lambda url: url.partition("?")[2].replace("%3A", ":").replace("%2F", "/"),
    ],
    ids=[
        "url",
        "spaces",
        "fragment",
        "target",
        "query",
        "question mark",
        "no scheme",
        "app scheme",
        "bare colons",
    ],
)
def test_what_a_person_pastes(form_of: Any) -> None:
    """The whole address in the ways browsers show it, or what stands behind its question mark."""
    request = asked()
    assert read_redirect(account(), request, form_of(answer(request))).reveal() == "the-code"


def refused(request: Pending, redirected: str, made: Account | None = None) -> NotAuthorizedError:
    """The error of an answer that is not believed."""
    with pytest.raises(NotAuthorizedError) as caught:
        read_redirect(made or account(), request, redirected)
    return caught.value


@pytest.mark.parametrize("state", ["", "other", None])
def test_another_logins_answer(state: str | None) -> None:
    """RFC 6749 section 10.12: without our state nothing else of it is looked at, an error included."""
    request = asked()
    said = {"code": "x", "error": "access_denied", "state": state, "iss": ISSUER}
    text = urlencode({name: value for name, value in said.items() if value is not None})
    assert refused(request, f"{HERE}?{text}").code == "state_mismatch"


@pytest.mark.parametrize("iss", ["https://evil.example.com", ISSUER + "/", ISSUER.upper(), ""])
def test_another_server_answers(iss: str) -> None:
    """RFC 9207 section 2.4: the issuer is compared as text; of an answer that names another nothing is used."""
    request = asked()
    assert refused(request, answer(request, iss=iss)).code == "issuer_mismatch"
    assert refused(request, answer(request, iss=iss, error="access_denied")).code == "issuer_mismatch"


def test_a_server_that_should_name_itself() -> None:
    """RFC 9207 section 2.4: where the server is known to send `iss`, an answer without it is refused."""
    made = account({"authorize": {"iss": True}})
    request = asked(made)
    without = f"{HERE}?{urlencode({'code': 'c', 'state': request.state})}"
    assert refused(request, without, made).code == "issuer_mismatch"
    assert read_redirect(account(), asked_like(request), without).reveal() == "c"


def asked_like(request: Pending) -> Pending:
    """The same request to a server that is not known to name itself."""
    return replace(request, iss=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [("access_denied", "access_denied"), ("server_error", "login_refused"), ("invalid_scope", "login_refused"),
     ("made_up", "login_refused")],
)  # fmt: skip
def test_a_no(error: str, code: str) -> None:
    """RFC 6749 section 4.1.2.1: the error in words, the description with it, on one line."""
    request = asked()
    text = urlencode(
        {"error": error, "error_description": "Sorry,\r\nnot today", "state": request.state, "iss": ISSUER}
    )
    caught = refused(request, f"{HERE}?{text}")
    assert caught.code == code
    assert f"the server said {error}: Sorry, not today" in str(caught)


@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
def test_a_parameter_given_twice(name: str) -> None:
    """RFC 6749 section 3.1: such an answer is refused, whichever of the two would fit."""
    request = asked()
    doubled = answer(request, error="") + "&" + urlencode({name: "again"})
    assert refused(request, doubled).code == "bad_redirect"


@pytest.mark.parametrize(
    "text", ["", "   ", HERE, "/callback", "http://[", "#code=x", "https://x/?" + "a=1&" * 80]
)
def test_no_answer_at_all(text: str) -> None:
    """An empty line, an address without a query, nonsense, too many fields."""
    assert refused(asked(), text).code == "bad_redirect"


def test_neither_code_nor_error() -> None:
    """State and issuer alone are no answer."""
    request = asked()
    assert refused(request, answer(request, code="")).code == "bad_redirect"


def test_whose_answer_it_is() -> None:
    """The listener on loopback tells by the state which login an answer is for."""
    request = asked()
    assert state_of(account(), answer(request)) == request.state
    assert state_of(account(), "/callback?code=x") == state_of(account(), "http://[") == ""


NAMES = st.sampled_from(["code", "state", "iss", "error", "error_description", "error_uri", "x", ""])
TEXT = st.text() | st.sampled_from(
    [CANARY, ISSUER, "STATE", "access_denied", "\r\n", "\udcff", "%FF", "x" * 5000]
)


@given(
    pairs=st.lists(st.tuples(NAMES, TEXT), max_size=7),
    raw=st.booleans(),
    before=st.sampled_from([HERE + "?", "/callback?", "?", "", "x:"]),
    iss=st.booleans(),
)
@example(pairs=[("state", "\udcff")], raw=True, before="?", iss=False)
@example(pairs=[("state", "STATE"), ("code", "\udcff")], raw=True, before="?", iss=False)
@example(pairs=[("state", "STATE"), ("iss", "\udcff"), ("error", CANARY)], raw=True, before="?", iss=False)
@example(pairs=[("state", "STATE"), ("code", CANARY), ("error", "x")], raw=False, before="?", iss=False)
def test_any_redirect(pairs: list[tuple[str, str]], raw: bool, before: str, iss: bool) -> None:
    """Whatever comes through a browser or a paste: a code that can be sent, or a typed error without secrets."""
    made = account({"authorize": {"iss": iss}})
    request = asked(made)
    pairs = [(name, request.state if value == "STATE" else value) for name, value in pairs]
    text = "&".join(f"{n}={v}" for n, v in pairs) if raw else urlencode(pairs, errors="replace")
    assert isinstance(state_of(account(), before + text), str)
    try:
        code = read_redirect(made, request, before + text)
    except ConnectorError as error:
        told = str(error) + repr(error)
        assert request.verifier is not None
        assert not any(secret in told for secret in (request.verifier.reveal(), request.state))
        # A code that the server sent beside an error, or under another state, is repeated nowhere.
        if all(value == CANARY for name, value in pairs if name == "code"):
            assert CANARY not in told or any(CANARY in v for n, v in pairs if n not in ("code", "x"))
        assert str(error).isprintable()
    else:
        assert code
        assert form(code_request(made, credentials(), request, code))["code"] == code.reveal()
        if not raw:
            assert ("state", request.state) in pairs
            assert ("iss", ISSUER) in pairs or not iss
