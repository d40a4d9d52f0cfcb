"""The contract finds stores that fail in company: wake too few, too late or always, lose saves, or hang."""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from wrong_stores import OfOneProcess, failure

from connector.store import MemoryStore, SqliteStore
from connector.testing import TokenStoreContract
from connector.tokenstore import Lease, Stored, TokenStore

WOKEN, ALL, PAUSES = "test_waiters_are_woken", "test_all_waiters_are_woken", "test_waiting_takes_its_time"
SHARED, ACROSS = "test_processes_share_it", "test_processes_wake_each_other"


class WakesOne(MemoryStore):
    """Of those who wait, the first is woken."""

    def _tell(self, account: str) -> None:
        self._told[account] += 1
        self._news.notify(1)


class WakesNone(MemoryStore):
    """Its waiters find out when their time is over."""

    def _tell(self, account: str) -> None:
        self._told[account] += 1


class Endless(MemoryStore):
    """Waits for news, however long that takes."""

    def wait(self, account: str, timeout_s: float) -> None:
        super().wait(account, 3600.0)


class Restless(MemoryStore):
    """Never waits."""

    def wait(self, account: str, timeout_s: float) -> None:
        return


class Naps(MemoryStore):
    """Calls a short sleep waiting."""

    def wait(self, account: str, timeout_s: float) -> None:
        time.sleep(min(timeout_s, 0.02))


class FirstPage(MemoryStore):
    """Lists as many as a page has."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def accounts(self) -> Iterable[str]:
        return list(super().accounts())[: self._most]


class TwoDigits(MemoryStore):
    """Has no room for a version of three digits."""

    def load(self, account: str) -> Stored | None:
        found = super().load(account)
        return found and Stored(version=found.version % 100, sealed=found.sealed)


class OneByte(MemoryStore):
    """After version 255 comes 0."""

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        super().save(account, sealed, version=version)
        self._records[account] = Stored(version=version % 256, sealed=bytes(sealed))


@pytest.mark.parametrize(
    ("store", "test", "words"),
    [
        (WakesOne(), ALL, "of 6 waiting threads were not woken"),
        (WakesNone(), ALL, "6 of 6 waiting threads were not woken"),
        (Endless(), WOKEN, 'wait_of(store)("a", 0.2)'),
        (Restless(), PAUSES, "six waits for 0.3 s each took 0.00 s in all"),
        (Naps(), PAUSES, "six waits for 0.3 s each took 0."),
        (FirstPage(100), "test_accounts_lists_all", "of 1001 accounts 100 were listed"),
        (FirstPage(1000), "test_accounts_lists_all", "of 1001 accounts 1000 were listed"),
        (TwoDigits(), "test_versions_go_on_as_far_as_they_like", ""),
        (OneByte(), "test_versions_go_on_as_far_as_they_like", ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MemoryStore) else "",
)
def test_it_finds_what_is_wrong(store: TokenStore, test: str, words: str) -> None:
    """In bounded time, and the failure says what."""
    assert words in failure(test, store)


class Hangs(MemoryStore):
    """One of its calls does not return."""

    def __init__(self, call: str) -> None:
        super().__init__()
        setattr(self, call, self._hang)

    def _hang(self, *args: Any, **options: Any) -> Any:
        threading.Event().wait()


@pytest.mark.parametrize(
    ("call", "test"),
    [
        ("acquire", "test_a_lease_has_one_holder"),
        ("acquire", "test_it_survives_a_fork"),
        ("acquire", "test_of_many_threads_one_gets_the_lease"),
        ("holder", "test_an_empty_store_knows_nothing"),
        ("load", "test_what_is_saved_is_loaded"),
        ("save", "test_threads_do_not_get_each_others_answers"),
        ("wait", "test_what_happens_between_two_waits_is_not_missed"),
        ("release", "test_holders_are_told_apart"),
        ("accounts", "test_accounts_lists_all"),
        ("close", "test_closing_is_not_forgetting"),
    ],
)
def test_a_call_that_does_not_return_is_a_failure(call: str, test: str) -> None:
    """The failure names the line of the contract at which it stands, whichever thread that is in."""
    said = failure(test, Hangs(call), bound_s=0.15, watched_s=0.1)
    assert "no end within" in said
    assert call in said.partition("stands at")[2]


def test_a_call_that_does_not_return_in_a_fork_is_a_failure() -> None:
    """The child is killed."""

    class HangsInChildren(MemoryStore):
        def after_fork(self) -> None:
            super().after_fork()
            self.forks = getattr(self, "forks", -1) + 1

        def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
            if self.forks:
                threading.Event().wait()
            return super().acquire(account, holder, ttl_s=ttl_s)

    assert "the child said nothing for 2.4 s" in failure("test_it_survives_a_fork", HangsInChildren())


def test_of_several_threads_the_one_that_failed_is_heard() -> None:
    """Not those that waited for it in vain."""

    class Fails(MemoryStore):
        def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
            if holder == "7":
                raise KeyError("what is wrong")
            return super().acquire(account, holder, ttl_s=ttl_s)

        def wait(self, account: str, timeout_s: float) -> None:
            if threading.current_thread() is not threading.main_thread():
                raise KeyError("what is wrong")

    assert "what is wrong" in failure("test_of_many_threads_one_gets_the_lease", Fails())
    assert "what is wrong" in failure(ALL, Fails())


class WakesHere(SqliteStore):
    """Wakes those who wait in its own process, as a Condition does."""

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        super().save(account, sealed, version=version)
        _here.save("", b"", version=1)
        _here.delete("")

    def release(self, account: str, holder: str) -> None:
        super().release(account, holder)
        _here.acquire("", "", ttl_s=1)
        _here.release("", "")

    def wait(self, account: str, timeout_s: float) -> None:
        _here.wait("", timeout_s)


_here = MemoryStore()


class Loses(SqliteStore):
    """Says that it saved."""

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        if version < 2:
            super().save(account, sealed, version=version)


class Caches(SqliteStore):
    """Looks once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._seen: dict[str, Stored] = {}

    def load(self, account: str) -> Stored | None:
        found = self._seen.get(account) or super().load(account)
        if found:
            self._seen[account] = found
        return found


class Keeps(SqliteStore):
    """Takes no lease back."""

    def release(self, account: str, holder: str) -> None:
        pass


class HangsAlone(SqliteStore):
    """When it looks it does not return."""

    def load(self, account: str) -> Stored | None:
        threading.Event().wait()
        return None


class Dies(SqliteStore):
    """Takes its process along."""

    def load(self, account: str) -> Stored | None:
        os._exit(3)


@pytest.mark.parametrize(
    ("kind", "test", "words"),
    [
        (WakesHere, ACROSS, "when another process made a release and a save and a save"),
        (Loses, SHARED, "version 2 was saved, and a load after that gives version 1"),
        (Caches, SHARED, "was saved, and a load after that gives version"),
        (Keeps, SHARED, "gave the lease back, and"),
        (HangsAlone, SHARED, "store.load("),
        (Dies, SHARED, "a process ended with 3 and said nothing"),
    ],
)
def test_it_finds_what_is_wrong_between_processes(
    kind: Callable[[Path], TokenStore], test: str, words: str, tmp_path: Path
) -> None:
    """In bounded time, the failure says what, and no process is left."""
    contract: Any = TokenStoreContract()
    contract.bound_s, contract.wakes = 1.5, True
    before = multiprocessing.active_children()
    began = time.monotonic()
    with pytest.raises(AssertionError) as caught:
        getattr(contract, test)(functools.partial(kind, tmp_path / "tokens.db"))
    assert words in str(caught.value)
    assert time.monotonic() - began < 30
    assert multiprocessing.active_children() == before


def test_a_store_that_wakes_here_keeps_all_other_promises_of_waking(tmp_path: Path) -> None:
    """So nothing but another process shows what is wrong with it."""
    contract: Any = OfOneProcess()
    for test in (WOKEN, ALL, PAUSES, "test_what_happens_between_two_waits_is_not_missed"):
        getattr(contract, test)(functools.partial(WakesHere, tmp_path / f"{test}.db"))
