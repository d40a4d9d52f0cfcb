"""What every token store promises: one suite for all of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connector.tokenstore import Stored, TokenStore, VersionConflict


def test_an_empty_store_knows_nothing(store: TokenStore) -> None:
    """Looking at what is not there is no error."""
    assert store.load("a") is None
    assert list(store.accounts()) == []
    assert store.holder("a") is None
    store.delete("a")
    store.release("a", "nobody")


def test_what_is_saved_is_loaded(store: TokenStore) -> None:
    """Bytes come back as they went in, with their version."""
    sealed = bytes(range(256))
    store.save("a", sealed, version=1)
    assert store.load("a") == Stored(version=1, sealed=sealed)
    assert store.load("b") is None


@pytest.mark.parametrize("name", ["plain", "mit Ümlaut", "a'b\"c--", "#1", "x" * 300, "日本", "a/b\\c%"])
def test_any_name_is_a_name(store: TokenStore, name: str) -> None:
    """An account's name is data, never part of a query or a path."""
    store.save(name, b"1", version=1)
    assert store.acquire(name, "me", ttl_s=5).holder == "me"
    assert list(store.accounts()) == [name]


def test_save_goes_on_from_the_version_before(store: TokenStore) -> None:
    """Each save adds exactly one to the version."""
    for version in (1, 2, 3):
        store.save("a", b"%d" % version, version=version)
    assert store.load("a") == Stored(version=3, sealed=b"3")


@pytest.mark.parametrize("version", [-1, 0, 1, 2, 4, 2**40])
def test_a_save_on_another_version_is_refused(store: TokenStore, version: int) -> None:
    """Whoever worked from an older record, or from none, cannot overwrite a newer one."""
    store.save("a", b"1", version=1)
    store.save("a", b"2", version=2)
    with pytest.raises(VersionConflict) as caught:
        store.save("a", b"late", version=version)
    assert caught.value.code == "version_conflict"
    assert store.load("a") == Stored(version=2, sealed=b"2")


@pytest.mark.parametrize("version", [-1, 0, 2, 7])
def test_the_first_version_is_one(store: TokenStore, version: int) -> None:
    """A record that was deleted meanwhile is not brought back by a save that goes on from it."""
    with pytest.raises(VersionConflict):
        store.save("a", b"x", version=version)
    assert store.load("a") is None


def test_delete_forgets_the_record(store: TokenStore) -> None:
    """After a delete the account begins again at version 1; others stay."""
    store.save("a", b"1", version=1)
    store.save("b", b"1", version=1)
    store.delete("a")
    assert store.load("a") is None
    assert list(store.accounts()) == ["b"]
    store.save("a", b"again", version=1)
    assert store.load("a") == Stored(version=1, sealed=b"again")


def test_accounts_lists_records_not_leases(store: TokenStore) -> None:
    """A lease alone makes no account."""
    store.acquire("only leased", "me", ttl_s=60)
    store.save("a", b"1", version=1)
    assert list(store.accounts()) == ["a"]


def test_a_lease_has_one_holder(store: TokenStore, clock: Any) -> None:
    """The second to ask learns who has it and until when."""
    mine = store.acquire("a", "me", ttl_s=10)
    assert (mine.holder, mine.expires_at) == ("me", clock.now + 10)
    clock.now += 3
    theirs = store.acquire("a", "you", ttl_s=99)
    assert theirs == mine
    assert store.holder("a") == mine
    assert store.acquire("b", "you", ttl_s=10).holder == "you"


def test_a_lease_is_extended_by_its_holder(store: TokenStore, clock: Any) -> None:
    """Asking again moves the end, so that a slow token call keeps its lease."""
    store.acquire("a", "me", ttl_s=10)
    clock.now += 8
    assert store.acquire("a", "me", ttl_s=10).expires_at == clock.now + 10
    clock.now += 8
    assert store.acquire("a", "you", ttl_s=10).holder == "me"


def test_a_lease_ends_by_itself(store: TokenStore, clock: Any) -> None:
    """A holder that died keeps nobody waiting for longer than its lease."""
    store.acquire("a", "dead", ttl_s=10)
    clock.now += 9.999
    assert store.acquire("a", "me", ttl_s=10).holder == "dead"
    clock.now += 0.001
    assert store.holder("a") is None
    assert store.acquire("a", "me", ttl_s=10).holder == "me"


def test_a_stranger_cannot_release(store: TokenStore, clock: Any) -> None:
    """One whose lease ended and went to another must not end that other's."""
    store.acquire("a", "late", ttl_s=1)
    clock.now += 2
    store.acquire("a", "me", ttl_s=10)
    store.release("a", "late")
    assert store.acquire("a", "you", ttl_s=10).holder == "me"
    store.release("a", "me")
    assert store.holder("a") is None
    assert store.acquire("a", "you", ttl_s=10).holder == "you"


def test_a_lease_outlives_save_and_delete(store: TokenStore) -> None:
    """Records and leases are apart: neither a save nor a delete ends somebody's renewal."""
    store.acquire("a", "me", ttl_s=10)
    store.save("a", b"1", version=1)
    store.delete("a")
    assert store.acquire("a", "you", ttl_s=10).holder == "me"


def test_of_many_threads_one_saves_each_version(store: TokenStore) -> None:
    """Sixteen threads that all save the same version: one wins, fifteen are told."""
    gate = threading.Barrier(16)

    def one(number: int) -> list[int]:
        won = []
        for version in range(1, 6):
            gate.wait(30)
            try:
                store.save("a", b"%d" % number, version=version)
            except VersionConflict:
                continue
            won.append(version)
        return won

    with ThreadPoolExecutor(16) as pool:
        wins = [version for won in pool.map(one, range(16)) for version in won]
    assert sorted(wins) == [1, 2, 3, 4, 5]


def test_of_many_threads_one_gets_the_lease(store: TokenStore) -> None:
    """Sixteen threads that ask at once agree on one holder."""
    gate = threading.Barrier(16)

    def one(number: int) -> str:
        gate.wait(30)
        return store.acquire("a", str(number), ttl_s=60).holder

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(one, range(16)))) == 1


def test_closing_is_not_forgetting(store: TokenStore) -> None:
    """After a close the records are still there, and closing twice is fine."""
    store.save("a", b"1", version=1)
    store.close()
    store.close()
    assert store.load("a") == Stored(version=1, sealed=b"1")
