"""Tokens that need further calls before they can be used, while the store, the server or the account stand in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from endpoint_room import ACCOUNT, API, CANARY, LOGIN, NOW, Room, endpoint, get

from connector.errors import ConnectorError, NotAuthorizedError, RenewalError, StoreError
from connector.store.memory import MemoryStore

LONG = "POST login.acme.example/long"


EXCHANGE = {
    "url": "https://login.acme.example/long",
    "method": "POST",
    "params": {"short": "{access_token}"},
}


class Forgetful(MemoryStore):
    """A store that takes nothing while it is `full`."""

    full = False

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        if self.full:
            raise StoreError("no room", code="store_full")
        super().save(account, sealed, version=version)


def counted(name: str) -> Iterator[dict[str, Any]]:
    number = 0
    while True:
        number += 1
        yield {"access_token": f"{name}-{number}", "expires_in": 600}


def test_a_token_that_is_not_exchanged_is_not_handed_out(kind: str, tmp_path: Path) -> None:
    """The store takes nothing: the API never sees the short token, what came is kept, and goes on once it can."""
    room = Room(tmp_path, endpoint(exchange=EXCHANGE), ACCOUNT)
    room.store = Forgetful(clock=lambda: room.now)
    room.store.full = True
    shorts = counted("short")
    room.answers[LOGIN] = lambda request: next(shorts)
    room.answers[LONG] = {"access_token": "long", "expires_in": 3600}
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host:
        with pytest.raises(StoreError, match="cannot be saved"):
            get(host, kind, "/x")
        assert room.asked("/x") == room.asked("/long") == []
        room.now += 10
        with pytest.raises(StoreError, match="cannot be saved"):
            get(host, kind, "/x")
        room.store.full = False
        room.now += 10
        assert get(host, kind, "/x").status_code == 200
    assert [request.headers["Authorization"] for request in room.asked("/x")] == ["Bearer long"]
    assert len(room.asked("/token")) == 1


@pytest.mark.parametrize("status", [400, 401])
def test_an_exchange_that_is_always_refused_is_no_storm(status: int, tmp_path: Path) -> None:
    """Each attempt begins with another token, and the pauses grow all the same."""
    room = Room(tmp_path, endpoint(exchange=EXCHANGE), ACCOUNT)
    shorts = counted("short")
    room.answers[LOGIN] = lambda request: next(shorts)
    room.answers[LONG] = httpx.Response(status, json={"error": "invalid_grant"})
    with room.host() as host:
        while room.now < NOW + 3600:
            with pytest.raises(RenewalError, match="exchanging"):
                get(host, "sync", "/x")
            room.now += 1
        assert 8 <= len(room.asked("/token")) <= 25
        room.answers[LONG] = {"access_token": "long", "expires_in": 3600}
        room.answers["GET api.acme.example/x"] = {}
        room.now += 301
        assert get(host, "sync", "/x").status_code == 200
        assert (host.status("acme").failures, host.status("acme").last_refusal) == (0, "")


DISCOVER = {"path": f"{API}/me", "set": {"team": "/team"}}


def test_a_token_that_was_dead_already_is_renewed(tmp_path: Path) -> None:
    """A login is adopted whose access token nobody takes any more: its refresh token still helps."""
    room = Room(
        tmp_path,
        endpoint(
            grants=["refresh_token"],
            discover=DISCOVER,
            api={"base_url": API, "headers": {"X-Team": "{team}"}},
        ),
        {**ACCOUNT, "grant": "refresh_token"},
    )
    room.answers[LOGIN] = {"access_token": "good", "refresh_token": "r2", "expires_in": 600}
    room.answers["GET api.acme.example/me"] = lambda request: (
        {"team": "7"} if request.headers["Authorization"] == "Bearer good" else httpx.Response(401)
    )
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host:
        host.adopt("acme", {"access_token": "dead", "refresh_token": "r1"})
        with pytest.raises(RenewalError, match="finding out team"):
            get(host, "sync", "/x")
        room.now += 10
        assert get(host, "sync", "/x").status_code == 200
    assert room.asked("/x")[0].headers["X-Team"] == "7"


@pytest.mark.parametrize("body", [b'{"team": "7', b"<h1>Back soon</h1>", b""])
@pytest.mark.parametrize("step", ["exchange", "discover"])
def test_an_answer_that_broke_off_is_none(step: str, body: bytes, tmp_path: Path) -> None:
    """Neither is the token taken for exchanged, nor what was not in there for nothing: it is asked for again."""
    said = {"exchange": EXCHANGE} if step == "exchange" else {"discover": DISCOVER}
    room = Room(
        tmp_path,
        endpoint(
            api={"base_url": API, "headers": {"X-Team": "{team}"}}
            if step == "discover"
            else {"base_url": API},
            **said,
        ),
        ACCOUNT,
    )
    room.answers[LOGIN] = {"access_token": "short", "expires_in": 600}
    where, answer = (
        (LONG, {"access_token": "long"}) if step == "exchange" else ("GET api.acme.example/me", {"team": "7"})
    )
    room.answers[where] = httpx.Response(200, content=body)
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host:
        with pytest.raises(RenewalError, match=r"neither JSON nor a form|no access_token"):
            get(host, "sync", "/x")
        room.answers[where] = answer
        room.now += 10
        get(host, "sync", "/x")
    sent = room.asked("/x")[0].headers
    assert sent["Authorization"] == ("Bearer long" if step == "exchange" else "Bearer short")
    assert sent.get("X-Team", "") == ("" if step == "exchange" else "7")


def test_without_auto_refresh_too(tmp_path: Path) -> None:
    """A token whose discovery failed once has not expired: it is found out the next time."""
    room = Room(
        tmp_path,
        endpoint(discover=DISCOVER, api={"base_url": API, "headers": {"X-Team": "{team}"}}),
        {**ACCOUNT, "auto_refresh": False},
    )
    room.answers[LOGIN] = {"access_token": "good", "expires_in": 600}
    room.answers["GET api.acme.example/me"] = httpx.Response(503)
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host:
        with pytest.raises(RenewalError, match="finding out team"):
            get(host, "sync", "/x")
        room.answers["GET api.acme.example/me"] = {"team": "7"}
        room.now += 10
        assert get(host, "sync", "/x").status_code == 200
        room.now += 600
        with pytest.raises(NotAuthorizedError, match="has expired"):
            get(host, "sync", "/x")
    assert len(room.asked("/token")) == 1


@pytest.mark.parametrize(
    "grant",
    [{"grants": ["api_key"]}, {"grants": ["bearer"]}, {"grants": ["client_credentials"]}, {"hook": ""}],
)
def test_what_is_found_out_with_any_kind_of_token(kind: str, grant: dict[str, Any], tmp_path: Path) -> None:
    """Keys, pasted tokens and those of hooks too: once, and with the account's secrets that templates name."""
    name = grant.get("grants", ["custom"])[0]
    secret = "bearer_token" if name == "bearer" else "api_key"
    api = {"base_url": API + "/{team}", "headers": {"X-Secret": "{" + secret + "}"}}
    plugin = {"grants": ["custom"], "plugin": "acme_hooks:Acme"} if name == "custom" else {}
    discover = {**DISCOVER, "headers": {"X-Also": "{" + secret + "}"}}
    account = {secret: "${env:ACME_KEY}", **(ACCOUNT if name == "client_credentials" else {})}
    room = Room(tmp_path, {**endpoint(discover=discover), **grant, **plugin, "api": api}, account)
    room.endpoint.pop("hook", None)
    room.hooks(
        """
        from connector.endpointhooks import Call, EndpointHooks

        class Acme(EndpointHooks):
            def obtain(self, situation):
                answer = yield Call.form("https://login.acme.example/token", {})
                return answer.json()
        """
    )
    room.answers[LOGIN] = {"access_token": "t", "expires_in": 100}
    room.answers["GET api.acme.example/me"] = {"team": "7"}
    room.answers["GET api.acme.example/7/x"] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", CANARY)
        with room.host() as host:
            for _ in range(3):
                get(host, kind, "/x")
                room.now += 400
    assert len(room.asked("/me")) == 1
    assert [request.headers["X-Secret"] for request in room.asked("/7/x")] == [CANARY] * 3
    assert room.asked("/me")[0].headers["X-Also"] == CANARY


def test_an_adopted_token_has_the_secrets_too(tmp_path: Path) -> None:
    """From the first request on, not only after the first renewal."""
    room = Room(
        tmp_path,
        endpoint(api={"base_url": API, "headers": {"X-Key": "{api_key}"}}),
        {**ACCOUNT, "api_key": "${env:ACME_KEY}"},
    )
    room.answers["GET api.acme.example/x"] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", CANARY)
        with room.host() as host:
            host.adopt("acme", {"access_token": "pasted", "expires_in": 600})
            get(host, "sync", "/x")
    assert room.seen[0].headers["X-Key"] == CANARY


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ('Call(url="http://login.acme.example/token")', "an https URL"),
        ('Call(url="https://[")', "an https URL"),
        ("Call(url=None)", "texts"),
        ('Call(url="https://login.acme.example/token", body="text")', "bytes"),
        ('Call(url="https://login.acme.example/token", headers=(("X", 1),))', "texts"),
        ('Call(url="https://login.acme.example/token", headers=("X",))', "texts"),
    ],
)
@pytest.mark.parametrize("hook", ["obtain", "prepare_token_request", "after_connect"])
def test_calls_of_hooks_that_cannot_be_made(call: str, words: str, hook: str, tmp_path: Path) -> None:
    """The hook is blamed, not the store or the server, and nothing is sent."""
    made = "return" if hook == "prepare_token_request" else "yield"
    given = "call, situation" if hook == "prepare_token_request" else "situation"
    room = Room(tmp_path, endpoint(plugin="acme_hooks:Acme"), ACCOUNT)
    room.hooks(
        f"""
        from connector.endpointhooks import Call, EndpointHooks

        class Acme(EndpointHooks):
            def {hook}(self, {given}):
                {made} {call}
        """
    )
    room.answers[LOGIN] = {"access_token": "t", "expires_in": 100}
    with room.host() as host, pytest.raises(ConnectorError, match=words) as caught:
        get(host, "sync", "/x")
    assert caught.value.code == "plugin_failed"
    assert len(room.seen) == (1 if hook == "after_connect" else 0)


@pytest.mark.parametrize("second", ["refused connection", 429])
def test_a_hook_whose_second_call_fails(second: Any, tmp_path: Path) -> None:
    """Its first call may have used up the refresh token, so that is in doubt, not untouched."""
    room = Room(tmp_path, endpoint(plugin="acme_hooks:Acme"), ACCOUNT)
    room.hooks(
        """
        from connector.endpointhooks import Call, EndpointHooks

        class Acme(EndpointHooks):
            def obtain(self, situation):
                shown = situation.values.get("refresh_token", "")
                first = yield Call.form("https://login.acme.example/token", {"shown": shown})
                second = yield Call.form("https://login.acme.example/second", {"key": first.json()["key"]})
                return second.good().json()
        """
    )

    def fails(request: httpx.Request) -> httpx.Response:
        if second == 429:
            return httpx.Response(429)
        raise httpx.ConnectError("refused", request=request)

    room.answers[LOGIN] = {"key": "k"}
    room.answers["POST login.acme.example/second"] = {
        "access_token": "t",
        "refresh_token": "r",
        "expires_in": 60,
    }
    room.answers["GET api.acme.example/x"] = {}
    with room.host() as host:
        get(host, "sync", "/x")
        room.answers["POST login.acme.example/second"] = fails
        room.now += 61
        with pytest.raises(RenewalError) as caught:
            get(host, "sync", "/x")
        assert caught.value.code == "in_doubt"


def test_an_identifier_of_nineteen_digits(tmp_path: Path) -> None:
    """As JSON numbers may be; a float would be another identifier."""
    room = Room(tmp_path, endpoint(discover=DISCOVER, api={"base_url": API + "/{team}"}), ACCOUNT)
    room.answers[LOGIN] = {"access_token": "t", "expires_in": 600}
    room.answers["GET api.acme.example/me"] = httpx.Response(200, content=b'{"team": 1234567890123456789}')
    room.answers["GET api.acme.example/1234567890123456789/x"] = {}
    with room.host() as host:
        assert get(host, "sync", "/x").status_code == 200


def test_a_login_call_for_somebody_else(tmp_path: Path) -> None:
    """Another user in the manifest is another login: the first one's token is not used for them."""
    token = {
        "url": "https://login.acme.example/token",
        "body": "json",
        "params": {"user": "{username}", "password": "{password}"},
    }
    room = Room(tmp_path, endpoint(grants=["two_step"], token=token), {})
    room.answers[LOGIN] = lambda request: {
        "access_token": json.loads(request.content)["user"],
        "expires_in": 600,
    }
    room.answers["GET api.acme.example/x"] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ann", "bob", "secret"):
            patch.setenv(name.upper(), name)
        for name in ("ANN", "BOB", "ANN"):
            room.account = {"username": f"${{env:{name}}}", "password": "${env:SECRET}"}
            with room.host() as host:
                get(host, "sync", "/x")
    sent = [request.headers["Authorization"] for request in room.asked("/x")]
    assert sent == ["Bearer ann", "Bearer bob", "Bearer ann"]
    assert len(room.asked("/token")) == 2
