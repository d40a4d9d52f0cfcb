"""A token endpoint and an API that a test controls, and one way to call them from sync, asyncio and trio."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx
import pytest

from connector.account import Account
from connector.drive import World
from connector.endpoint import endpoint_from_spec
from connector.grants import RefreshToken
from connector.keys import new_key
from connector.post import Poster
from connector.record import Record
from connector.seal import Sealer
from connector.secret import Secret
from connector.source import TokenSource
from connector.store.memory import MemoryStore
from connector.token import Token
from connector.transport import AsyncTransport, Transport

API = "https://api.example.com"
SPEC = {
    "endpoint": "example",
    "token": {"url": "https://login.example.com/token", "auth": "client_secret_post"},
    "grants": ["authorization_code"],
    "api": {"base_url": API},
}


class Clock:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Side:
    """The other side: tokens it issued, what it was sent, and what it answers."""

    clock: Clock
    good: set[str] = field(default_factory=set)
    calls: list[dict[str, list[str]]] = field(default_factory=list)
    seen: list[httpx.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    answer: Callable[[httpx.Request], httpx.Response] | None = None
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    lifetime: float = 3600

    def token_endpoint(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(parse_qs(request.content.decode()))
        name = f"token-{next(self.numbers)}"
        self.good.add(name)
        reply = {"access_token": name, "refresh_token": f"refresh-{name}", "expires_in": self.lifetime}
        return httpx.Response(200, json=reply)

    def api(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        self.bodies.append(request.read() if isinstance(request.stream, httpx.SyncByteStream) else b"")
        return self.decide(request)

    async def async_api(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        self.bodies.append(await request.aread())
        return self.decide(request)

    def decide(self, request: httpx.Request) -> httpx.Response:
        if self.answer is not None:
            found = self.answer(request)
            if found is not None:
                return found
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if shown not in self.good:
            return httpx.Response(401, json={"error": "invalid_token"})
        return httpx.Response(200, json={"ok": True})


@dataclass
class Rig:
    """An account between a client and the other side, in one of three ways to call it."""

    kind: str
    side: Side
    source: TokenSource

    def call(self, *requests: dict[str, Any], **options: Any) -> list[httpx.Response]:
        """Send requests one after the other through one client; each a dict of `Client.request` arguments."""
        if self.kind == "sync":
            transport = Transport(
                self.source, httpx.MockTransport(self.side.api), sleep=self.side.slept.append
            )
            with httpx.Client(transport=transport, base_url=API, **options) as client:
                return [client.request(**{"method": "GET", **request}) for request in requests]
        return anyio.run(self._acall, requests, options, backend=self.kind)

    async def _acall(self, requests: Any, options: Any) -> list[httpx.Response]:
        async def sleep(seconds: float) -> None:
            self.side.slept.append(seconds)

        transport = AsyncTransport(self.source, httpx.MockTransport(self.side.async_api), sleep=sleep)
        async with httpx.AsyncClient(transport=transport, base_url=API, **options) as client:
            return [await client.request(**{"method": "GET", **request}) for request in requests]

    def one_shot(self, *chunks: bytes) -> Any:
        """A body that can be read once, of the kind this way of calling takes."""
        if self.kind == "sync":
            return (chunk for chunk in chunks)

        async def generate() -> Any:
            for chunk in chunks:
                yield chunk

        return generate()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def kind(request: pytest.FixtureRequest) -> str:
    """Written once, shown in all three."""
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Callable[..., Rig]:
    """Make a rig; keyword arguments change the account, `spec` its endpoint, `expires_in` its first token."""

    def build(
        *, spec: dict[str, Any] | None = None, expires_in: float = 3600, good: bool = True, **account: Any
    ) -> Rig:
        clock = Clock()
        side = Side(clock)
        endpoint = endpoint_from_spec({**SPEC, **(spec or {})})
        made = Account(
            name="example",
            client_id="id",
            client_secret=Secret("very-secret"),
            endpoint=endpoint,
            grant="authorization_code",
        )
        world = World(
            key="example",
            store=MemoryStore(clock=clock),
            sealer=Sealer([new_key()]),
            poster=Poster(lambda url: httpx.MockTransport(side.token_endpoint), clock=clock),
            reveal=lambda: Secret("very-secret"),
            clock=clock,
        )
        token = Token(
            access_token=Secret("token-0"),
            refresh_token=Secret("refresh-0"),
            obtained_at=clock.now,
            expires_at=clock.now + expires_in,
        )
        world.save(Record(token=token))
        if good:
            side.good.add("token-0")
        return Rig(kind, side, TokenSource(replace(made, **account), RefreshToken(), world))

    return build


def shown(request: httpx.Request) -> str:
    """The Authorization header a request carried; empty when it had none."""
    return str(request.headers.get("authorization", ""))
