"""Hosts that share a store and renew at one server: the right time goes by, and each host's wall clock is its own.

Real sources under real transports; only the clocks, the token endpoint and the API are made here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx

from connector.account import Account
from connector.drive import World
from connector.endpoint import endpoint_from_spec
from connector.errors import ConnectorError
from connector.grants import Grant, RefreshToken
from connector.keys import new_key
from connector.moment import Moment
from connector.post import Poster
from connector.record import Record
from connector.resting import Resting
from connector.seal import Sealer
from connector.secret import Secret
from connector.source import TokenSource
from connector.store.memory import MemoryStore
from connector.token import Token, Window
from connector.transport import AsyncTransport, Transport

START = 1_800_000_000.0
URL = "https://login.example.com/token"
SPEC: dict[str, Any] = {
    "endpoint": "example",
    "token": {"url": URL, "auth": "none"},
    "grants": ["authorization_code"],
    "refresh": {"rotates": "always"},
    "api": {"base_url": "https://api.example.com"},
}


class Server:
    """Issues tokens that live `lifetime_s`, rotates refresh tokens, and says 401 to whatever is not good.

    Attributes:
        now: the right time.
        told: what it says of their end: ``in``, ``at`` or nothing.
        calls: when the token endpoint was called.
        answer: what it answers instead; None: a token.
        ends: of each access token.
        ahead_s: what its wall clock is ahead of the right time.
    """

    def __init__(self) -> None:
        self.now = START
        self.lifetime_s = 600.0
        self.told = "in"
        self.calls: list[float] = []
        self.answer: Callable[[], httpx.Response] | None = None
        self.ends: dict[str, float] = {}
        self.ahead_s = 0.0
        self.refused = 0
        self.accepts = True
        self.forms: list[dict[str, str]] = []
        self._refresh = "r0"
        self._numbers = itertools.count()

    def takes(self, token: str) -> bool:
        """Whether the API takes a token now."""
        return self.accepts and self.now < self.ends.get(token, 0.0)

    def issue(self) -> dict[str, Any]:
        """A token reply."""
        number = next(self._numbers)
        name, self._refresh = f"t{number}", f"r{number}"
        self.ends[name] = self.now + self.lifetime_s
        ends = {"in": {"expires_in": self.lifetime_s}, "at": {"expires_at": self.ends[name] + self.ahead_s}}
        return {"access_token": name, "refresh_token": self._refresh, **ends.get(self.told, {})}

    def token_endpoint(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(self.now)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.forms.append(form)
        headers = {"date": formatdate(self.now + self.ahead_s, usegmt=True)}
        if self.answer is not None:
            answer = self.answer()
            answer.headers.update({**headers, **answer.headers})
            return answer
        shown = form.get("refresh_token")
        assert shown in (None, self._refresh), "a refresh token was shown twice"
        return httpx.Response(200, json=self.issue(), headers=headers)

    def api(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        if self.takes(token):
            return httpx.Response(200)
        self.refused += 1
        return httpx.Response(401)


class Store(MemoryStore):
    """A store that tells when something was saved."""

    on_save: Callable[[], None] = staticmethod(lambda: None)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        super().save(account, sealed, version=version)
        told, self.on_save = self.on_save, staticmethod(lambda: None)
        told()


@dataclass
class Host:
    """One process on one machine.

    Attributes:
        skew_s: what its wall clock is ahead of the right time.
    """

    server: Server
    store: Store
    sealer: Sealer
    account: Account
    grant: Grant
    jitter: float = 0.0
    skew_s: float = 0.0
    base_s: float = 0.0
    machine: str = "here"
    key: str = "example"
    resting: Resting = field(default_factory=Resting)
    secrets: dict[str, Secret] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(
            key=self.key,
            store=self.store,
            sealer=self.sealer,
            poster=Poster(lambda url: httpx.MockTransport(self.server.token_endpoint), clock=self.wall),
            reveal=lambda: None,
            others=lambda: self.secrets,
            resting=self.resting,
            clock=self.wall,
            steady=self.steady,
            machine=self.machine,
            sleep=self.sleep,
        )
        self.start()

    def start(self) -> None:
        """Begin with nothing in memory, as a new process does."""
        self.source = TokenSource(self.account, self.grant, self.world, window=Window(jitter=self.jitter))

    def wall(self) -> float:
        return self.server.now + self.skew_s

    def steady(self) -> float:
        return self.server.now + self.base_s

    def moment(self) -> Moment:
        return Moment(self.wall(), self.steady())

    def sleep(self, seconds: float) -> None:
        self.server.now += seconds

    def request(self, kind: str = "sync") -> int | str:
        """The status of a request to the API, or the code of the error instead of it."""
        try:
            status = self._request(kind)
        except ConnectorError as error:
            return error.code
        finally:
            self.source.settle()  # what was begun in the background ends now, so that all is in order
        return status

    def _request(self, kind: str) -> int:
        api = httpx.MockTransport(self.server.api)
        request = httpx.Request("GET", "https://api.example.com/things")
        if kind == "sync":
            return Transport(self.source, api).handle_request(request).status_code

        async def ask() -> int:
            return (await AsyncTransport(self.source, api).handle_async_request(request)).status_code

        return anyio.run(ask, backend=kind)

    @property
    def record(self) -> Record:
        """What the store has."""
        return self.world.load()


@dataclass
class Fleet:
    """A server, a store and its hosts.

    Attributes:
        store_skew_s: what the store's wall clock is ahead of the right time.
    """

    spec: dict[str, Any] = field(default_factory=dict)
    grant: Grant = field(default_factory=RefreshToken)
    account: dict[str, Any] = field(default_factory=dict)
    store_skew_s: float = 0.0

    def __post_init__(self) -> None:
        self.server = Server()
        self.sealer = Sealer([new_key()])
        self.store = Store(clock=lambda: self.server.now + self.store_skew_s, steady=lambda: self.server.now)
        self.hosts: list[Host] = []

    def host(self, **options: Any) -> Host:
        """Another host."""
        account = Account(
            name="example",
            client_id="id",
            endpoint=endpoint_from_spec({**SPEC, **self.spec}),
            grant="authorization_code",
        )
        host = Host(
            self.server,
            self.store,
            self.sealer,
            replace(account, **self.account),
            self.grant,
            **{"base_s": -1e6 * len(self.hosts), **options},
        )
        self.hosts.append(host)
        return host

    def login(self, host: Host, *, wall: float | None = None) -> None:
        """A person logs in at `host`."""
        reply, now = self.server.issue(), host.wall() if wall is None else wall
        stored = self.store.load(host.key)
        token = Token(
            access_token=Secret(reply["access_token"]),
            refresh_token=Secret(reply["refresh_token"]),
            obtained_at=now,
            expires_at=now + self.server.lifetime_s if self.server.told else None,
        )
        host.world.save(Record(version=stored.version if stored else 0).renewed(token))
