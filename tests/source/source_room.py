"""A token source between a store that notes what it is asked and a token endpoint with a gate before it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx

from connector.account import Account
from connector.drive import World
from connector.endpoint import endpoint_from_spec
from connector.errors import StoreError
from connector.grants import ClientCredentials, Grant, RefreshToken
from connector.keys import new_key
from connector.post import Poster
from connector.record import Record
from connector.seal import Sealer
from connector.secret import Secret
from connector.source import TokenSource
from connector.store.memory import MemoryStore
from connector.token import Token
from connector.tokenstore import Lease, Stored

# Nothing here waits this long; it only keeps a broken test from hanging.
BOUND_S = 10.0
KINDS = ("sync", "asyncio", "trio")
ACCOUNT = Account(
    name="example",
    client_id="id",
    endpoint=endpoint_from_spec(
        {
            "endpoint": "example",
            "token": {"url": "https://login.example.com/token", "auth": "client_secret_post"},
            "grants": ["authorization_code"],
        }
    ),
    grant="authorization_code",
)


class Clock:
    """A wall clock that a test moves; sleeping moves it too."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Endpoint:
    """A token endpoint. `answer` says what it replies, the gate when.

    Attributes:
        calls: the forms it was sent.
        arrived: set once a call stands before the gate.
    """

    def __init__(self) -> None:
        self.calls: list[dict[str, str]] = []
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.lifetime = 3600
        self.answer: Callable[[], httpx.Response] = self.issue
        self._numbers = itertools.count(1)

    def shut(self) -> None:
        """Hold every call back from now on."""
        self.arrived.clear()
        self.gate.clear()

    def issue(self) -> httpx.Response:
        """A new token with a new refresh token."""
        name = f"token-{next(self._numbers)}"
        return httpx.Response(
            200,
            json={"access_token": name, "refresh_token": f"refresh-{name}", "expires_in": self.lifetime},
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        self.calls.append({name: values[0] for name, values in form.items()})
        self.arrived.set()
        assert self.gate.wait(BOUND_S), "nobody opened the gate"
        return self.answer()


class NotingStore(MemoryStore):
    """A store that notes what it is asked, and fails to save when told to."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.asked: list[str] = []
        self.full = False
        self.on_load: Callable[[], None] = lambda: None
        self.on_release: Callable[[], None] = lambda: None

    def load(self, account: str) -> Stored | None:
        self.asked.append("load")
        found = super().load(account)
        self.on_load()
        return found

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        self.asked.append("save")
        if self.full:
            raise StoreError("the disk is full")
        super().save(account, sealed, version=version)

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        self.asked.append("acquire")
        return super().acquire(account, holder, ttl_s=ttl_s)

    def release(self, account: str, holder: str) -> None:
        super().release(account, holder)
        self.on_release()


@dataclass
class Room:
    """A source and what is around it."""

    clock: Clock
    endpoint: Endpoint
    store: NotingStore
    world: World
    source: TokenSource
    waiting: list[threading.Thread] = field(default_factory=list)

    def login(self, name: str, *, expires_in: float = 3600) -> Token:
        """Put a login into the store, as another process would."""
        token = Token(
            access_token=Secret(name),
            refresh_token=Secret(f"refresh-{name}"),
            obtained_at=self.clock.now,
            expires_at=self.clock.now + expires_in,
        )
        stored = self.store.load(self.world.key)
        self.world.save(Record(version=stored.version if stored else 0, token=token))
        return token

    def ask(self, kind: str, **options: Any) -> Token:
        """Ask for a token in one of the three ways."""
        if kind == "sync":
            return self.source.token(**options)
        return anyio.run(lambda: self.source.atoken(**options), backend=kind)

    def asking(self, kind: str, **options: Any) -> list[Any]:
        """Ask in a thread; the list gets the token, or the error, when there is one."""
        found: list[Any] = []

        def run() -> None:
            try:
                found.append(self.ask(kind, **options))
            except Exception as error:
                found.append(error)

        thread = threading.Thread(target=run)
        self.waiting.append(thread)
        thread.start()
        return found

    def join(self) -> None:
        """Wait until all who were `asking` have their answer."""
        for thread in self.waiting:
            thread.join(BOUND_S)
            assert not thread.is_alive(), "somebody still waits"

    def close(self) -> None:
        """Let go whoever still waits."""
        self.endpoint.gate.set()
        self.source.settle(BOUND_S)
        self.join()


def shown(token: Token) -> str:
    """The text of an access token."""
    return token.access_token.reveal()


def make_room(
    *,
    expires_in: float | None = 3600,
    with_grant: Grant | None = None,
    patience_s: float = 60.0,
    poster: Any = None,
    **account: Any,
) -> Room:
    """A room whose login ends in `expires_in` seconds; None: nobody has logged in yet."""
    clock, endpoint = Clock(), Endpoint()
    store = NotingStore(clock)
    world = World(
        key="example",
        store=store,
        sealer=Sealer([new_key()]),
        poster=poster or Poster(lambda url: httpx.MockTransport(endpoint), clock=clock),
        reveal=lambda: Secret("very-secret"),
        clock=clock,
        sleep=clock.sleep,
    )
    made = replace(ACCOUNT, **account)
    grant = with_grant or (ClientCredentials() if made.grant == "client_credentials" else RefreshToken())
    room = Room(clock, endpoint, store, world, TokenSource(made, grant, world, patience_s=patience_s))
    if expires_in is not None:
        room.login("token-0", expires_in=expires_in)
    store.asked.clear()
    return room
