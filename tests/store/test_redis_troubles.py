"""What can be wrong with a Redis, and what it is called then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from ports import port_ahead
from real_servers import IN_URL, Redis
from store_room import WRITES, operations, refused

from connector.errors import StoreError
from connector.store.redis import RedisStore
from connector.testing.doing import in_threads
from connector.tokenstore import Stored

pytestmark = pytest.mark.slow


@pytest.fixture
def store(redis_server: Redis, own_name: str) -> Iterator[RedisStore]:
    """A store under a prefix of its own."""
    opened = RedisStore(redis_server.url(own_name))
    yield opened
    opened.close()


def test_a_wrong_password(redis_server: Redis) -> None:
    """Said as what it is, without the password; none at all too."""
    refused(RedisStore(redis_server.url(password="CANARY-wrong")), "store_refused")
    refused(RedisStore(f"redis://127.0.0.1:{redis_server.port}/0"), "store_refused")


def test_a_user_who_may_not(redis_server: Redis, own_name: str) -> None:
    """A user without the commands that it takes."""
    redis_server.ask("ACL", "SETUSER", own_name, "on", ">CANARY", "~*", "+@read")
    url = f"redis://{own_name}:CANARY@127.0.0.1:{redis_server.port}/0"
    refused(RedisStore(url), "store_refused", "no permissions")


@pytest.mark.parametrize(
    ("command", "calls"),
    [
        ("hget", ["load", "save", "delete"]),
        ("hset", ["save"]),
        ("set", ["acquire"]),
        ("pttl", ["acquire", "holder"]),
    ],
)
def test_a_user_who_may_not_do_it_all(
    redis_server: Redis, own_name: str, command: str, calls: list[str]
) -> None:
    """A command that is forbidden inside a script is named, and nothing is told of the script."""
    redis_server.ask("ACL", "SETUSER", own_name, "on", ">CANARY", "~*", "&*", "+@all", f"-{command}")
    store = RedisStore(f"redis://{own_name}:CANARY@127.0.0.1:{redis_server.port}/0?prefix={own_name}")
    refused(store, "store_refused", command.upper(), "can't run this command", only=calls)
    with pytest.raises(StoreError) as caught:
        operations(store)[calls[0]]()
    assert "script:" not in str(caught.value)
    assert "@user_script" not in str(caught.value)
    store.close()


def test_nobody_listens() -> None:
    """A server that does not run."""
    refused(RedisStore(f"redis://:CANARY@127.0.0.1:{port_ahead()}/0"), "store_unreachable", "refused")


@pytest.mark.parametrize(
    ("begin", "end", "code", "words"),
    [
        (
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
            "store_read_only",
            "NOREPLICAS",
        ),
        (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"], "store_read_only", "read only replica"),
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"], "store_full", "maxmemory"),
    ],
)
def test_a_server_that_takes_no_writes(begin: list[str], end: list[str], code: str, words: str) -> None:
    """A primary without its replicas, a replica, one without memory: looking goes on, and all of it afterwards."""
    with Redis() as server:
        store = RedisStore(server.url())
        store.save("a", b"precious", version=1)
        server.ask(*begin)
        refused(store, code, words, only=WRITES)
        assert store.load("a") == Stored(version=1, sealed=b"precious")
        assert list(store.accounts()) == ["a"]
        assert store.holder("a") is None
        server.ask(*end)
        for call in operations(store).values():
            call()
        store.close()


def runs_for_ever(client: Any) -> None:
    """Until somebody ends it."""
    with pytest.raises(redis.RedisError):
        client.eval("while true do end", 0)


def test_what_ends_by_itself() -> None:
    """A replica that has lost its primary, a cluster without its slots and a script that runs: away for a while."""
    with Redis() as server:
        store = RedisStore(server.url())
        store.save("a", b"1", version=1)
        server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
        server.ask("REPLICAOF", "127.0.0.1", "1")
        refused(store, "store_unreachable", "MASTER is down")
        server.ask("REPLICAOF", "NO", "ONE")
        server.ask("CONFIG", "SET", "busy-reply-threshold", "50")
        with server.client as other:
            stuck = threading.Thread(target=runs_for_ever, args=(other,))
            stuck.start()
            time.sleep(0.3)
            refused(store, "store_unreachable", "busy running a script", only=["load", "save"])
            server.ask("SCRIPT", "KILL")
            stuck.join(10)
        assert store.load("a") == Stored(version=1, sealed=b"1")
        store.close()
    with Redis(**{"cluster-enabled": "yes"}) as server:
        lonely = RedisStore(server.url())
        refused(lonely, "store_unreachable", "Hash slot not served")
        lonely.close()


def test_more_calls_than_connections_wait(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """Of forty calls at once none fails, and they share eight connections, which a hundred waiters do not use up."""
    assert store.load("a") is None
    redis_server.ask("CONFIG", "RESETSTAT")
    waiting = [threading.Thread(target=store.wait, args=(str(number), 2.0)) for number in range(100)]
    for thread in waiting:
        thread.start()
    time.sleep(0.2)

    def one(number: int, gate: threading.Barrier) -> str:
        gate.wait(30)
        for _ in range(5):
            held = store.acquire(str(number), "me", ttl_s=5).holder
        return held

    assert in_threads(40, one, 60.0) == ["me"] * 40
    most = redis_server.client.info("stats")["total_connections_received"]
    for thread in waiting:
        thread.join(10)
    assert most <= 8 + 8 + 2  # of calls, of those who wait, of this test


def test_all_connections_in_use(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """Who finds none in time is told so, and that the server is none the worse."""
    with ExitStack() as held:
        for _ in range(8):
            connection = store._pool.get_connection()
            held.callback(store._pool.release, connection)
        refused(store, "store_busy", "in use", "tried again by itself", only=["load", "save"])
    store.save("a", b"1", version=1)


def test_over_a_socket(redis_server: Redis, own_name: str) -> None:
    """``redis+unix:`` names a path."""
    url = f"redis+unix://:{IN_URL}@{redis_server.folder}/redis.sock?db=1&prefix={own_name}"
    store = RedisStore(url)
    store.save("a", b"1", version=1)
    assert store.load("a") == Stored(version=1, sealed=b"1")
    assert RedisStore(redis_server.url(own_name)).load("a") is None  # in database 0
    assert repr(store) == f"<RedisStore redis+unix://{redis_server.folder}/redis.sock?db=1>"
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:CANARY@host:port/0",
        "redis://:CANARY@/0",
        "redis://:CANARY@host/zero",
        "redis://:CANARY@host/0?prefix=",
        "redis://:CANARY@host/0?prefix=a*b",
        "redis://:CANARY@host/0?decode_responses=true",
        "redis://:CANARY@host/0#fragment",
        "redis+unix://:CANARY@",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    """Refused before anything is asked for, without repeating what may be a password."""
    with pytest.raises(StoreError) as caught:
        RedisStore(url)
    assert caught.value.code == "bad_store_url"
    assert "CANARY" not in str(caught.value)
