"""The examples of docs/hooks.md, each played against a server that checks what it is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.etree import ElementTree as Xml

import httpx
import pytest
from endpoint_room import Room, form, get

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text("utf-8")
FILES = dict(re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
Make = Callable[..., Room]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A room with the files of the page, whose account has secrets of the environment."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    def room(name: str, account: dict[str, Any], **secrets: str) -> Room:
        for variable, value in secrets.items():
            monkeypatch.setenv(variable, value)
        endpoint = re.search(r"^endpoint: (\S+)", FILES[name], re.MULTILINE)
        assert endpoint is not None
        return Room(tmp_path, {}, {"oauth2_endpoint": endpoint[1], **account}, file=name)

    return room


def log_in(room: Room, **more: str) -> None:
    """A person consents, and the browser comes back."""
    with room.host() as host:
        asked = host.authorization("acme", redirect_uri="http://127.0.0.1:9/callback")
        state = dict(httpx.URL(asked.url).params)["state"]
        query = "&".join(f"{name}={value}" for name, value in {"code": "c", "state": state, **more}.items())
        asked.finish(f"http://127.0.0.1:9/callback?{query}")


def test_netsuite(make: Make, kind: str) -> None:
    """The signature is that of RFC 5849 section 3.4, made here by another way; no secret travels."""
    settings = {"account": "1234567_SB1", "host": "1234567-sb1.suitetalk.api.netsuite.com"}
    names = ("consumer_key", "consumer_secret", "token_id", "token_secret")
    settings |= {name: f"${{env:NS_{name}}}" for name in names}
    room = make(
        "netsuite_tba.yaml", {"settings": settings}, **{f"NS_{name}": f"the {name}&" for name in names}
    )

    def api(request: httpx.Request) -> httpx.Response:
        assert "secret" not in str(request.headers)
        scheme, _, fields = request.headers["authorization"].partition(" ")
        oauth = {k: unquote(v) for k, v in re.findall(r'(\w+)="([^"]*)"', fields)}
        assert (scheme, oauth.pop("realm")) == ("OAuth", "1234567_SB1")
        signature = oauth.pop("oauth_signature")
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        pairs = sorted(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in [*oauth.items(), *query])
        address = f"https://{request.url.host}{request.url.path}"
        base = f"GET&{quote(address, safe='~')}&{quote('&'.join(pairs), safe='~')}"
        key = f"{quote('the consumer_secret&', safe='~')}&{quote('the token_secret&', safe='~')}"
        made = base64.b64encode(hmac.digest(key.encode(), base.encode(), "sha256")).decode()
        return httpx.Response(200 if hmac.compare_digest(made, signature) else 401)

    room.answers[f"GET {settings['host']}/services/rest/record/v1/customer"] = api
    with room.host() as host:
        for _ in range(2):
            response = get(host, kind, "record/v1/customer", params={"q": 'name IS "A & B"', "limit": "5"})
            assert response.status_code == 200
    nonces = {re.search(r'oauth_nonce="(\w+)"', r.headers["authorization"])[1] for r in room.seen}  # type: ignore[index]
    assert len(nonces) == 2


def test_lazada(make: Make) -> None:
    """The code and each renewal are signed, the secret stays at home."""
    room = make("lazada.yaml", {"client_id": "key", "client_secret": "${env:SECRET}"}, SECRET="s3cret")

    def token(request: httpx.Request) -> httpx.Response:
        pairs = form(request)
        sign = pairs.pop("sign")
        path = request.url.path.removeprefix("/rest")
        text = path + "".join(k + v for k, v in sorted(pairs.items()))
        made = hmac.new(b"s3cret", text.encode(), hashlib.sha256).hexdigest().upper()
        assert (sign, pairs["app_key"], pairs["sign_method"]) == (made, "key", "sha256")
        assert not pairs.keys() & {"client_secret", "grant_type", "client_id"}
        number = len(room.asked(request.url.path))
        return httpx.Response(
            200, json={"access_token": f"a{number}", "refresh_token": f"r{number}", "expires_in": 60}
        )

    room.answers["POST auth.lazada.com/rest/auth/token/create"] = token
    room.answers["POST auth.lazada.com/rest/auth/token/refresh"] = token
    room.answers["GET api.lazada.sg/rest/orders/get"] = {}
    log_in(room)
    with room.host() as host:
        for _ in range(3):
            assert get(host, "sync", "orders/get").status_code == 200
            room.now += 61
    assert len(room.asked("/rest/auth/token/refresh")) == 2
    assert [dict(r.url.params)["access_token"] for r in room.asked("/rest/orders/get")] == ["a1", "a1", "a2"]


def test_intacct(make: Make) -> None:
    """Login and errors in XML; the session's address becomes the base URL."""
    account: dict[str, Any] = {
        "username": "robot",
        "password": "${env:PW}",
        "settings": {"sender_id": "s", "company": "c<&"},
    }
    account["settings"] |= {"sender_password": "${env:SPW}"}
    room = make("intacct.yaml", account, PW="p<w", SPW="s<w")

    def gateway(request: httpx.Request) -> httpx.Response:
        root = Xml.fromstring(request.content)
        said = {name: root.findtext(f".//{name}") for name in ("senderid", "userid", "companyid")}
        assert said == {"senderid": "s", "userid": "robot", "companyid": "c<&"}
        assert [each.text for each in root.iter("password")] == ["s<w", "p<w"]
        if room.now > 1_800_000_100:
            return httpx.Response(
                200, text="<response><error><description2>locked</description2></error></response>"
            )
        api = "<sessionid>abc</sessionid><endpoint>https://api.intacct.com/ia/xml/x</endpoint>"
        ends = "<sessiontimeout>2027-01-15T08:01:00+00:00</sessiontimeout>"
        return httpx.Response(200, text=f"<response><api>{api}</api>{ends}</response>")

    room.answers["POST api.intacct.com/ia/xml/xmlgw.phtml"] = gateway
    room.answers["GET api.intacct.com/ia/xml/x/customers"] = {}
    with room.host() as host:
        assert get(host, "sync", "customers").status_code == 200
        assert room.seen[-1].headers["x-session"] == "abc"
        assert host.token("acme").expires_at == 1_800_000_060
        room.now += 101
        with pytest.raises(Exception, match="locked"):
            get(host, "sync", "customers")


def test_tenants(make: Make, kind: str) -> None:
    """After one consent the client asks for itself, at the place that its own call finds; a failed call is told."""
    room = make("tenants.yaml", {"client_id": "me", "client_secret": "${env:SECRET}"}, SECRET="s3cret")
    room.answers["POST login.example.com/token"] = {"access_token": "consent", "expires_in": 1}
    room.answers["GET login.example.com/tenants/t1"] = {"token_endpoint": "https://eu.example.com/token"}
    room.answers["POST eu.example.com/token"] = {"access_token": "own", "expires_in": 60}
    room.answers["GET t1.example.com/x"] = {}
    log_in(room, tenant="t1")
    room.now += 2
    with room.host() as host:
        assert get(host, kind, "x").status_code == 200
        room.now += 61
        assert get(host, kind, "x").status_code == 200
        assert [r.headers["authorization"] for r in room.asked("/x")] == ["Bearer own"] * 2
        room.now += 61
        room.answers["GET login.example.com/tenants/t1"] = httpx.Response(503)
        with pytest.raises(Exception, match="503"):
            get(host, kind, "x")


def test_slack(make: Make, kind: str) -> None:
    """The person's token for methods of people, the bot's for the others."""
    room = make("slack_both.yaml", {"client_id": "me", "client_secret": "${env:SECRET}"}, SECRET="s3cret")
    room.answers["POST slack.com/api/oauth.v2.access"] = {
        "ok": True,
        "access_token": "bot",
        "authed_user": {"access_token": "person"},
        "team": {"id": "T1"},
    }
    for path in ("chat.postMessage", "search.messages"):
        room.answers[f"GET slack.com/api/{path}"] = {"ok": True}
    log_in(room)
    with room.host() as host:
        get(host, kind, "chat.postMessage")
        get(host, kind, "search.messages")
    assert [r.headers["authorization"] for r in room.seen[1:]] == ["Bearer bot", "Bearer person"]


def test_every_example_is_played() -> None:
    """A new file on the page needs a test here."""
    played = {"netsuite_tba", "lazada", "intacct", "tenants", "slack_both"}
    assert {name.removesuffix(".yaml") for name in FILES if name.endswith(".yaml")} == played
