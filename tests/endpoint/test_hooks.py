"""The five hooks of an endpoint, each by a case that real servers ask for."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import httpx
import pytest
from endpoint_room import API, CANARY, TOKEN, Room, endpoint, form, get

from connector.errors import ConnectorError


def test_a_request_is_signed(kind: str, tmp_path: Path) -> None:
    """authenticate_request: a signature over method, URL and body with a secret of the account (as OAuth 1.0a,
    AWS and many shops want it); a replay after a 401 is signed anew.
    """
    room = Room(
        tmp_path,
        {
            "grants": ["api_key"],
            "plugin": "acme_hooks:Acme",
            "api": {"base_url": API, "token": {"in": "none"}},
        },
        {"api_key": "${env:ACME_KEY}"},
    )
    room.hooks(
        """
        import hashlib, hmac
        from connector.endpointhooks import EndpointHooks

        class Acme(EndpointHooks):
            def authenticate_request(self, call, situation):
                text = f"{call.method} {call.url}".encode() + (call.body or b"")
                made = hmac.new(situation.values["api_key"].encode(), text, hashlib.sha256).hexdigest()
                return call.with_headers({"X-Signature": made})
        """
    )

    def api(request: httpx.Request) -> httpx.Response:
        text = f"{request.method} {request.url}".encode() + request.content
        good = hmac.new(CANARY.encode(), text, hashlib.sha256).hexdigest()
        return httpx.Response(200 if request.headers["X-Signature"] == good else 401)

    room.answers["GET api.acme.example/orders"] = api
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_KEY", CANARY)
        with room.host() as host:
            assert get(host, kind, "/orders", params={"page": "2"}).status_code == 200
    assert CANARY not in str(room.seen[0].headers)


def test_a_derived_parameter(tmp_path: Path) -> None:
    """prepare_token_request: a parameter made of the others, as shop platforms ask for, at each renewal too."""
    room = Room(
        tmp_path,
        endpoint(plugin="acme_hooks:Acme"),
        {"client_id": "me", "client_secret": "${env:ACME_SECRET}"},
    )
    room.hooks(
        """
        import hashlib, hmac
        from urllib.parse import parse_qsl
        from dataclasses import replace
        from connector.endpointhooks import Call, EndpointHooks

        class Acme(EndpointHooks):
            def prepare_token_request(self, call, situation):
                pairs = {k: v for k, v in parse_qsl(call.body.decode()) if k != "client_secret"}
                text = "".join(k + v for k, v in sorted(pairs.items())).encode()
                pairs["sign"] = hmac.new(situation.values["client_secret"].encode(), text, hashlib.sha256).hexdigest()
                return replace(call, body=Call.form(call.url, pairs).body)
        """
    )

    def token(request: httpx.Request) -> httpx.Response:
        pairs = form(request)
        sign = pairs.pop("sign")
        text = "".join(k + v for k, v in sorted(pairs.items())).encode()
        good = hmac.new(CANARY.encode(), text, hashlib.sha256).hexdigest()
        assert "client_secret" not in pairs
        return httpx.Response(200 if sign == good else 400, json={"access_token": "t", "expires_in": 60})

    room.answers["POST login.acme.example/token"] = token
    room.answers["GET api.acme.example/orders"] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_SECRET", CANARY)
        with room.host() as host:
            for _ in range(3):
                assert get(host, "sync", "/orders").status_code == 200
                room.now += 61
    assert len(room.asked("/token")) == 3


XML = """
    import re
    from dataclasses import replace
    from connector.endpointhooks import EndpointHooks

    class Acme(EndpointHooks):
        def read_token_reply(self, answer, situation):
            found = dict(re.findall(r"<(\\w+)>([^<]*)</", answer.text))
            if "fault" in found:
                return {"error": "invalid_grant", "error_description": found["fault"]}
            return {"access_token": found["session"], "expires_in": int(found["seconds"])}
    """


@pytest.mark.parametrize("grant", ["two_step", "client_credentials"])
def test_a_reply_in_xml(grant: str, tmp_path: Path) -> None:
    """read_token_reply: what is neither JSON nor a form; errors are read as well as tokens."""
    room = Room(
        tmp_path,
        {"grants": [grant], "plugin": "acme_hooks:Acme", "token": TOKEN, "api": {"base_url": API}},
        {} if grant == "two_step" else {"client_id": "me", "client_auth": "none"},
    )
    room.hooks(XML)
    room.answers["POST login.acme.example/token"] = httpx.Response(
        200, text="<login><session>s1</session><seconds>60</seconds></login>"
    )
    room.answers["GET api.acme.example/orders"] = {}
    with room.host() as host:
        assert get(host, "sync", "/orders").status_code == 200
        assert room.seen[-1].headers["Authorization"] == "Bearer s1"
        assert host.token("acme").expires_at == room.now + 60
        room.now += 61
        room.answers["POST login.acme.example/token"] = httpx.Response(
            200, text="<login><fault>gone</fault></login>"
        )
        with pytest.raises(ConnectorError, match="gone"):
            get(host, "sync", "/orders")


def test_consent_then_client_credentials(kind: str, tmp_path: Path) -> None:
    """obtain: the person's consent names a tenant only, and tokens are asked for by the client from then on."""
    room = Room(
        tmp_path,
        {
            "grants": ["authorization_code"],
            "plugin": "acme_hooks:Acme",
            "authorize": {
                "url": "https://login.acme.example/consent",
                "callback": {"capture": {"tenant": "tenant"}},
            },
            "token": TOKEN,
            "refresh": {"rotates": "never"},
            "api": {"base_url": "https://{tenant}.acme.example"},
            "settings": {"tenant": {"x-filled-by": "redirect"}},
        },
        {"client_id": "me", "client_auth": "none"},
    )
    room.hooks(
        """
        from connector.endpointhooks import Call, EndpointHooks

        class Acme(EndpointHooks):
            def obtain(self, situation):
                url = f"https://{situation.values['tenant']}.acme.example/token"
                answer = yield Call.form(url, {"grant_type": "client_credentials", "client_id": "me"})
                return answer.good().json()
        """
    )
    room.answers["POST login.acme.example/token"] = {"access_token": "consent", "expires_in": 1}
    room.answers["POST t1.acme.example/token"] = {"access_token": "own", "expires_in": 60}
    room.answers["GET t1.acme.example/orders"] = {}
    with room.host() as host:
        asked = host.authorization("acme", redirect_uri="http://127.0.0.1:9/callback")
        state = dict(httpx.URL(asked.url).params)["state"]
        asked.finish(f"http://127.0.0.1:9/callback?code=x&state={state}&tenant=t1")
        room.now += 2
        assert get(host, kind, "/orders").status_code == 200
        room.now += 61
        assert get(host, kind, "/orders").status_code == 200
    assert [request.headers["Authorization"] for request in room.asked("/orders")] == ["Bearer own"] * 2
    assert len([request for request in room.asked("/token") if request.url.host == "t1.acme.example"]) == 2


def test_several_tokens_of_one_account(kind: str, tmp_path: Path) -> None:
    """authenticate_request: two tokens came in one reply, and the path decides which goes along."""
    room = Room(
        tmp_path,
        {
            "grants": ["client_credentials"],
            "plugin": "acme_hooks:Acme",
            "token": TOKEN,
            "response": {"capture": {"user_token": "/authed_user/access_token"}},
            "api": {"base_url": API},
        },
        {"client_id": "me", "client_auth": "none"},
    )
    room.hooks(
        """
        from connector.endpointhooks import EndpointHooks

        class Acme(EndpointHooks):
            def authenticate_request(self, call, situation):
                if "/search" not in call.url:
                    return call
                return call.with_headers({"Authorization": "Bearer " + situation.values["user_token"]})
        """
    )
    room.answers["POST login.acme.example/token"] = {
        "access_token": "bot",
        "authed_user": {"access_token": "user"},
    }
    room.answers["GET api.acme.example/search"] = room.answers["GET api.acme.example/post"] = {}
    with room.host() as host:
        get(host, kind, "/post")
        get(host, kind, "/search")
    assert [request.headers["Authorization"] for request in room.seen[1:]] == ["Bearer bot", "Bearer user"]


def test_after_connecting(kind: str, tmp_path: Path) -> None:
    """after_connect: once per login, before the first request; what it finds is kept through renewals."""
    room = Room(
        tmp_path,
        {
            "grants": ["client_credentials"],
            "plugin": "acme_hooks:Acme",
            "token": TOKEN,
            "settings": {"site": {"x-filled-by": "discover"}},
            "api": {"base_url": "https://{site}.acme.example"},
        },
        {"client_id": "me", "client_auth": "none"},
    )
    room.hooks(
        """
        from connector.endpointhooks import Call, EndpointHooks

        class Acme(EndpointHooks):
            def after_connect(self, situation):
                token = situation.token.access_token.reveal()
                first = yield Call(url="https://api.acme.example/me", headers=(("Authorization", "Bearer " + token),))
                second = yield Call(url="https://api.acme.example/sites/" + first.good().json()["id"])
                return {"site": second.good().json()["host"]}
        """
    )
    room.answers["POST login.acme.example/token"] = {"access_token": "t", "expires_in": 60}
    room.answers["GET api.acme.example/me"] = {"id": "7"}
    room.answers["GET api.acme.example/sites/7"] = {"host": "eu7"}
    room.answers["GET eu7.acme.example/orders"] = {}
    with room.host() as host:
        assert get(host, kind, "/orders").status_code == 200
        room.now += 61
        assert get(host, kind, "/orders").status_code == 200
    assert len(room.asked("/me")) == 1
    assert len(room.asked("/token")) == 2


@pytest.mark.parametrize(
    "body",
    [
        "def read_token_reply(self, answer, situation): raise ValueError(answer.text)",
        "def read_token_reply(self, answer, situation): return [answer.text]",
        "def prepare_token_request(self, call, situation): raise ValueError(call.body)",
        "def prepare_token_request(self, call, situation): return None",
        "def obtain(self, situation): raise ValueError(situation.values['client_secret'])",
        "def obtain(self, situation): return 5",
        "def obtain(self, situation):\n        yield 5",
        "def obtain(self, situation):\n        while True: yield Call(method='POST', url='https://login.acme.example/token')",
        "def after_connect(self, situation):\n        raise KeyError(situation.token.access_token.reveal())\n        yield",
        "def authenticate_request(self, call, situation): raise ValueError(call.headers)",
    ],
)
def test_a_hook_that_fails(body: str, tmp_path: Path) -> None:
    """It is named in an error of the promised kind, and nothing it worked with is shown."""
    room = Room(
        tmp_path,
        endpoint(plugin="acme_hooks:Acme"),
        {"client_id": "me", "client_secret": "${env:ACME_SECRET}"},
    )
    room.hooks(f"from connector.endpointhooks import *\nclass Acme(EndpointHooks):\n    {body}\n")
    room.answers["POST login.acme.example/token"] = {"access_token": CANARY, "expires_in": 60}
    room.answers["GET api.acme.example/orders"] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACME_SECRET", CANARY)
        with room.host() as host, pytest.raises(ConnectorError) as caught:
            get(host, "sync", "/orders")
    assert caught.value.code == "plugin_failed"
    assert "acme" in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error)
        error = error.__cause__ or error.__context__
    assert len(room.asked("/token")) <= 21


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("class Other: pass", "no such class"),
        ("class Acme: pass", "no EndpointHooks"),
        ("def", "SyntaxError"),
        (
            "from connector.endpointhooks import *\nclass Acme(EndpointHooks):\n  def __init__(self, x): pass",
            "TypeError",
        ),
        (None, "ModuleNotFoundError"),
    ],
)
def test_hooks_that_cannot_be_loaded(source: str | None, words: str, tmp_path: Path) -> None:
    """The place in the file that names them, why, and what to do."""
    room = Room(
        tmp_path,
        {"grants": ["client_credentials"], "plugin": "acme_hooks:Acme", "token": TOKEN},
        {"client_id": "me", "client_auth": "none"},
    )
    if source is not None:
        room.hooks(source)
    with pytest.raises(AssertionError, match=words) as caught:
        room.host()
    assert "/endpoints/acme/plugin" in str(caught.value)
