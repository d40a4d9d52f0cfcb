"""`exchange` and `discover`: what a token needs before it can be used, and what a crash in between costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from endpoint_room import ACCOUNT, API, LOGIN, Room, endpoint, form, get

from connector.errors import RenewalError

LONG = {
    "url": "https://login.acme.example/long",
    "method": "POST",
    "params": {"short": "{access_token}", "grant_type": "exchange"},
}


def test_a_short_token_becomes_a_long_one(kind: str, tmp_path: Path) -> None:
    """The API sees the long one only, after each renewal again; what the exchange does not say stays."""
    room = Room(tmp_path, endpoint(exchange=LONG), ACCOUNT)
    room.answers[LOGIN] = {"access_token": "short", "expires_in": 5, "scope": "a b"}
    room.answers["POST login.acme.example/long"] = {"access_token": "long", "expires_in": 3600}
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host:
        get(host, kind, "/x")
        assert host.token("acme").scopes == ("a", "b")
        assert host.token("acme").expires_at == room.now + 3600
        room.now += 3601
        get(host, kind, "/x")
    assert [request.headers["Authorization"] for request in room.asked("/x")] == ["Bearer long"] * 2
    assert [form(request) for request in room.asked("/long")] == [
        {"short": "short", "grant_type": "exchange"}
    ] * 2


def test_a_renewal_that_shows_the_access_token_needs_no_exchange(tmp_path: Path) -> None:
    """What is renewed then is what the exchange has brought."""
    refresh = {"url": "https://login.acme.example/renew", "method": "GET", "with": "access_token"}
    room = Room(tmp_path, endpoint(grants=["authorization_code"], exchange=LONG, refresh=refresh), ACCOUNT)
    room.endpoint["authorize"] = {"url": "https://login.acme.example/authorize"}
    room.answers[LOGIN] = {"access_token": "short", "expires_in": 5}
    room.answers["POST login.acme.example/long"] = {"access_token": "long", "expires_in": 3600}
    room.answers["GET login.acme.example/renew"] = {"access_token": "longer", "expires_in": 3600}
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host:
        asked = host.authorization("acme", redirect_uri="http://127.0.0.1:9/callback")
        state = dict(httpx.URL(asked.url).params)["state"]
        asked.finish(f"http://127.0.0.1:9/callback?code=x&state={state}")
        get(host, "sync", "/x")
        room.now += 3590
        get(host, "sync", "/x")
        assert host.token("acme").access_token.reveal() in ("long", "longer")
        host._login("acme").source.settle()  # what was begun in the background, before time goes on
        room.now += 20
        get(host, "sync", "/x")
    assert room.asked("/x")[-1].headers["Authorization"] == "Bearer longer"
    assert dict(room.asked("/renew")[0].url.params)["access_token"] == "long"
    assert len(room.asked("/long")) == 1


@pytest.mark.parametrize("trouble", [503, 400, "lost"])
def test_an_exchange_that_fails_loses_nothing(trouble: int | str, tmp_path: Path) -> None:
    """The first token is saved before: after an outage it is exchanged by whoever comes next; a refusal begins
    anew. Each time with a pause, and said in words.
    """
    room = Room(tmp_path, endpoint(exchange=LONG), ACCOUNT)
    room.answers[LOGIN] = {"access_token": "short", "expires_in": 600}

    def fails(request: httpx.Request) -> httpx.Response:
        if trouble == "lost":
            raise httpx.ReadError("gone", request=request)
        return httpx.Response(int(trouble))

    room.answers["POST login.acme.example/long"] = fails
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host, pytest.raises(RenewalError, match="exchanging the token") as caught:
        get(host, "sync", "/x")
    assert caught.value.code == "step_failed"
    assert caught.value.retry_after
    room.answers["POST login.acme.example/long"] = {"access_token": "long", "expires_in": 3600}
    room.now += 10
    with room.host() as another:
        assert get(another, "sync", "/x").status_code == 200
    assert len(room.asked("/token")) == (2 if trouble == 400 else 1)


SITES = {
    "path": "/sites",
    "pick": {"from": "/all", "where": {"/url": "https://{site}"}},
    "set": {"site_id": "/id", "region": "/region"},
}


def discovering(**more: Any) -> dict[str, Any]:
    """A server whose API is somewhere that only a call tells."""
    settings = {
        "site": {"x-required": False},
        "site_id": {"x-filled-by": "discover"},
        "region": {"x-filled-by": "discover"},
    }
    discover = {**SITES, "path": "https://api.acme.example/sites"}
    api = {"base_url": API + "/{site_id}"}
    return endpoint(settings=settings, discover=[discover], api=api, **more)


ONE = {"id": 7, "url": "https://one.acme.example", "region": "eu"}
TWO = {"id": 8, "url": "https://two.acme.example"}


@pytest.mark.parametrize(
    ("sites", "said", "found", "asked"),
    [
        ([ONE], {}, "/7/x", 1),
        ([ONE, TWO], {"site": "two.acme.example"}, "/8/x", 1),
        ([ONE, TWO], {"site_id": "9", "region": "eu"}, "/9/x", 0),
    ],
)
def test_what_templates_need_is_found_out(
    kind: str, sites: list[Any], said: dict[str, str], found: str, asked: int, tmp_path: Path
) -> None:
    """Once per login, with the token; what the account says itself is asked for by nobody."""
    room = Room(tmp_path, discovering(), {**ACCOUNT, "settings": said})
    room.answers[LOGIN] = {"access_token": "t", "expires_in": 60}
    room.answers["GET api.acme.example/sites"] = {"all": sites}
    for path in ("/7/x", "/8/x", "/9/x"):
        room.answers[f"GET api.acme.example{path}"] = {}
    with room.host() as host:
        get(host, kind, "x")
        room.now += 61
        get(host, kind, "x")
    assert [request.url.path for request in room.seen if request.url.path.endswith("/x")] == [found] * 2
    assert [request.headers["Authorization"] for request in room.asked("/sites")] == ["Bearer t"] * asked
    assert len(room.asked("/token")) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"all": [ONE, TWO]}, r"several fit: region eu, site_id 7; site_id 8; say `settings: \{site"),
        ({"all": []}, "there is none"),
        ({"other": 1}, "no list at /all"),
        (httpx.Response(403, json={"error": "missing scope"}), "HTTP 403"),
    ],
)
def test_what_cannot_be_found_out_is_said(answer: Any, words: str, tmp_path: Path) -> None:
    """The token stays, the next attempt waits, and the message names the setting that chooses."""
    room = Room(tmp_path, discovering(), ACCOUNT)
    room.answers[LOGIN] = {"access_token": "t", "expires_in": 600}
    room.answers["GET api.acme.example/sites"] = answer
    room.answers["GET api.acme.example/7/x"] = {}
    with room.host() as host:
        for _ in range(5):
            with pytest.raises(RenewalError, match=words):
                get(host, "sync", "x")
        assert len(room.asked("/sites")) <= 2
    room.answers["GET api.acme.example/sites"] = {"all": [ONE]}
    room.now += 10
    with room.host() as another:
        assert get(another, "sync", "x").status_code == 200
    assert len(room.asked("/token")) == 1
