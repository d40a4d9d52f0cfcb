"""API requests with tokens that are bound to a key, and challenges that no renewal answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from protocol_room import NOW, account, part

from connector.drive import World
from connector.errors import NotAuthorizedError
from connector.grants import RefreshToken
from connector.jwts import new_dpop_key
from connector.keys import new_key
from connector.post import Poster
from connector.record import Record
from connector.seal import Sealer
from connector.secret import Secret
from connector.source import TokenSource
from connector.store.memory import MemoryStore
from connector.token import Token
from connector.transport import AsyncTransport, Transport

API, OTHER = "https://api.example.com", "https://other.example.com"
KEY = new_dpop_key()
Answer = Callable[[httpx.Request], httpx.Response]
NONCE = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"'}


class Room:
    """A bound token, an API that a test answers for, and a token endpoint that answers as told."""

    def __init__(self, kind: str, answer: Answer, *, token_type: str = "DPoP", **spec: Any) -> None:
        self.kind, self.answer = kind, answer
        self.seen: list[httpx.Request] = []
        self.token_calls: list[httpx.Request] = []
        self.token_reply: dict[str, Any] = {"access_token": "a2", "token_type": "DPoP", "refresh_token": "r2"}
        self.token_nonce = ""
        made = account({"api": {"base_url": API, "hosts": ["other.example.com"]}, **spec}, dpop=True)
        self.world = World(
            key="acme",
            store=MemoryStore(clock=lambda: NOW),
            sealer=Sealer([new_key()]),
            poster=Poster(lambda url: httpx.MockTransport(self.token_endpoint), clock=lambda: NOW),
            reveal=lambda: Secret("pass"),
            account=made,
            clock=lambda: NOW,
        )
        token = Token(
            access_token=Secret("a1"),
            token_type=token_type,
            refresh_token=Secret("r1"),
            obtained_at=NOW,
            expires_at=NOW + 3600,
            dpop_key=KEY,
        )
        self.world.save(Record(token=token))
        self.source = TokenSource(made, RefreshToken(), self.world)

    def token_endpoint(self, request: httpx.Request) -> httpx.Response:
        """The next token."""
        self.token_calls.append(request)
        headers = {"DPoP-Nonce": self.token_nonce} if self.token_nonce else {}
        return httpx.Response(200, json=self.token_reply, headers=headers)

    def api(self, request: httpx.Request) -> httpx.Response:
        """One answer of the API."""
        self.seen.append(request)
        return self.answer(request)

    async def aapi(self, request: httpx.Request) -> httpx.Response:
        """The same, asynchronously."""
        return self.api(request)

    def get(self, *urls: str, **more: Any) -> list[httpx.Response]:
        """Requests through one client."""
        if self.kind == "sync":
            with httpx.Client(
                transport=Transport(self.source, httpx.MockTransport(self.api)), base_url=API
            ) as http:
                return [http.request(**{"method": "GET", "url": url, **more}) for url in urls]

        async def run() -> list[httpx.Response]:
            transport = AsyncTransport(self.source, httpx.MockTransport(self.aapi))
            async with httpx.AsyncClient(transport=transport, base_url=API) as http:
                return [await http.request(**{"method": "GET", "url": url, **more}) for url in urls]

        return anyio.run(run, backend=self.kind)

    def proofs(self) -> list[dict[str, Any]]:
        """The claims of each proof the API saw."""
        return [part(request.headers["dpop"], 1) for request in self.seen]


@pytest.fixture(params=["sync", "asyncio", "trio"])
def make(request: pytest.FixtureRequest) -> Callable[..., Room]:
    """Written once, shown in all three."""
    return lambda answer, **more: Room(request.param, answer, **more)


def good(request: httpx.Request) -> httpx.Response:
    """An API that takes everything."""
    return httpx.Response(200)


def nonces(*wanted: str) -> Answer:
    """An API that takes only the nonce that is due, and says which one that is."""
    due = iter(wanted)
    current = [next(due)]

    def answer(request: httpx.Request) -> httpx.Response:
        if part(request.headers["dpop"], 1).get("nonce") == current[0]:
            current[0] = next(due, current[0])
            return httpx.Response(200, headers={"DPoP-Nonce": current[0]})
        return httpx.Response(401, headers={**NONCE, "DPoP-Nonce": current[0]})

    return answer


def test_a_bound_token_goes_with_its_proof(make: Callable[..., Room]) -> None:
    """RFC 9449 section 7.1: scheme DPoP, one proof of method, address and token, a new one each time."""
    room = make(good)
    responses = room.get("/thing?secret=1", "/thing?secret=1")
    first, second = room.proofs()
    assert [request.headers["authorization"] for request in room.seen] == ["DPoP a1"] * 2
    assert [len(request.headers.get_list("dpop")) for request in room.seen] == [1, 1]
    assert (first["htm"], first["htu"], first["iat"]) == ("GET", f"{API}/thing", int(NOW))
    assert first["jti"] != second["jti"]
    assert len(first["jti"]) == 32
    assert not {"dpop", "authorization"} & set(responses[0].request.headers)


def test_a_bearer_token_stays_bearer(make: Callable[..., Room]) -> None:
    """A token that the server did not bind is shown without a proof, as RFC 6750 says."""
    room = make(good, token_type="Bearer")
    room.get("/thing")
    assert room.seen[0].headers["authorization"] == "Bearer a1"
    assert "dpop" not in room.seen[0].headers


def test_a_nonce_of_the_api(make: Callable[..., Room]) -> None:
    """RFC 9449 section 9: asked for once, used from then on, replaced when an answer brings another."""
    room = make(nonces("n1", "n2", "n3"))
    assert [response.status_code for response in room.get("/a", "/b", "/c")] == [200, 200, 200]
    assert [claims.get("nonce") for claims in room.proofs()] == [None, "n1", "n2", "n3"]
    assert room.token_calls == []


def test_nonces_are_each_servers_own(make: Callable[..., Room]) -> None:
    """RFC 9449 section 9: what one server gave is not shown to another."""
    room = make(lambda request: httpx.Response(200, headers={"DPoP-Nonce": request.url.host}))
    room.get("/a", f"{OTHER}/a", "/b", f"{OTHER}/b")
    assert [claims.get("nonce") for claims in room.proofs()] == [
        None,
        None,
        "api.example.com",
        "other.example.com",
    ]


def test_an_api_that_refuses_its_own_nonces(make: Callable[..., Room]) -> None:
    """Two tries with its nonces, one renewal, and then the 401 is the answer: no loop."""
    room = make(lambda request: httpx.Response(401, headers={**NONCE, "DPoP-Nonce": f"n{len(room.seen)}"}))
    (response,) = room.get("/a")
    assert response.status_code == 401
    assert len(room.seen) <= 5
    assert len(room.token_calls) <= 1


def test_a_renewal_proves_the_same_key(make: Callable[..., Room]) -> None:
    """RFC 9449 section 5: the refresh token is bound as well, so the key of the login stays."""
    room = make(lambda request: httpx.Response(200 if "a2" in request.headers["authorization"] else 401))
    (response,) = room.get("/a")
    assert response.status_code == 200
    (call,) = room.token_calls
    shown = part(call.headers["dpop"], 0)["jwk"]
    assert shown == {name: json.loads(KEY.reveal())[name] for name in ("kty", "crv", "x", "y")}
    assert [part(request.headers["dpop"], 0)["jwk"] for request in room.seen] == [shown, shown]


def test_a_nonce_of_the_token_endpoint() -> None:
    """RFC 9449 section 8.2: one that came with a good answer is used in the next token request."""
    room = Room("sync", good)
    room.token_nonce = "t1"
    room.source.renew_now()
    room.token_nonce = "t2"
    room.source.renew_now()
    room.source.renew_now()
    assert [part(call.headers["dpop"], 1).get("nonce") for call in room.token_calls] == [None, "t1", "t2"]


def test_a_foreign_host_sees_no_proof(make: Callable[..., Room]) -> None:
    """Neither token nor proof goes to a host that is not the account's."""
    room = make(good)
    room.get("https://elsewhere.example.net/")
    assert not {"dpop", "authorization"} & set(room.seen[0].headers)


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
@pytest.mark.parametrize(
    ("wanted", "how"),
    [
        ('acr_values="myACR"', "--acr-values 'myACR'"),
        ('max_age="5"', "--max-age 5"),
        ('acr_values="a b", max_age="0"', "--acr-values 'a b' --max-age 0"),
        ("", "connector login acme"),
    ],
)
def test_a_stronger_login_is_wanted(make: Callable[..., Room], scheme: str, wanted: str, how: str) -> None:
    """RFC 9470 section 3: an error with the command that brings it; no renewal, which could not."""
    said = f'{scheme} error="insufficient_user_authentication"' + (f", {wanted}" if wanted else "")
    room = make(lambda request: httpx.Response(401, headers={"WWW-Authenticate": said}))
    with pytest.raises(NotAuthorizedError) as caught:
        room.get("/a")
    assert caught.value.code == "step_up_required"
    assert how in caught.value.resolution
    assert room.token_calls == []
    assert len(room.seen) == 1


def test_only_a_401_asks_for_more(make: Callable[..., Room]) -> None:
    """The same words in another answer, or of another scheme, are the API's own business."""
    said = 'Bearer error="insufficient_user_authentication"'
    room = make(lambda request: httpx.Response(403, headers={"WWW-Authenticate": said}))
    assert room.get("/a")[0].status_code == 403


def test_a_token_in_the_query_is_kept_by_nobody(make: Callable[..., Room]) -> None:
    """RFC 6750 section 2.3: such a request asks not to be stored, and carries no token in its headers."""
    api = {"base_url": API, "token": {"in": "query", "name": "access_token"}}
    room = make(good, token_type="Bearer", api=api)
    room.get("/a")
    room.get("/a", headers={"Cache-Control": "no-cache"})
    assert [request.headers["cache-control"] for request in room.seen] == ["no-store", "no-cache"]
    assert all(request.url.params["access_token"] == "a1" for request in room.seen)
    assert all("authorization" not in request.headers for request in room.seen)
