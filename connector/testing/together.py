"""The contract for company: threads, processes, forks, and those who wait for each other."""

from __future__ import annotations

import os
import pickle
import threading
import time
import warnings
from typing import Any

from connector.testing.doing import (
    Bare,
    Gate,
    Maker,
    in_processes,
    in_threads,
    opened,
    refused,
    share,
)
from connector.tokenstore import Stored, TokenStore

_LONG_S = 60.0


class TogetherContract(Bare):
    """What must hold when many use a store at once."""

    def test_of_many_threads_one_saves_each_version(self, make_store: Maker) -> None:
        """Sixteen threads that all save the same version: one wins, fifteen are told."""
        with opened(make_store) as store:

            def one(number: int, gate: Gate) -> list[int]:
                won = []
                for version in range(1, 6):
                    gate.wait(60)
                    if not refused(store, "a", b"%d" % number, version):
                        won.append(version)
                return won

            assert sorted(version for won in in_threads(16, one) for version in won) == [1, 2, 3, 4, 5]

    def test_of_many_threads_one_gets_the_lease(self, make_store: Maker) -> None:
        """Sixteen threads that ask at once agree on one holder."""
        with opened(make_store) as store:

            def one(number: int, gate: Gate) -> str:
                gate.wait(60)
                return store.acquire("a", str(number), ttl_s=_LONG_S).holder

            assert len(set(in_threads(16, one))) == 1

    def test_threads_do_not_get_each_others_answers(self, make_store: Maker) -> None:
        """Eight threads with an account each see their own records only."""
        with opened(make_store) as store:

            def one(number: int, gate: Gate) -> bool:
                gate.wait(60)
                for version in range(1, 21):
                    sealed = b"%d/%d" % (number, version)
                    store.save(str(number), sealed, version=version)
                    if store.load(str(number)) != Stored(version=version, sealed=sealed):
                        return False
                return True

            assert all(in_threads(8, one))

    def test_processes_share_it(self, make_store: Maker) -> None:
        """Four that begin at once on a store not made yet: one lease, one save, one count at a time."""
        if not self.processes:
            return
        said = in_processes(4, share, make_store, 25, 10)
        assert len({holder for holder, _, _ in said}) == 1, "they do not agree on who has the lease"
        wins = sorted(version for _, won, _ in said for version in won)
        assert wins == list(range(1, 26)), "a version was saved twice, or not at all"
        assert max(count for _, _, count in said) == 40, "two had the lease at the same time"
        with opened(make_store) as store:
            found = store.load("a")
            assert found is not None
            assert found.version == 25

    def test_it_survives_a_fork(self, make_store: Maker) -> None:
        """A child goes on with the store object of its parent, and neither hears the other's answers."""
        if not hasattr(os, "fork"):
            return
        with opened(make_store) as store:
            store.save("parent", b"1", version=1)
            store.acquire("a", "parent", ttl_s=_LONG_S)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that threads are running is the point
                reads, writes = os.pipe()
                child = os.fork()
            if child == 0:
                _in_child(store, writes)
            os.close(writes)
            seen = [_own(store, "parent", version) for version in range(2, 32)]
            with os.fdopen(reads, "rb") as pipe:
                said = pickle.loads(pipe.read())  # noqa: S301  # of our own child
            os.waitpid(child, 0)
            assert all(seen), "the parent got the answers of its child"
            assert said == ("parent", True), f"the child found {said}"
            if self.processes:
                assert store.load("child") == Stored(version=31, sealed=b"31")
            assert store.load("parent") == Stored(version=31, sealed=b"31")
            lease = store.holder("a")
            assert lease is not None
            assert lease.holder == "parent"

    def test_waiters_are_woken(self, make_store: Maker) -> None:
        """By a release and by a save, whoever made it; without either the waiting ends by itself."""
        with opened(make_store) as store, opened(make_store) as other:
            wait = getattr(store, "wait", None)
            assert (wait is not None) == self.wakes, "`wakes` says otherwise"
            if wait is None:
                return
            began = time.monotonic()
            wait("a", 0.2)
            assert time.monotonic() - began < self.bound_s
            other.acquire("a", "other", ttl_s=_LONG_S)
            for change in (
                lambda: other.release("a", "other"),
                lambda: other.save("a", b"1", version=1),
                lambda: other.save("a", b"2", version=2),
            ):
                later = threading.Timer(0.2, change)
                later.start()
                began = time.monotonic()
                wait("a", 5 * self.bound_s)
                took = time.monotonic() - began
                later.join()
                assert took < self.bound_s, "nobody woke the waiter"

    def test_what_happens_between_two_waits_is_not_missed(self, make_store: Maker) -> None:
        """One who looks, finds the lease held, and waits again is woken by what came in between."""
        with opened(make_store) as store, opened(make_store) as other:
            wait = getattr(store, "wait", None)
            if wait is None:
                return
            other.acquire("a", "other", ttl_s=_LONG_S)
            wait("a", 0.01)
            other.release("a", "other")
            store.load("a")
            store.holder("a")
            began = time.monotonic()
            wait("a", 5 * self.bound_s)
            assert time.monotonic() - began < self.bound_s


def _own(store: TokenStore, account: str, version: int) -> bool:
    """Save and load; whether what comes back is what was saved."""
    sealed = b"%d" % version
    store.save(account, sealed, version=version)
    return store.load(account) == Stored(version=version, sealed=sealed)


def _in_child(store: TokenStore, writes: int) -> None:
    """The child's part of the fork; does not return."""
    said: Any = ("nothing", False)
    try:
        holder = store.acquire("a", "child", ttl_s=_LONG_S).holder
        said = (holder, all(_own(store, "child", version) for version in range(1, 32)))
        store.close()
    except BaseException as error:
        said = (type(error).__name__, str(error))
    finally:
        os.write(writes, pickle.dumps(said))
        os._exit(0)
