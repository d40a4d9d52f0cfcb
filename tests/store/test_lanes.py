"""Few operations of a store at a time, however many accounts fall due together."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from connector.errors import StoreError
from connector.lanes import MOST, laned
from connector.store import MemoryStore
from connector.testing import TokenStoreContract
from connector.tokenstore import Lease, Stored, VersionConflict

BOUND_S = 20.0


class Slow:
    """A store whose calls end when told to; counts how many of each kind are in it at a time."""

    def __init__(self) -> None:
        self.inside = {"load": 0, "save": 0}
        self.most = {"load": 0, "save": 0}
        self.began = threading.Semaphore(0)
        self.clear = threading.Event()
        self.error: Exception | None = None
        self.calls = 0
        self._lock = threading.Lock()

    def _call(self, name: str) -> None:
        with self._lock:
            self.inside[name] += 1
            self.calls += 1
            self.most[name] = max(self.most[name], self.inside[name])
        self.began.release()
        assert self.clear.wait(BOUND_S)
        with self._lock:
            self.inside[name] -= 1
        if self.error is not None:
            raise self.error

    def load(self, account: str) -> Stored | None:
        self._call("load")
        return None

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        self._call("save")

    def delete(self, account: str) -> None: ...
    def accounts(self) -> Iterable[str]:
        return []

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        raise AssertionError("not asked here")

    def holder(self, account: str) -> Lease | None: ...
    def release(self, account: str, holder: str) -> None: ...
    def close(self) -> None: ...


def test_no_more_than_so_many_look_at_a_time() -> None:
    """Twenty that look take turns; one that saves has a lane of its own and waits for none of them."""
    slow = Slow()
    store = laned(slow)
    threads = [threading.Thread(target=store.load, args=(str(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(MOST):
        assert slow.began.acquire(timeout=BOUND_S)
    assert not slow.began.acquire(timeout=0.05), "one more than there may be"
    saver = threading.Thread(target=store.save, args=("a", b""), kwargs={"version": 1})
    saver.start()
    assert slow.began.acquire(timeout=BOUND_S), "what is saved waited for those who look"
    slow.clear.set()
    for thread in [*threads, saver]:
        thread.join(BOUND_S)
    assert (slow.most["load"], slow.calls) == (MOST, 21)


@pytest.mark.parametrize("name", ["load", "save"])
def test_those_who_waited_are_told_what_the_others_found(name: str) -> None:
    """That the store is away takes seconds to find out: once is enough. But what is to be saved is tried."""
    slow = Slow()
    slow.error = StoreError("the store is away", code="store_unreachable")
    store = laned(slow)
    found: list[str] = []

    def ask() -> None:
        try:
            if name == "load":
                store.load("a")
            else:
                store.save("a", b"", version=1)
        except StoreError as error:
            found.append(error.code)

    threads = [threading.Thread(target=ask) for _ in range(3 * MOST)]
    for thread in threads:
        thread.start()
    for _ in range(MOST):
        assert slow.began.acquire(timeout=BOUND_S)
    slow.clear.set()
    for thread in threads:
        thread.join(BOUND_S)
    assert found == ["store_unreachable"] * (3 * MOST)
    assert slow.calls == (MOST if name == "load" else 3 * MOST)
    slow.error = None
    store.load("a")  # whoever comes later asks for himself


def test_a_conflict_is_no_outage() -> None:
    """Somebody has saved first: that says nothing about the store."""
    store = laned(MemoryStore())
    with pytest.raises(VersionConflict):
        store.save("a", b"", version=7)
    store.save("a", b"", version=1)
    assert store.load("a") == Stored(version=1, sealed=b"")


class TestLaned(TokenStoreContract):
    """With lanes before it a store is the store that it was."""

    processes, wakes = False, True

    @pytest.fixture
    def make_store(self) -> object:
        store = laned(MemoryStore())
        return lambda: store
