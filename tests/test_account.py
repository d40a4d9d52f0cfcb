"""An account's templates filled: where it gets tokens, where it may send them, and what it asks for."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.account import Account
from connector.endpoint import endpoint_from_spec
from connector.template import TemplateError

TOKEN_URL = "https://login.example.com/token"


def account(spec: dict[str, Any] | None = None, **more: Any) -> Account:
    """An account of an endpoint with these parts."""
    endpoint = endpoint_from_spec({"endpoint": "example", "token": {"url": TOKEN_URL}, **(spec or {})})
    return Account(**{"name": "a", "client_id": "me", "endpoint": endpoint, "grant": "g", **more})


def test_urls_take_settings_and_the_client_id() -> None:
    """A template may name the account's settings and its client id."""
    made = account(
        {"token": {"url": "https://{host}/{client_id}/token?tenant={tenant}"}},
        settings={"host": "acme.example.com:8443", "tenant": "a b&c=d"},
    )
    assert made.token_url() == "https://acme.example.com:8443/me/token?tenant=a%20b%26c%3Dd"


def test_the_first_url_that_can_be_filled_counts() -> None:
    """Of several templates the first whose names are all set is taken; the error names what the last lacks."""
    spec = {"token": {"url": ["https://{region}.example.com/token", "https://{host}/token"]}}
    assert account(spec, settings={"region": "eu", "host": "h"}).token_url() == "https://eu.example.com/token"
    assert account(spec, settings={"region": "", "host": "h"}).token_url() == "https://h/token"
    with pytest.raises(TemplateError, match=r"\{host\} not set"):
        account(spec).token_url()


def test_renewals_go_to_the_token_url_unless_told_otherwise() -> None:
    """`refresh: {url: ...}` overrides where a renewal is made, nothing else does."""
    assert account().refresh_url() == TOKEN_URL
    other = account({"refresh": {"url": "https://login.example.com/refresh"}})
    assert other.refresh_url() == "https://login.example.com/refresh"
    assert other.token_url() == TOKEN_URL


def test_vars_are_computed_from_what_is_there() -> None:
    """A var is a template or a choice by another value; it may use settings and vars before it."""
    spec = {
        "vars": {
            "domain": {
                "map": {"sandbox": "test.example.com"},
                "from": "kind",
                "default": "{org}.example.com",
            },
            "origin": "api.{domain}",
            "lost": "{nowhere}",
            "none": {"map": {"a": "b"}, "from": "nowhere"},
        }
    }
    names = account(spec, settings={"kind": "live", "org": "acme"}).names()
    assert dict(names) == {
        "client_id": "me",
        "kind": "live",
        "org": "acme",
        "domain": "acme.example.com",
        "origin": "api.acme.example.com",
    }
    assert account(spec, settings={"kind": "sandbox"}).names()["origin"] == "api.test.example.com"


def test_what_a_reply_said_fills_the_base_url() -> None:
    """Some servers tell with the token where their API is, over what a setting says; before that there is none."""
    api = {"base_url": "{instance_url}/services", "hosts": ["files.{pod}.example.com"]}
    made = account({"api": api}, settings={"pod": "us1"})
    captured = {"instance_url": "https://eu7.example.com/", "pod": "EU7"}
    assert made.base_url(captured) == "https://eu7.example.com/services"
    assert made.hosts(captured) == {"eu7.example.com", "files.eu7.example.com"}
    with pytest.raises(TemplateError, match="instance_url"):
        made.base_url()


def test_a_reply_cannot_point_to_an_unsafe_url() -> None:
    """A captured URL is judged like any other: no http, no user info."""
    made = account({"api": {"base_url": "{instance_url}"}})
    for url in ("http://eu7.example.com", "https://me@eu7.example.com", "javascript:alert(1)"):
        with pytest.raises(TemplateError):
            made.base_url({"instance_url": url})


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ({"base_url": "https://API.example.com/v1"}, {"api.example.com"}),
        ({"base_url": "https://api.example.com:443/v1"}, {"api.example.com"}),
        ({"base_url": "https://api.example.com:8443"}, {"api.example.com:8443"}),
        ({"base_url": "http://127.0.0.1:80/"}, {"127.0.0.1"}),
        ({"base_url": "https://[::1]:8443/"}, {"[::1]:8443"}),
        (
            {"base_url": "https://api.example.com", "hosts": ["*.Files.example.com"]},
            {"api.example.com", "*.files.example.com"},
        ),
        ({"hosts": ["only.example.com"]}, {"only.example.com"}),
        ({}, {"login.example.com", "authorize.example.com:444"}),
    ],
)
def test_hosts(api: dict[str, Any], expected: set[str]) -> None:
    """The base URL's host and those listed; only where neither is said, the hosts of the account's own URLs."""
    spec = {"authorize": {"url": "https://authorize.example.com:444/x"}, "api": api}
    assert account(spec).hosts() == expected


def test_an_endpoint_without_an_api_has_no_base_url() -> None:
    """Requests of such an account say their whole URL."""
    assert account().base_url() == ""


def test_headers_whose_settings_are_missing_are_left_out() -> None:
    """A header takes the first template that can be filled; one removed with null, or with none, is not sent."""
    spec = {
        "api": {
            "headers": {
                "X-Tenant": "{tenant}",
                "X-Org": ["{org}", "nobody"],
                "X-Lost": "{lost}",
                "X-Gone": None,
                "X-From": "{captured}",
            }
        }
    }
    headers = account(spec, settings={"tenant": "t"}).api_headers({"captured": "c"})
    assert headers == {"X-Tenant": "t", "X-Org": "nobody", "X-From": "c"}


@pytest.mark.parametrize(
    ("scopes", "said", "refreshable", "auto_refresh", "expected"),
    [
        ({}, (), True, True, ""),
        ({}, ("b", "a"), False, True, "b a"),
        ({"default": ["d", "{org}.read"]}, (), False, True, "d acme.read"),
        ({"default": ["d"]}, ("own",), False, True, "own"),
        ({"separator": ","}, ("a", "b"), False, True, "a,b"),
        ({"offline": ["offline_access"]}, ("a",), True, True, "a offline_access"),
        ({"offline": ["offline_access"]}, ("a",), False, True, "a"),
        ({"offline": ["offline_access"]}, ("a",), True, False, "a"),
        ({"offline": ["offline_access"]}, ("offline_access", "a"), True, True, "offline_access a"),
        ({"offline": ["o"], "default": ["d"]}, (), True, True, "d o"),
    ],
)
def test_scope_text(
    scopes: dict[str, Any], said: tuple[str, ...], refreshable: bool, auto_refresh: bool, expected: str
) -> None:
    """What the account says, else the default; offline scopes only where a refresh token may come and is wanted."""
    made = account({"scopes": scopes}, scopes=said, auto_refresh=auto_refresh, settings={"org": "acme"})
    assert made.scope_text(refreshable=refreshable) == expected


# References and YAML bring no half characters, which no URL could carry.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXT)
def test_no_setting_moves_a_url_to_another_host(value: str) -> None:
    """In path and query any text stays what it is: host, path depth and parameters are the template's."""
    made = account({"token": {"url": "https://h.example.com/a/{x}/token?b={x}&c=d"}}, settings={"x": value})
    parts = urlsplit(made.token_url())
    assert parts.netloc == "h.example.com"
    assert [unquote(part) for part in parts.path.split("/")] == ["", "a", value, "token"]
    assert [unquote(part) for part in parts.query.split("&")] == [f"b={value}", "c=d"]


HOSTLIKE = st.text(st.sampled_from("aB1.-_:/@?#\\[]%{} \x00é"), max_size=12)


@given(st.one_of(HOSTLIKE, TEXT))
def test_a_host_setting_is_a_host_or_an_error(value: str) -> None:
    """Whatever stands in for a host either is that host in the URL, with the path that it brings, or refused."""
    made = account({"token": {"url": "https://{host}/token"}}, settings={"host": value})
    try:
        url = made.token_url()
    except TemplateError:
        return
    host, slash, path = value.removeprefix("https://").partition("/")
    path = (slash + path).rstrip("/")
    assert url == f"https://{host}{path}/token"
    assert urlsplit(url).netloc == host
    assert urlsplit(url).path == f"{path}/token"


def test_settings_stay_out_of_repr() -> None:
    """Some endpoints ask for keys as settings; an account's repr shows none, and no parameter either."""
    made = account(settings={"api_key": "hunter2"}, token_params=(("p", "hunter3"),))
    assert "hunter" not in repr(made)
