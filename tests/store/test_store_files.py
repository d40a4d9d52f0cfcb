"""What stores on servers keep open in this process: nothing that they gave up, and what no more can be opened is told."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from real_servers import Postgresql, RealServer, Redis
from store_room import operations, refused

from connector.errors import StoreError
from connector.store.pgwire import Connection
from connector.store.postgresql import PostgresqlStore
from connector.store.redis import RedisStore
from connector.testing.doing import in_threads

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux tells")]
resource = pytest.importorskip("resource")


def opened(server: RealServer, name: str) -> PostgresqlStore | RedisStore:
    """A store on a server, with what it loads late loaded, and a record."""
    store: PostgresqlStore | RedisStore
    if isinstance(server, Postgresql):
        server.ask(f"CREATE SCHEMA {name}")
        store = PostgresqlStore(server.url(name), bound_s=3.0)
    else:
        assert isinstance(server, Redis)
        store = RedisStore(server.url(name))
    for call in operations(store).values():
        call()
    store.wait("a", 0.01)
    return store


def files() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Only what is let go is freed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """This process can open no file and no socket."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files() + 50, before[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("kind", [Postgresql, Redis])
def test_what_a_server_that_hangs_leaves_open(kind: type[RealServer], own_name: str) -> None:
    """Sixty calls and waits that were given up leave no socket behind, though their errors are kept."""
    with kind() as server:
        store = opened(server, own_name)
        store.close()
        kept: list[StoreError] = []
        with no_collector():
            before = files()
            server.pause()
            try:

                def one(number: int, gate: threading.Barrier) -> None:
                    gate.wait(30)
                    for _ in range(2):
                        try:
                            store.load("a")
                        except StoreError as error:
                            kept.append(error)
                        store.wait("a", 0.05)

                in_threads(30, one, 60.0)
                store._ears.close()
                if isinstance(store, RedisStore):
                    store._pool.disconnect()
                after = files()
            finally:
                server.resume()
        assert len(kept) == 60
        assert {error.__context__ for error in kept} == {None}
        assert after <= before
        assert store.load("a") is None
        store.close()


@pytest.mark.parametrize("kind", ["postgresql", "redis_server"])
def test_no_file_is_left_for_a_call(kind: str, request: pytest.FixtureRequest, own_name: str) -> None:
    """A connection at hand needs none; without one, a typed error names the cause; then all goes on."""
    store = opened(request.getfixturevalue(kind), own_name)
    with no_more_files():
        assert store.load("a") is None
        store.close()
    with no_more_files():
        refused(store, "store_unusable", "Too many open files", "ulimit -n")
        began = time.monotonic()
        store.wait("b", 0.2)
        assert time.monotonic() - began < 3
    store.save("a", b"1", version=1)
    store.close()


def test_a_connection_that_cannot_be_looked_at(
    postgresql: Postgresql, own_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system says then: another is opened, and who waits looks again soon."""
    store = opened(postgresql, own_name)

    def none(db: Connection, within: float) -> bool:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Connection, "_readable", none)
    assert store.load("a") is None
    assert store.acquire("a", "me", ttl_s=5).holder == "me"
    began = time.monotonic()
    store.wait("a", 0.2)
    assert time.monotonic() - began < 3
    store.close()


def test_no_file_is_left_at_the_door(postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the server lets nobody in cannot be looked at then; what it said itself is told."""

    def none(name: str) -> int:
        raise OSError(24, "Too many open files")

    def strange(address: object, ends: float) -> Connection:
        raise psycopg.OperationalError("des mots que personne ne connaît")

    monkeypatch.setattr(os, "memfd_create", none)
    monkeypatch.setattr(Connection, "to", strange)
    refused(PostgresqlStore(postgresql.url()), "store_unreachable", "personne")
