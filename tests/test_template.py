"""Templates: what a value may bring to the place where it lands."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.template import TemplateError, fill_url


@pytest.mark.parametrize(
    ("template", "value", "url"),
    [
        ("https://{x}/t", "acme.example.com", "https://acme.example.com/t"),
        ("https://{x}/t", "acme.example.com:8443", "https://acme.example.com:8443/t"),
        ("https://{x}/t", "dev.example.com/acme", "https://dev.example.com/acme/t"),
        ("https://{x}/t", "https://acme.example.com/", "https://acme.example.com/t"),
        ("https://{x}", "acme.example.com/fhir/r4/", "https://acme.example.com/fhir/r4"),
        ("https://api.{x}/t", "eu.example.com/v1", "https://api.eu.example.com/v1/t"),
        ("https://{x}.example.com/t", "acme", "https://acme.example.com/t"),
        (
            "https://h.example/{x}/t?q={x}",
            "a/b c?&#",
            "https://h.example/a%2Fb%20c%3F%26%23/t?q=a%2Fb%20c%3F%26%23",
        ),
        ("{x}/t", "https://acme.example.com/base/", "https://acme.example.com/base/t"),
    ],
)
def test_where_a_value_lands(template: str, value: str, url: str) -> None:
    """Host names are checked, a path may come with the end of one, anything else is percent-encoded."""
    assert fill_url(template, {"x": value}) == url


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("https://{x}/t", "me@evil.example"),
        ("https://{x}/t", "http://acme.example.com"),
        ("https://{x}/t", "acme.example.com?x=1"),
        ("https://{x}/t", "acme.example.com#x"),
        ("https://{x}/t", "acme.example.com/a b"),
        ("https://{x}/t", "acme.example.com/../x"),
        ("https://{x}/t", "acme.example.com\\x"),
        ("https://{x}/t", "acme.example.com/a\nb"),
        ("https://{x}.example.com/t", "evil.example/"),
        ("https://{x}.example.com/t", "https://evil.example"),
        ("https://api.{x}/t", "https://evil.example"),
        ("https://{x}:8443/t", "acme.example.com/a"),
        ("{x}/t", "http://acme.example.com"),
        ("{x}/t", "javascript:x"),
    ],
)
def test_what_no_value_may_bring(template: str, value: str) -> None:
    """User info, another scheme, a query, a fragment, a way up, or the end of a host where more of it follows."""
    with pytest.raises(TemplateError):
        fill_url(template, {"x": value})


@given(st.text(max_size=30))
def test_no_value_reaches_another_host(value: str) -> None:
    """Before a fixed domain whatever a value is, the request goes to that domain or nowhere."""
    try:
        url = fill_url("https://{x}.example.com/{x}?a={x}", {"x": value})
    except TemplateError:
        return
    parts = urlsplit(url)
    assert (parts.hostname or "").endswith(".example.com")
    assert parts.scheme == "https"
    assert parts.fragment == ""
    assert parts.username is None
