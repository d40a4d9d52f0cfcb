"""Accounts that are not OAuth2: where their proof goes, when it is read anew, and that no store keeps it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from endpoint_room import API, CANARY, Room, get

from connector.errors import ManifestError, NotAuthorizedError

KEY = "${env:ACME_KEY}"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the references lead to."""
    monkeypatch.setenv("ACME_KEY", CANARY)


def basic(user: str, password: str) -> str:
    """The value of the Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("endpoint", "account", "shown"),
    [
        ({"grants": ["api_key"]}, {"api_key": KEY}, {"authorization": f"Bearer {CANARY}"}),
        (
            {"grants": ["api_key"], "api": {"token": {"name": "X-Key", "prefix": ""}}},
            {"api_key": KEY},
            {"x-key": CANARY},
        ),
        (
            {"grants": ["api_key"], "api": {"token": {"in": "query", "name": "key"}}},
            {"api_key": KEY},
            {"url": f"{API}/x?key={CANARY}"},
        ),
        (
            {"grants": ["api_key"], "api": {"token": {"in": "cookie", "name": "sid"}}},
            {"api_key": KEY},
            {"cookie": f"sid={CANARY}"},
        ),
        (
            {
                "grants": ["api_key"],
                "api": {"base_url": API + "/v1", "token": {"in": "path", "prefix": "bot"}},
            },
            {"api_key": KEY},
            {"url": f"{API}/v1/bot{CANARY}/x"},
        ),
        (
            {"grants": ["api_key"], "api": {"basic": {"username": "{api_key}", "password": "x"}}},
            {"api_key": KEY},
            {"authorization": basic(CANARY, "x")},
        ),
        (
            {
                "grants": ["api_key"],
                "settings": {"app_key": {"x-secret": True}, "org": {}},
                "api": {
                    "token": {"in": "none"},
                    "headers": {"X-Key": "{api_key}", "X-App": "{app_key}/{org}"},
                },
            },
            {"api_key": KEY, "settings": {"app_key": KEY, "org": "o"}},
            {"x-key": CANARY, "x-app": f"{CANARY}/o", "authorization": None},
        ),
        (
            {"grants": ["api_key"], "api": {"headers": {"Authorization": "Token token={api_key}"}}},
            {"api_key": KEY},
            {"authorization": f"Token token={CANARY}"},
        ),
        (
            {"grants": ["basic"]},
            {"username": "robot", "password": KEY},
            {"authorization": basic("robot", CANARY)},
        ),
        ({"grants": ["bearer"]}, {"bearer_token": KEY}, {"authorization": f"Bearer {CANARY}"}),
        ({"grants": ["none"]}, {}, {"authorization": None}),
    ],
)
def test_where_the_proof_goes(
    kind: str, endpoint: dict[str, Any], account: dict[str, Any], shown: dict[str, str | None], tmp_path: Path
) -> None:
    """On the account's own host only; the snap's own request holds none of it; the store keeps none of it."""
    room = Room(tmp_path, {**endpoint, "api": {"base_url": API, **endpoint.get("api", {})}}, account)

    def any_answer(request: httpx.Request) -> httpx.Response:
        room.seen.append(request)
        return httpx.Response(200, json={})

    room.answer = any_answer  # type: ignore[method-assign]
    with room.host() as host:
        response = get(host, kind, "x")
        get(host, kind, "https://elsewhere.example/x")
        assert CANARY not in repr(host.accounts["acme"])
    own, foreign = room.seen
    for name, value in shown.items():
        assert (str(own.url) if name == "url" else own.headers.get(name)) == value
    assert CANARY not in f"{foreign.url}{foreign.headers}"
    assert CANARY not in f"{response.request.url}{response.request.headers}"
    stored = room.store.load("acme") if endpoint["grants"] != ["bearer"] else None
    assert stored is None
    assert not list(room.store.accounts()) or endpoint["grants"] == ["bearer"]


def test_a_key_that_was_changed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One 401 makes it be read anew, and the request is sent once more; a dead key is handed out as the 401."""
    room = Room(tmp_path, {"grants": ["api_key"], "api": {"base_url": API}}, {"api_key": KEY})
    good = "new"
    room.answers["GET api.acme.example/x"] = lambda request: httpx.Response(
        200 if request.headers["authorization"] == f"Bearer {good}" else 401
    )
    with room.host() as host:
        assert get(host, kind, "x").status_code == 401
        monkeypatch.setenv("ACME_KEY", "new")
        room.now += 61
        assert get(host, kind, "x").status_code == 200
    assert len(room.seen) <= 4


def test_a_jwt_of_our_own(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed anew before it ends, as the endpoint says; a hex key as hex."""
    secret = "00ff10" * 12
    monkeypatch.setenv("ACME_KEY", secret)
    room = Room(
        tmp_path,
        {
            "grants": ["signed_jwt"],
            "settings": {"issuer_id": {}},
            "jwt": {
                "alg": "HS256",
                "key_encoding": "hex",
                "lifetime": 60,
                "header": {"typ": "JWT"},
                "claims": {
                    "iss": "{issuer_id}",
                    "aud": "/admin/",
                    "sub": None,
                    "jti": None,
                    "scopes": {"a": "{issuer_id}"},
                },
            },
            "api": {"base_url": API, "token": {"prefix": "Ghost "}},
        },
        {"private_key": KEY, "key_id": "k1", "settings": {"issuer_id": "me"}},
    )

    def api(request: httpx.Request) -> httpx.Response:
        scheme, _, text = request.headers["authorization"].partition(" ")
        assert scheme == "Ghost"
        assert jwt.get_unverified_header(text) == {"alg": "HS256", "typ": "JWT", "kid": "k1"}
        options: Any = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(
            text, bytes.fromhex(secret), algorithms=["HS256"], audience="/admin/", options=options
        )
        assert claims == {
            "iss": "me",
            "aud": "/admin/",
            "iat": int(room.now),
            "exp": int(room.now) + 60,
            "scopes": {"a": "me"},
        }
        return httpx.Response(200)

    room.answers["GET api.acme.example/x"] = api
    with room.host() as host:
        for _ in range(3):
            assert get(host, kind, "x").status_code == 200
            room.now += 61


def test_a_login_call(kind: str, tmp_path: Path) -> None:
    """Just what the endpoint says is sent; the session comes in a header, and is renewed by another login."""
    room = Room(
        tmp_path,
        {
            "grants": ["two_step"],
            "settings": {"company": {}},
            "token": {
                "url": "https://login.acme.example/login",
                "body": "json",
                "params": {
                    "auth": {"user": "{username}", "password": "{password}", "remember": True},
                    "company": "{company}",
                },
            },
            "response": {"access_token": "header:X-Session", "lifetime": 60, "capture": {"pod": "/pod"}},
            "api": {"base_url": "https://{pod}.acme.example", "token": {"name": "X-Session", "prefix": ""}},
        },
        {"username": "robot", "password": KEY, "settings": {"company": "acme"}},
    )
    room.answers["POST login.acme.example/login"] = lambda request: httpx.Response(
        200, json={"pod": "p7"}, headers={"X-Session": f"s{len(room.asked('/login'))}"}
    )
    room.answers["GET p7.acme.example/x"] = lambda request: httpx.Response(
        401 if request.headers["x-session"] == "s2" else 200
    )
    with room.host() as host:
        assert get(host, kind, "x").status_code == 200
        room.now += 61
        assert get(host, kind, "x").status_code == 200  # s2 is refused, s3 is not
    assert [request.headers["x-session"] for request in room.asked("/x")] == ["s1", "s2", "s3"]
    sent = json.loads(room.asked("/login")[0].content)
    assert sent == {"auth": {"user": "robot", "password": CANARY, "remember": True}, "company": "acme"}


def test_a_pasted_token(kind: str, tmp_path: Path) -> None:
    """Adopted once; when the API refuses it, a person is asked for another."""
    room = Room(tmp_path, {"grants": ["bearer"], "api": {"base_url": API}}, {})
    room.answers["GET api.acme.example/x"] = lambda request: httpx.Response(
        200 if request.headers["authorization"] == "Bearer pasted" else 401
    )
    with room.host() as host:
        with pytest.raises(NotAuthorizedError):
            get(host, kind, "x")
        host.adopt("acme", {"access_token": "pasted"})
        assert get(host, kind, "x").status_code == 200


@pytest.mark.parametrize(
    ("endpoint", "account", "words"),
    [
        ({"grants": ["api_key"]}, {}, "acme has no api_key"),
        ({"grants": ["basic"]}, {"username": "x"}, "acme has no password"),
        ({"grants": ["signed_jwt"], "jwt": {}}, {}, "acme has no private_key"),
        ({"grants": ["api_key"]}, {"api_key": "literal"}, "api_key"),
        (
            {"grants": ["none"], "settings": {"key": {"x-secret": True}}},
            {"settings": {"key": "literal"}},
            "may not stand in the manifest",
        ),
        ({"grants": ["client_credentials"], "token": {"url": API}}, {"client_auth": "none"}, "no client_id"),
    ],
)
def test_what_is_missing(
    endpoint: dict[str, Any], account: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Told before anything runs."""
    room = Room(tmp_path, {**endpoint, "api": {"base_url": API}}, account)
    with pytest.raises((AssertionError, ManifestError), match=words), room.host() as host:
        host.client("acme")
