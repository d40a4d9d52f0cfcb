"""An account between a client, a token endpoint, an API and a store, all of which a test controls; and an ear."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from connector.account import Account
from connector.drive import World
from connector.endpoint import endpoint_from_spec
from connector.errors import StoreError
from connector.events import EVENTS
from connector.grants import ClientCredentials, RefreshToken
from connector.keys import new_key
from connector.measures import ATTRIBUTES
from connector.post import Poster
from connector.record import Record
from connector.seal import Sealer
from connector.secret import Secret
from connector.source import TokenSource
from connector.store.memory import MemoryStore
from connector.token import Token
from connector.tokenstore import Lease, Stored
from connector.transport import AsyncTransport, Transport

API = "https://api.example.com"
KINDS = ("sync", "asyncio", "trio")
PLAIN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


class Clock:
    """A wall clock that a test moves; sleeping moves it too."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FailingStore(MemoryStore):
    """A memory store; the operations in `broken` raise."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.broken: set[str] = set()

    def _may(self, operation: str) -> None:
        if operation in self.broken:
            raise StoreError("the disk is full", code="store_full", reason="no space left")

    def load(self, account: str) -> Stored | None:
        self._may("load")
        return super().load(account)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        self._may("save")
        super().save(account, sealed, version=version)

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        self._may("acquire")
        return super().acquire(account, holder, ttl_s=ttl_s)


@dataclass
class Room:
    """Everything around one account.

    Attributes:
        answers: what the token endpoint says next; afterwards it gives new tokens.
        pages: what the API says next; afterwards it says 200 to each known token.
        issued: every access and refresh token there ever was.
    """

    clock: Clock
    store: FailingStore
    world: World
    name: Callable[[str], str]
    source: TokenSource = field(init=False)
    answers: list[Callable[[httpx.Request], httpx.Response]] = field(default_factory=list)
    pages: list[httpx.Response] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    calls: int = 0

    def new(self, kind: str) -> str:
        """A token nobody has seen before."""
        self.issued.append(self.name(kind))
        return self.issued[-1]

    def token_endpoint(self, request: httpx.Request) -> httpx.Response:
        """Whatever is next."""
        self.calls += 1
        if self.answers:
            return self.answers.pop(0)(request)
        reply = {"access_token": self.new("access"), "refresh_token": self.new("refresh"), "expires_in": 3600}
        return httpx.Response(200, json=reply)

    def api(self, request: httpx.Request) -> httpx.Response:
        """Whatever is next."""
        return self.pages.pop(0) if self.pages else httpx.Response(200, json={"ok": True})

    def login(self, *, expires_in: float = 3600) -> Token:
        """Put a login into the store, as another process would."""
        token = Token(
            access_token=Secret(self.new("access")),
            refresh_token=Secret(self.new("refresh")),
            obtained_at=self.clock.now,
            expires_at=self.clock.now + expires_in,
        )
        stored = self.store.load(self.world.key)
        self.world.save(Record(version=stored.version if stored else 0, token=token))
        return token

    def ask(self, kind: str = "sync", **options: Any) -> Token:
        """Ask for a token in one of the three ways."""
        if kind == "sync":
            return self.source.token(**options)
        return anyio.run(lambda: self.source.atoken(**options), backend=kind)

    def get(self, url: str = API + "/thing", kind: str = "sync") -> httpx.Response:
        """One request in one of the three ways."""
        if kind == "sync":
            transport = Transport(self.source, httpx.MockTransport(self.api), sleep=self.clock.sleep)
            with httpx.Client(transport=transport) as http:
                return http.get(url)

        async def sleep(seconds: float) -> None:
            self.clock.sleep(seconds)

        async def scene() -> httpx.Response:
            inner = httpx.MockTransport(self.api)
            async with httpx.AsyncClient(transport=AsyncTransport(self.source, inner, sleep=sleep)) as http:
                return await http.get(url)

        return anyio.run(scene, backend=kind)


def make_room(
    *,
    expires_in: float | None = 3600,
    grant: str = "authorization_code",
    name: Callable[[str], str] | None = None,
    secret: str = "very-secret",
    shown: bool = True,
) -> Room:
    """A room whose login ends in `expires_in` seconds; None: nobody has logged in yet."""
    numbers, clock = itertools.count(), Clock()
    store = FailingStore(clock)
    spec = {
        "endpoint": "example",
        "token": {"url": "https://login.example.com:8443/token", "auth": "client_secret_post"},
        "grants": [grant],
        "api": {"base_url": API},
    }
    account = Account(
        name="acme",
        client_id="id",
        client_secret=Secret(secret),
        endpoint=endpoint_from_spec(spec),
        grant=grant,
    )
    world = World(
        key="acme",
        store=store,
        sealer=Sealer([new_key()]),
        poster=Poster(lambda url: httpx.MockTransport(room.token_endpoint), clock=clock),
        reveal=lambda: Secret(secret),
        clock=clock,
        sleep=clock.sleep,
    )
    room = Room(clock, store, world, name or (lambda kind: f"{kind}-{next(numbers)}"))
    maker = ClientCredentials() if grant == "client_credentials" else RefreshToken()
    room.source = TokenSource(account, maker, world)
    if expires_in is not None:
        room.login(expires_in=expires_in)
    return room


class Ear(logging.Handler):
    """Keeps what the logger ``connector`` says."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def fields(self, event: str) -> list[dict[str, Any]]:
        """The fields of each event of that name, as a JSON formatter sees them."""
        return [extras(record) for record in self.records if record.__dict__.get("event") == event]

    @property
    def events(self) -> list[str]:
        """Names, in order."""
        return [record.__dict__["event"] for record in self.records]

    @property
    def text(self) -> str:
        """Everything that any formatter could show."""
        return "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in self.records)


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """What is on a record beside what logging puts there; plain values."""
    found = {name: value for name, value in vars(record).items() if name not in PLAIN and name != "event"}
    return dict(json.loads(json.dumps(found)))


def attributes(event_fields: tuple[str, ...]) -> set[str]:
    """The names that fields have as attributes in OpenTelemetry."""
    return {ATTRIBUTES[name] for name in event_fields} | (
        {"server.port"} if "host" in event_fields else set()
    )


def level_of(name: str) -> str:
    """As the page shows it."""
    return logging.getLevelName(EVENTS[name].level)
