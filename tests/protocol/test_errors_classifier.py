"""What a refusal means: by RFC 6749 where the server keeps to it, by its endpoint file where it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_room import CANARY, account, reply

from connector.endpointread import ERROR_KINDS
from connector.reply import Refusal, read_reply
from connector.secret import Secret


def refusal(body: Any, status: int = 400, errors: dict[str, Any] | None = None, **headers: str) -> Refusal:
    """What a no of the token endpoint comes to."""
    made = account({"errors": errors or {}})
    found = read_reply(made, reply(body, status, **headers), previous=None, secrets=(Secret(CANARY),))
    assert isinstance(found, Refusal)
    return found


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, "invalid_grant", "login"),
        (400, "invalid_client", "client"),
        (401, "invalid_client", "client"),
        (400, "unauthorized_client", "client"),
        (400, "invalid_scope", "scope"),
        (400, "invalid_request", "login"),
        (400, "unsupported_grant_type", "login"),
        (400, "temporarily_unavailable", "later"),
        (400, "slow_down", "later"),
        (400, "something_new", "login"),
        (401, "server_error", "login"),
        (400, "server_error", "later"),
        (403, "invalid_grant", "login"),
        (403, "access_denied", "login"),
        (403, "", "protocol"),
        (404, "", "protocol"),
        (408, "", "later"),
        (425, "", "later"),
        (429, "invalid_grant", "later"),
        (500, "invalid_grant", "later"),
        (503, "", "later"),
    ],
)
def test_without_a_word_of_the_endpoint(status: int, error: str, kind: str) -> None:
    """RFC 6749 section 5.2, and sane meanings for what it does not foresee."""
    assert refusal({"error": error}, status).kind == kind


def test_servicenows_dead_login() -> None:
    """ServiceNow calls every dead login a `server_error`, with status 401: a person is needed, no waiting helps."""
    found = refusal({"error": "server_error", "error_description": "access_denied"}, 401)
    assert (found.kind, found.spent) == ("login", False)


RULES = {
    "needs_authorization": ["session_gone", {"status": 503, "description": "SESSION"}],
    "retry_later": [{"error": "invalid_grant", "description": "busy"}],
    "wrong_client": [{"status": 418}],
    "wrong_scope": ["no_such_permission"],
}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "session_gone"}, "login"),
        (503, {"error": "x", "error_description": "Your session has ended"}, "login"),
        (503, {"error": "x", "error_description": "try later"}, "later"),
        (400, {"error": "invalid_grant", "error_description": "We are BUSY now"}, "later"),
        (400, {"error": "invalid_grant", "error_description": "expired"}, "login"),
        (418, {}, "client"),
        (500, {"error": "no_such_permission"}, "scope"),
        (500, {"error": "no_such_permission_"}, "later"),
        (400, {"error": {"code": "session_gone", "message": "m"}}, "login"),
    ],
)
def test_what_an_endpoint_declares(status: int, body: Any, kind: str) -> None:
    """Error codes fit whole, descriptions in part and in any case; what no rule speaks of keeps its meaning."""
    assert refusal(body, status, RULES).kind == kind


def test_the_first_rule_counts() -> None:
    """Rules are read in the order: needs authorization, later, client, scope."""
    rules = {name: ["x"] for name in reversed(list(ERROR_KINDS))}
    assert refusal({"error": "x"}, errors=rules).kind == "login"


@pytest.mark.parametrize(
    ("rule", "spent"), [("needs_authorization", False), ("retry_later", True), ("wrong_client", False)]
)
def test_what_a_rule_says_of_the_refresh_token(rule: str, spent: bool) -> None:
    """A 5xx leaves it in doubt unless the endpoint says that it is a verdict."""
    assert refusal({"error": "x"}, 500, {rule: ["x"]}).spent is spent


def test_a_nonce_is_asked_for_before_anything() -> None:
    """RFC 9449 section 8: the same call may be made again, nothing is used up."""
    found = refusal({"error": "use_dpop_nonce"}, 400, dpop_nonce="n1")
    assert (found.kind, found.dpop_nonce, found.spent) == ("nonce", "n1", False)
    assert refusal({"error": "use_dpop_nonce"}, 400).kind == "login"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30.0), ("0", 0.0), ("-5", 0.0), ("soon", None), ("1e9", 86_400.0), ("", None),
     ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0)],
)  # fmt: skip
def test_when_to_try_again(header: str, seconds: float | None) -> None:
    """RFC 9110 section 10.2.3: seconds or a date, within a day."""
    assert refusal(b"", 503, retry_after=header).retry_after_s == seconds


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"", {"www_authenticate": 'Bearer error="invalid_client"'}, "invalid_client"),
        (b"error=invalid_client", {"content_type": "application/x-www-form-urlencoded"}, "invalid_client"),
        (b"error=invalid_client&x=1", {}, "invalid_client"),
        (b'\xef\xbb\xbf{"error": "invalid_client"}', {}, "invalid_client"),
        ({"error": {"type": "invalid_client"}}, {}, "invalid_client"),
        ({"error": 7}, {}, "7"),
        (b"<html>error=invalid_client</html>", {}, ""),
        ({"error": ["invalid_client"]}, {}, ""),
    ],
)
def test_where_the_word_stands(body: Any, headers: dict[str, str], error: str) -> None:
    """JSON of any shape, a form, a challenge; what is none of them has no word."""
    assert refusal(body, 401, **headers).error == error


ERRORS = st.dictionaries(
    st.sampled_from([*ERROR_KINDS]),
    st.lists(st.text(min_size=1, max_size=5) | st.just("x") | st.fixed_dictionaries({"status": st.integers(100, 599)}),
             min_size=1, max_size=3),
)  # fmt: skip


@given(
    errors=ERRORS,
    status=st.integers(300, 599),
    error=st.text(max_size=8) | st.sampled_from(["x", CANARY, "invalid_grant", "use_dpop_nonce"]),
    description=st.text(max_size=40) | st.just(f"token {CANARY} is gone"),
    header=st.text(max_size=30) | st.just(f'Bearer error="{CANARY}"'),
)
def test_any_refusal(errors: Any, status: int, error: str, description: str, header: str) -> None:
    """One of the kinds there are, in words on one line, without anything that we sent."""
    body = {"error": error, "error_description": description}
    found = refusal(body, status, errors, www_authenticate=header, retry_after=header, dpop_nonce=header)
    assert found.kind in ("login", "client", "scope", "later", "nonce", "protocol")
    assert CANARY not in found.words() + repr(found)
    assert found.words().isprintable()
    assert found.retry_after_s is None or 0 <= found.retry_after_s <= 86_400
    assert found.kind == "protocol" or status >= 400


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": 500, "message": "Internal backend error"}}, "protocol"),
        ({"error": "odd"}, "protocol"),
        ({"error": {"code": 5}}, "protocol"),
        ({"error": "invalid_grant"}, "login"),
        ({"error": "bad_refresh_token"}, "login"),
        ({"error": "token_expired"}, "login"),
        ({"error": "invalid_client"}, "client"),
    ],
)
def test_an_error_inside_a_success_is_a_verdict_only_in_its_words(body: dict[str, object], kind: str) -> None:
    """A gateway's own trouble inside an HTTP 200 ends no login; what OAuth calls dead does."""
    found = read_reply(account(), reply(body, 200), previous=None)
    assert isinstance(found, Refusal)
    assert found.kind == kind
    assert found.spent == (kind == "protocol")
