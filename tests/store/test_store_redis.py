"""Redis as a store: its keys, its durability, and what it loses."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from real_servers import Redis
from store_room import operations, refused

from connector.errors import StoreError
from connector.store.redis import RedisStore
from connector.tokenstore import Stored

pytestmark = pytest.mark.slow


@pytest.fixture
def store(redis_server: Redis, own_name: str) -> Iterator[RedisStore]:
    """A store under a prefix of its own."""
    opened = RedisStore(redis_server.url(own_name))
    yield opened
    opened.close()


def keys(server: Redis, prefix: str) -> dict[str, int]:
    """The keys under a prefix, each with the milliseconds it has left; -1: for ever."""
    return {key.decode(): server.ask("PTTL", key) for key in server.ask("KEYS", f"{prefix}:*")}


# --- the keys --------------------------------------------------------------------------------------------


def test_every_lease_has_an_owner_and_an_end(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """Whatever is done in whatever order, the only key for ever is the hash of the records."""
    for holder in ("me", "you", "me"):
        store.acquire("a", holder, ttl_s=30)
        store.acquire("b", holder, ttl_s=0.05)
        store.save(f"of {holder}", b"1", version=1) if holder == "you" else store.release("b", holder)
        store.wait("a", 0.01)
    found = keys(redis_server, own_name)
    assert found.pop(f"{own_name}:records") == -1
    assert 0 < found.pop(f"{own_name}:lease:a") <= 30_000
    time.sleep(0.1)
    assert keys(redis_server, own_name).keys() <= {f"{own_name}:records", f"{own_name}:lease:a"}
    assert redis_server.ask("GET", f"{own_name}:lease:a") == b"me"
    store.release("a", "me")
    assert keys(redis_server, own_name).keys() == {f"{own_name}:records"}


def test_a_lease_without_an_end_is_taken_over(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """A key that somebody made by hand does not keep an account from being renewed for ever."""
    redis_server.ask("SET", f"{own_name}:lease:a", "ghost")
    assert store.holder("a") is None
    assert store.acquire("a", "me", ttl_s=30).holder == "me"
    assert keys(redis_server, own_name)[f"{own_name}:lease:a"] > 0


def test_looking_creates_nothing(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """A status, or a clean-up, on a store that was never used leaves no key."""
    for name in ("load", "accounts", "holder", "delete", "release"):
        assert not operations(store)[name]()
    assert keys(redis_server, own_name) == {}


def test_prefixes_keep_stores_apart(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """Two stores in one database know nothing of each other; without a prefix it is ``connector``."""
    other = RedisStore(redis_server.url(f"{own_name}x"))
    store.save("a", b"1", version=1)
    store.acquire("a", "me", ttl_s=30)
    assert other.load("a") is None
    assert other.acquire("a", "you", ttl_s=30).holder == "you"
    assert RedisStore("redis://host/3").address.prefix == "connector"


def test_a_newer_schema_is_not_touched(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """Records of a newer connector are refused with advice."""
    store.save("a", b"1", version=1)
    redis_server.ask("HSET", f"{own_name}:records", "\0schema", "7")
    refused(store, "newer_store", "schema version 7", only=["load", "accounts", "save", "delete"])


@pytest.mark.parametrize("command", [["SET", "x"], ["HSET", "field", "value"], ["LPUSH", "x"]])
def test_keys_of_others_are_left_alone(
    redis_server: Redis, own_name: str, store: RedisStore, command: list[str]
) -> None:
    """What is no hash of records is refused, and not changed."""
    redis_server.ask(command[0], f"{own_name}:records", *command[1:])
    before = redis_server.ask("DUMP", f"{own_name}:records")
    refused(store, "not_a_store", only=["load", "accounts", "save", "delete"])
    assert redis_server.ask("DUMP", f"{own_name}:records") == before


@pytest.mark.parametrize("value", [b"", b"junk", b"-1:x", b"1.5:x", b":x"])
def test_a_record_that_we_did_not_write(
    redis_server: Redis, own_name: str, store: RedisStore, value: bytes
) -> None:
    """What is no record is said to be none."""
    store.save("a", b"1", version=1)
    redis_server.ask("HSET", f"{own_name}:records", "a", value)
    with pytest.raises(StoreError) as caught:
        store.load("a")
    assert caught.value.code == "corrupt_record"


# --- durability and losses -------------------------------------------------------------------------------


def test_what_is_not_durable_is_warned_of_once(caplog: pytest.LogCaptureFixture, redis_server: Redis) -> None:
    """A server without append-only file, or that evicts tokens, is named in the log; a good one is not."""
    with caplog.at_level(logging.WARNING, "connector"), Redis(appendonly="no") as server:
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        server.ask("CONFIG", "SET", "maxmemory", "100mb")
        store = RedisStore(server.url())
        for version in (1, 2):
            store.save("a", b"x", version=version)
        RedisStore(redis_server.url()).load("a")
    said = [record.getMessage() for record in caplog.records if record.name == "connector"]
    assert len(said) == 2
    assert "appendonly is off" in said[0]
    assert "allkeys-lru" in said[1]
    assert "CANARY" not in "".join(said)


def test_whatever_may_evict_a_lease_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Every policy but noeviction where memory has a limit; where it has none, nothing is evicted."""

    def said() -> list[str]:
        caplog.clear()
        store = RedisStore(server.url())
        store.load("a")
        store.close()
        return [record.getMessage() for record in caplog.records if record.name == "connector"]

    with caplog.at_level(logging.WARNING, "connector"), Redis() as server:
        for kind in ("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lfu"):
            server.ask("CONFIG", "SET", "maxmemory-policy", kind)
            server.ask("CONFIG", "SET", "maxmemory", "100mb")
            [told] = said()
            assert f"maxmemory-policy {kind} may evict" in told
            assert "leases" in told
            assert "set `noeviction`" in told
            server.ask("CONFIG", "SET", "maxmemory", "0")
            assert said() == []
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "maxmemory", "100mb")
        assert said() == []


def test_a_lease_is_the_first_to_go_under_a_volatile_policy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Why they are warned of: another tenant's writes take the lease of a renewal under way, which is then another's."""
    with caplog.at_level(logging.WARNING, "connector"), Redis() as server:
        used = server.client.info("memory")["used_memory"]
        server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
        server.ask("CONFIG", "SET", "maxmemory", str(used + 2_000_000))
        store = RedisStore(server.url())
        assert store.acquire("a", "me", ttl_s=60).holder == "me"
        with server.client as tenant:
            for number in range(300):
                tenant.set(f"cache:{number}", "x" * 20_000, ex=3600)
        assert store.acquire("a", "you", ttl_s=60).holder == "you"
        store.close()
    assert any("volatile-ttl may evict leases" in record.getMessage() for record in caplog.records)


def test_a_save_that_returned_survives_a_crash() -> None:
    """As the store asks for it to be configured: killed right after, record and lease are there."""
    with Redis() as server:
        store = RedisStore(server.url())
        for version in (1, 2):
            store.save("a", b"%d" % version, version=version)
            store.acquire("a", "me", ttl_s=60)
            server.kill()
            refused(store, "store_unreachable")
            server.start()
            assert store.load("a") == Stored(version=version, sealed=b"%d" % version)
            assert store.acquire("a", "you", ttl_s=60).holder == "me"
        store.wait("a", 0.01)
        server.restart()
        store.save("a", b"after", version=3)  # on connections that the restart has ended
        store.wait("a", 0.01)
        server.pause()
        try:
            refused(store, "store_unreachable", "Timeout")
            began = time.monotonic()
            store.wait("a", 0.2)
            assert time.monotonic() - began < 3
        finally:
            server.resume()
        assert store.load("a") in (None, Stored(version=3, sealed=b"after"))  # deleted, or not
        store.close()


def test_a_lost_answer_is_no_conflict(redis_server: Redis, own_name: str, store: RedisStore) -> None:
    """A save whose answer was lost is asked for again and recognised; another's is not."""
    store.save("a", b"1", version=1)
    again: list[Any] = [b"a", b"1", b"1", b"channel", b"again"]
    from connector.store.redis import _SAVE

    assert redis_server.ask("EVAL", _SAVE, 1, f"{own_name}:records", *again)[1] == 1
    again[2] = b"other"
    assert redis_server.ask("EVAL", _SAVE, 1, f"{own_name}:records", *again)[1] == 0
