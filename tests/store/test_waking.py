"""Those who wait for another's renewal: woken at once where the store can, and with few looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from real_servers import Postgresql, Redis

from connector.account import Account
from connector.drive import World, run
from connector.endpoint import endpoint_from_spec
from connector.errors import RenewalError
from connector.flow import Wish, renew
from connector.grants import RefreshToken
from connector.keys import new_key
from connector.post import Poster
from connector.record import Record
from connector.seal import Sealer
from connector.secret import Secret
from connector.store import MemoryStore, SqliteStore
from connector.store.postgresql import PostgresqlStore
from connector.store.redis import RedisStore
from connector.token import Token, Window
from connector.tokenstore import Lease, TokenStore

ACCOUNT = Account(
    name="a",
    client_id="id",
    endpoint=endpoint_from_spec(
        {
            "endpoint": "example",
            "token": {"url": "https://login.example.com/token", "auth": "none"},
            "grants": ["authorization_code"],
        }
    ),
    grant="authorization_code",
)
HELD_S = 1.5


def counting(kind: type) -> type:
    """The same store, which counts how often it is asked for the lease."""

    class Counting(kind):  # type: ignore[misc]
        asked = 0

        def acquire(self, *args: Any, **options: Any) -> Lease:
            if args[1] != "other":
                self.asked += 1
            lease: Lease = super().acquire(*args, **options)
            return lease

    return Counting


def memory(request: pytest.FixtureRequest, folder: Path, name: str) -> TokenStore:
    store: TokenStore = counting(MemoryStore)()
    return store


def sqlite(request: pytest.FixtureRequest, folder: Path, name: str) -> TokenStore:
    store: TokenStore = counting(SqliteStore)(folder / "tokens.db")
    return store


def on_postgresql(request: pytest.FixtureRequest, folder: Path, name: str) -> TokenStore:
    server: Postgresql = request.getfixturevalue("postgresql")
    server.ask(f"CREATE SCHEMA {name}")
    store: TokenStore = counting(PostgresqlStore)(server.url(name))
    return store


def on_redis(request: pytest.FixtureRequest, folder: Path, name: str) -> TokenStore:
    server: Redis = request.getfixturevalue("redis_server")
    store: TokenStore = counting(RedisStore)(server.url(name))
    return store


def nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError("no token call is needed")


def world_of(store: TokenStore) -> World:
    """One in which an expired token is in the store and no token call may be made."""
    world = World(
        key="a",
        store=store,
        sealer=Sealer([new_key()]),
        poster=Poster(lambda url: httpx.MockTransport(nobody)),
        reveal=lambda: None,
        account=ACCOUNT,
    )
    token = Token(
        access_token=Secret("old"), refresh_token=Secret("r"), obtained_at=1.0, expires_at=time.time() - 60
    )
    world.save(Record(token=token))
    return world


def wish(world: World, **more: Any) -> Wish:
    return Wish(account=ACCOUNT, grant=RefreshToken(), window=Window(), holder=world.holder, **more)


@pytest.mark.parametrize(
    ("make", "late_s", "looks"),
    [
        pytest.param(memory, 0.5, 8, id="memory"),
        pytest.param(sqlite, 1.2, 20, id="sqlite"),
        pytest.param(on_postgresql, 0.5, 8, id="postgresql", marks=pytest.mark.slow),
        pytest.param(on_redis, 0.5, 8, id="redis", marks=pytest.mark.slow),
    ],
)
def test_what_another_renewed_is_taken_at_once(
    make: Callable[..., TokenStore],
    late_s: float,
    looks: int,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    own_name: str,
) -> None:
    """A renewal that takes its time elsewhere costs a waiter no more than that, and the store a few questions."""
    store = make(request, tmp_path, own_name)
    world = world_of(store)
    record = world.load()
    assert record.token is not None
    fresh = replace(
        record, token=replace(record.token, access_token=Secret("new"), expires_at=time.time() + 600)
    )
    assert store.acquire("a", "other", ttl_s=60).holder == "other"
    saved: list[float] = []

    def finish() -> None:
        saved.append(time.monotonic())
        world.save(fresh)
        store.release("a", "other")

    other = threading.Timer(HELD_S, finish)
    other.start()
    got = run(renew(wish(world)), world)
    late = time.monotonic() - saved[0]
    other.join()
    store.close()
    assert got.token is not None
    assert got.token.access_token.reveal() == "new"
    assert late < late_s
    assert 1 <= store.asked <= looks  # type: ignore[attr-defined]


def test_a_holder_that_never_ends_is_waited_for_as_long_as_asked() -> None:
    """Nobody wakes the waiter: it looks by itself, and gives up when its patience ends, not before."""
    world = world_of(MemoryStore())
    world.store.acquire("a", "other", ttl_s=600)
    began = time.monotonic()
    with pytest.raises(RenewalError) as caught:
        run(renew(wish(world, patience_s=1.5)), world)
    assert caught.value.code == "lease_held"
    assert 1.5 <= time.monotonic() - began < 8


def test_being_woken_for_nothing_is_no_reason_to_give_up() -> None:
    """A hundred saves by others count as the moments they took, not as a hundred pauses."""
    world = world_of(MemoryStore())
    world.store.acquire("a", "other", ttl_s=600)
    stop = threading.Event()

    def disturb() -> None:
        version = 2
        while not stop.wait(0.01):
            world.store.save("a", world.sealer.seal("a", world.load(), version=version), version=version)
            version += 1
        world.store.release("a", "other")

    threading.Timer(1.0, stop.set).start()
    other = threading.Thread(target=disturb)
    other.start()
    called: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        called.append(str(request.url))
        return httpx.Response(200, json={"access_token": "new", "expires_in": 600, "token_type": "Bearer"})

    answering = replace(world, poster=Poster(lambda url: httpx.MockTransport(answer)))
    got = run(renew(wish(world, patience_s=5.0)), answering)
    other.join()
    assert called == ["https://login.example.com/token"]
    assert got.token is not None
    assert got.token.access_token.reveal() == "new"
