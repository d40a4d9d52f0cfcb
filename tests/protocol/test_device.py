"""The device authorization grant in bytes: what is asked, what an answer must hold, how often to ask."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_room import CANARY, ISSUER, NOW, account, credentials, form, header, part, reply

from connector.device import (
    GRANT_TYPE,
    DeviceCode,
    device_request,
    pending_still,
    poll_request,
    read_device,
    slower,
)
from connector.errors import NotAuthorizedError
from connector.jwts import new_dpop_key
from connector.reply import Refusal
from connector.secret import Secret

# The example of RFC 8628 section 3.2.
EXAMPLE = {
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}


def read(body: Any, status: int = 200, **headers: str) -> DeviceCode | Refusal:
    """What an answer of the device authorization endpoint comes to."""
    return read_device(account(), reply(body, status, **headers), credentials(), (Secret(CANARY),))


def code(**changed: Any) -> DeviceCode:
    """A device code under way; what is None is missing in the answer."""
    found = read({name: value for name, value in {**EXAMPLE, **changed}.items() if value is not None})
    assert isinstance(found, DeviceCode)
    return found


def test_what_is_asked() -> None:
    """RFC 8628 section 3.1: client and scope, in a form, with the client's usual proof."""
    call = device_request(account(scopes=("a", "b")), credentials())
    assert (call.method, call.url) == ("POST", f"{ISSUER}/device")
    assert form(call) == {"client_id": "me", "client_secret": "pass", "scope": "a b"}
    public = device_request(account({"token": {"auth": "none"}}), credentials(client_secret=None))
    assert form(public) == {"client_id": "me"}


def test_no_place_to_ask() -> None:
    """An endpoint without a device authorization URL says so, and what else there is."""
    with pytest.raises(NotAuthorizedError, match="browser") as caught:
        device_request(account({"device": None}), credentials())
    assert caught.value.code == "incomplete_account"


def test_the_rfcs_example() -> None:
    """Every field of RFC 8628 section 3.2 is taken; the code itself prints as nothing."""
    found = code()
    assert found.device_code.reveal() == EXAMPLE["device_code"]
    assert (found.user_code, found.verification_uri) == ("WDJB-MJHT", "https://example.com/device")
    assert found.verification_uri_complete == EXAMPLE["verification_uri_complete"]
    assert (found.expires_at, found.interval_s) == (NOW + 1800, 5)
    assert str(EXAMPLE["device_code"]) not in repr(found)


@pytest.mark.parametrize(
    ("said", "pause"), [(None, 5), (0, 0.5), (2, 2), ("7", 7), (-1, 5), ("soon", 5), (True, 5), (600, 600)]
)
def test_the_interval(said: Any, pause: float) -> None:
    """RFC 8628 section 3.2: five seconds where none is given, never less than the server says."""
    assert code(interval=said).interval_s == pause


@pytest.mark.parametrize(
    ("said", "lifetime"), [(None, 600), (0, 600), (-5, 600), ("60", 60), (10**9, 86_400)]
)
def test_the_lifetime(said: Any, lifetime: float) -> None:
    """A code without a sane end gets one of ours."""
    assert code(expires_in=said).expires_at == NOW + lifetime


def test_older_names() -> None:
    """`verification_url` is what some servers still say; the complete address is optional."""
    found = code(
        verification_uri=None, verification_uri_complete=None, verification_url="https://x.example.com/d"
    )
    assert (found.verification_uri, found.verification_uri_complete) == ("https://x.example.com/d", "")


@pytest.mark.parametrize("name", ["verification_uri", "verification_uri_complete"])
def test_pages_behind_a_fragment(name: str) -> None:
    """A page that is one script has its place behind a number sign; a person is sent there as well."""
    assert (
        getattr(code(**{name: "https://x.example.com/#/device?c=1"}), name)
        == "https://x.example.com/#/device?c=1"
    )


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"device_code": None}, "device_code"),
        ({"device_code": ""}, "device_code"),
        ({"device_code": ["x"]}, "device_code"),
        ({"device_code": "a\nb"}, "device_code"),
        ({"user_code": None}, "user_code"),
        ({"user_code": "\x1b[2J"}, "user_code"),
        ({"user_code": "X" * 65}, "user_code"),
        ({"verification_uri": None}, "verification_uri"),
        ({"verification_uri": "http://example.com/device"}, "verification_uri"),
        ({"verification_uri": "javascript:alert(1)"}, "verification_uri"),
        ({"verification_uri": "https://me:pass@example.com/"}, "verification_uri"),
        ({"verification_uri": "https://example.com/#\x1b[2J"}, "verification_uri"),
        ({"verification_uri": "https://example.com/" + "x" * 2048}, "verification_uri"),
    ],
)
def test_what_no_person_could_use(changed: dict[str, Any], what: str) -> None:
    """An address nobody should open, a code that is no line: refused, and named."""
    found = read({name: value for name, value in {**EXAMPLE, **changed}.items() if value is not None})
    assert isinstance(found, Refusal)
    assert (found.kind, found.description) == ("protocol", f"the reply has no usable {what}")


def test_a_bad_complete_address_is_left_out() -> None:
    """It is for comfort only, so the login goes on without it."""
    assert code(verification_uri_complete="http://example.com/?c=1").verification_uri_complete == ""


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(400, {"error": "invalid_scope"}, "scope"), (401, {"error": "invalid_client"}, "client"),
     (400, {"error": "unauthorized_client"}, "client"), (503, b"", "later"), (302, b"", "protocol"),
     (200, b"<html>", "protocol"), (200, {"error": "invalid_client"}, "client")],
)  # fmt: skip
def test_refusals(status: int, body: Any, kind: str) -> None:
    """RFC 8628 section 3.2 leaves errors to RFC 6749 section 5.2."""
    found = read(body, status)
    assert isinstance(found, Refusal)
    assert found.kind == kind


def test_the_question() -> None:
    """RFC 8628 section 3.4: grant type, code and client; the answer may be held back for a minute."""
    call = poll_request(account(), credentials(), code())
    assert form(call) == {
        "grant_type": GRANT_TYPE,
        "device_code": EXAMPLE["device_code"],
        "client_id": "me",
        "client_secret": "pass",
    }
    assert GRANT_TYPE == "urn:ietf:params:oauth:grant-type:device_code"
    assert Secret(str(EXAMPLE["device_code"])) in call.secrets
    assert call.patience_s == 60.0


def test_a_bound_token() -> None:
    """RFC 9449 section 5: the question carries a proof of the key that the login began with."""
    key = new_dpop_key()
    found = read_device(account(), reply(EXAMPLE), credentials(dpop_key=key), ())
    assert isinstance(found, DeviceCode)
    assert found.dpop_key == key
    call = poll_request(account(), credentials(dpop_key=key), found)
    assert part(header(call, "Dpop"), 1)["htm"] == "POST"


@pytest.mark.parametrize(
    ("error", "goes_on", "pause"),
    [
        ("authorization_pending", True, 5),
        ("slow_down", True, 10),
        ("access_denied", False, 5),
        ("", False, 5),
    ],
)
def test_how_to_go_on(error: str, goes_on: bool, pause: float) -> None:
    """RFC 8628 section 3.5: two errors mean go on, one of them five seconds slower."""
    refusal = Refusal(kind="login", status=400, error=error)
    assert pending_still(refusal) is goes_on
    assert slower(5.0, refusal) == pause


FIELDS = st.sampled_from([*EXAMPLE, "verification_url", "error", "error_description"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*EXAMPLE.values(), CANARY]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


@given(
    changed=st.dictionaries(FIELDS, VALUES, max_size=4) | st.binary(max_size=80),
    status=st.sampled_from([200, 201, 302, 400, 401, 403, 429, 500]),
    hint=st.text(max_size=20) | st.just(f'Bearer error="{CANARY}"'),
)
def test_any_answer(changed: Any, status: int, hint: str) -> None:
    """A code that a person can use and that ends, or a refusal; what was sent is repeated in neither."""
    body = changed if isinstance(changed, bytes) else {**EXAMPLE, **changed}
    found = read(body, status, www_authenticate=hint, retry_after=hint, dpop_nonce=hint)
    if isinstance(found, DeviceCode):
        assert found.verification_uri.startswith(("https://", "http://"))
        assert (found.user_code + found.verification_uri + found.verification_uri_complete).isprintable()
        assert NOW < found.expires_at <= NOW + 86_400
        assert found.interval_s >= 0.5
        form(poll_request(account(), credentials(), found))
    else:
        assert CANARY not in found.words() + repr(found)
        assert found.words().isprintable()
