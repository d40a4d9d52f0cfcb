"""Reading `WWW-Authenticate`: what servers write, what nobody should, and time that does not run away."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.challenge import Challenge, challenges, param


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 6750 section 3.
        (
            'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
            [("bearer", {"realm": "example", "error": "invalid_token", "error_description": "The access token expired"})],
        ),
        # RFC 9470 section 3.
        (
            'Bearer error="insufficient_user_authentication", acr_values="myACR", max_age="5"',
            [("bearer", {"error": "insufficient_user_authentication", "acr_values": "myACR", "max_age": "5"})],
        ),
        # RFC 9449 section 9.
        (
            'DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof"',
            [("dpop", {"error": "use_dpop_nonce", "error_description": "Resource server requires nonce in DPoP proof"})],
        ),
        # RFC 9110 section 11.6.1: two challenges in one header.
        (
            'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
            [("basic", {"realm": "simple"}), ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'})],
        ),
        ("Negotiate", [("negotiate", {})]),
        ("Basic, Bearer", [("basic", {}), ("bearer", {})]),
        ('BEARER ERROR = "invalid_token"', [("bearer", {"error": "invalid_token"})]),
        ('Bearer error="first", error="second"', [("bearer", {"error": "first"})]),
        ('Bearer error=""', [("bearer", {"error": ""})]),
        ('Bearer error="never closed', [("bearer", {}), ("never", {}), ("closed", {})]),
        ("", []),
        (",,, ,", []),
    ],
)  # fmt: skip
def test_what_servers_write(value: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    """Schemes and names in lower case, quoted text unquoted, the first of a name given twice."""
    assert [(found.scheme, found.params) for found in challenges([value])] == expected


def test_several_headers_are_one_list() -> None:
    """A server may send a header for each scheme; the order stays."""
    assert challenges(["Basic", 'Bearer error="x"']) == [
        Challenge(scheme="basic"),
        Challenge(scheme="bearer", params={"error": "x"}),
    ]


def test_param_looks_only_at_our_schemes() -> None:
    """An `error` of another scheme says nothing of our token; the first of ours that has the name counts."""
    values = ['Custom error="theirs"', 'Bearer realm="r", DPoP error="use_dpop_nonce"']
    assert param(values, "error") == "use_dpop_nonce"
    assert param(values, "realm") == "r"
    assert param(values, "error", schemes=("custom",)) == "theirs"
    assert param(values, "scope") == ""
    assert param([], "error") == ""


PIECES = st.sampled_from(
    ["Bearer", "DPoP", "error", "=", '"', "\\", ",", " ", "invalid_token", "a", "\t", "\r\n", "é", "\0"]
)


@given(st.lists(st.text(max_size=60) | st.lists(PIECES, max_size=20).map("".join), max_size=4))
def test_anything_is_read(values: list[str]) -> None:
    """Never an exception; names and schemes are lower case, and every value stood in a header."""
    for found in challenges(values):
        assert found.scheme == found.scheme.lower()
        assert all(name == name.lower() for name in found.params)
        assert all(
            "".join(values).replace("\\", "").count(said.replace("\\", "")) for said in found.params.values()
        )
    assert isinstance(param(values, "error"), str)


@pytest.mark.parametrize(
    "value",
    ["a" * 8191 + '"', "Bearer " + "a" * 8184 + '"', 'Bearer a="' + "\\" * 8000, "Bearer " + 'a="\\' * 2000, ", " * 4096,
     "Bearer " + "a = " * 2000, "Bearer a" + " " * 8000 + "b"],
    ids=range(7),
)  # fmt: skip
def test_no_header_takes_long(value: str) -> None:
    """The longest header of a spiteful server is read in a moment."""
    began = time.perf_counter()
    challenges([value])
    assert time.perf_counter() - began < 0.25


def test_there_is_an_end_to_it() -> None:
    """At most fifty challenges, and of a header no more than its first 8 KiB."""
    assert len(challenges(["Basic, " * 500])) == 50
    assert param(["Bearer " + " " * 9000 + 'error="late"'], "error") == ""
