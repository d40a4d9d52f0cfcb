"""The contract for company: threads, processes, forks, and those who wait for each other."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from connector.testing.doing import (
    Bare,
    Doing,
    Gate,
    Maker,
    bounded,
    disturb,
    in_processes,
    in_threads,
    opened,
    refused,
    share,
    wait_of,
    waited,
)
from connector.tokenstore import Stored, TokenStore

_LONG_S = 60.0


@bounded
class TogetherContract(Bare):
    """What must hold when many use a store at once."""

    def test_of_many_threads_one_saves_each_version(self, make_store: Maker) -> None:
        """Sixteen threads that all save the same version: one wins, fifteen are told."""
        with opened(make_store) as store:

            def one(number: int, gate: Gate) -> list[int]:
                won = []
                for version in range(1, 6):
                    gate.wait()
                    if not refused(store, "a", b"%d" % number, version):
                        won.append(version)
                return won

            wins = sorted(version for won in in_threads(16, one, self.part_s) for version in won)
            assert wins == [1, 2, 3, 4, 5]

    def test_of_many_threads_one_gets_the_lease(self, make_store: Maker) -> None:
        """Sixteen threads that ask at once agree on one holder."""
        with opened(make_store) as store:

            def one(number: int, gate: Gate) -> str:
                gate.wait()
                return store.acquire("a", str(number), ttl_s=_LONG_S).holder

            assert len(set(in_threads(16, one, self.part_s))) == 1

    def test_threads_do_not_get_each_others_answers(self, make_store: Maker) -> None:
        """Eight threads with an account each see their own records only."""
        with opened(make_store) as store:

            def one(number: int, gate: Gate) -> bool:
                gate.wait()
                for version in range(1, 21):
                    sealed = b"%d/%d" % (number, version)
                    store.save(str(number), sealed, version=version)
                    if store.load(str(number)) != Stored(version=version, sealed=sealed):
                        return False
                return True

            assert all(in_threads(8, one, self.part_s))

    def test_processes_share_it(self, make_store: Maker) -> None:
        """Four that begin at once on a store not made yet: one lease, one save, one count at a time."""
        if not self.processes:
            return
        said = in_processes(4, share, make_store, 25, 10, self.part_s, within_s=self.part_s)
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
            hears, says = multiprocessing.Pipe(duplex=False)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that threads are running is the point
                child = os.fork()
            if child == 0:
                _in_child(store, says)
            says.close()  # so that its death is heard
            try:
                seen = [_own(store, "parent", version) for version in range(2, 32)]
                assert hears.poll(self.part_s), f"the child said nothing for {self.part_s:g} s"
                said = hears.recv()
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                hears.close()
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
            assert hasattr(store, "wait") == self.wakes, "`wakes` says otherwise"
            if not self.wakes:
                return
            in_threads(1, lambda number, gate: wait_of(store)("a", 0.2), self.bound_s)
            wait_of(store)("a", 0.01)
            other.acquire("a", "other", ttl_s=_LONG_S)
            for change in (
                lambda: other.release("a", "other"),
                lambda: other.save("a", b"1", version=1),
                lambda: other.save("a", b"2", version=2),
            ):
                later = Doing(functools.partial(_later, 0.2, change))
                took = waited(store, 5 * self.bound_s)
                later.ended(time.monotonic() + self.bound_s, self.bound_s)
                assert later.error is None
                assert took < self.bound_s, "nobody woke the waiter"

    def test_all_waiters_are_woken(self, make_store: Maker) -> None:
        """Each of the threads that wait for one account, whichever object they wait with."""
        if not self.wakes:
            return
        with opened(make_store) as store, opened(make_store) as other:

            def one(number: int, gate: Gate) -> float:
                mine = (store, other)[number % 2]
                if number == 6:
                    store.acquire("a", "me", ttl_s=_LONG_S)
                    gate.wait()
                    time.sleep(0.3)  # until they wait
                    store.release("a", "me")
                    return 0.0
                wait_of(mine)("a", 0.01)
                gate.wait()
                return waited(mine, 5 * self.bound_s)

            took = in_threads(7, one, self.part_s)
            late = sum(each > self.bound_s for each in took)
            assert not late, f"{late} of 6 waiting threads were not woken"

    def test_processes_wake_each_other(self, make_store: Maker) -> None:
        """A renewal that ends in another process wakes those who wait in this one."""
        if self.processes and self.wakes:
            missed, _ = in_processes(2, disturb, make_store, self.bound_s, within_s=self.part_s)
            assert not missed, f"nobody woke the waiter when another process made a {' and a '.join(missed)}"

    def test_waiting_takes_its_time(self, make_store: Maker) -> None:
        """While nothing happens it may end early now and then, not always: who waits would never pause."""
        if not self.wakes:
            return
        with opened(make_store) as store:
            store.save("a", b"1", version=1)
            wait_of(store)("a", 0.01)
            took = [waited(store, 0.3) for _ in range(6)]
            assert sum(took) > 0.9, f"six waits for 0.3 s each took {sum(took):.2f} s in all"

    def test_what_happens_between_two_waits_is_not_missed(self, make_store: Maker) -> None:
        """One who looks, finds the lease held, and waits again is woken by what came in between."""
        if not self.wakes:
            return
        with opened(make_store) as store, opened(make_store) as other:
            other.acquire("a", "other", ttl_s=_LONG_S)
            wait_of(store)("a", 0.01)
            other.release("a", "other")
            store.load("a")
            store.holder("a")
            assert waited(store, 5 * self.bound_s) < self.bound_s, "what had happened woke nobody"


def _later(seconds: float, change: Callable[[], None]) -> None:
    time.sleep(seconds)
    change()


def _own(store: TokenStore, account: str, version: int) -> bool:
    """Save and load; whether what comes back is what was saved."""
    sealed = b"%d" % version
    store.save(account, sealed, version=version)
    return store.load(account) == Stored(version=version, sealed=sealed)


def _in_child(store: TokenStore, says: Connection) -> None:
    """The child's part of the fork; does not return."""
    said: Any = ("nothing", False)
    try:
        holder = store.acquire("a", "child", ttl_s=_LONG_S).holder
        said = (holder, all(_own(store, "child", version) for version in range(1, 32)))
        store.close()
    except BaseException as error:
        said = (type(error).__name__, str(error))
    finally:
        says.send(said)
        os._exit(0)
