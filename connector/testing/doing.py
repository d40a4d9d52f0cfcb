"""What the tests of the contract do in threads and in other processes, all beginning in the same moment."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

from connector.tokenstore import TokenStore, VersionConflict

Maker = Callable[[], TokenStore]

# Nothing here waits this long; it only keeps a broken store from hanging the tests.
_BOUND_S = 60.0


class Bare:
    """What the parts of the contract share."""

    processes: ClassVar[bool] = True
    wakes: ClassVar[bool] = False
    bound_s: ClassVar[float] = 10.0

    def pass_time(self, seconds: float) -> None:
        """Let time pass by the clock of the store."""
        time.sleep(seconds)


@contextmanager
def opened(make_store: Maker) -> Iterator[TokenStore]:
    """A store, closed at the end."""
    store = make_store()
    try:
        yield store
    finally:
        store.close()


def refused(store: TokenStore, account: str, sealed: bytes, version: int) -> bool:
    """Whether a save is refused with VersionConflict."""
    try:
        store.save(account, sealed, version=version)
    except VersionConflict:
        return True
    return False


class Gate(Protocol):
    """What `threading` and `multiprocessing` call a Barrier."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the others."""


def in_threads(count: int, task: Callable[[int, Gate], Any]) -> list[Any]:
    """Run a task in threads; it gets its number, and the gate at which all meet."""
    gate = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        return [each.result() for each in [pool.submit(task, number, gate) for number in range(count)]]


def in_processes(count: int, task: Callable[..., Any], make_store: Maker, *args: Any) -> list[Any]:
    """Run ``task(make_store, number, *args)`` in processes that know nothing of this one."""
    spawn = multiprocessing.get_context("spawn")
    shared = (spawn.Barrier(count), spawn.RawValue("i", 0))
    with ProcessPoolExecutor(count, mp_context=spawn, initializer=_remember, initargs=shared) as pool:
        running = [pool.submit(_begin, task, make_store, number, args) for number in range(count)]
        return [each.result() for each in running]


_shared: dict[str, Any] = {}


def _remember(gate: Any, number: Any) -> None:
    _shared.update(gate=gate, number=number)


def _begin(task: Callable[..., Any], make_store: Maker, number: int, args: tuple[Any, ...]) -> Any:
    with opened(make_store) as store:
        _shared["gate"].wait(_BOUND_S)
        return task(store, number, *args)


def share(store: TokenStore, number: int, versions: int, rounds: int) -> tuple[str, list[int], int]:
    """What one of several processes does: its view of the lease, the versions it won, the last count."""
    holder = store.acquire("first", f"holder {number}", ttl_s=_BOUND_S).holder
    return holder, _save_all(store, number, versions), _count_up(store, number, rounds)


def _save_all(store: TokenStore, number: int, versions: int) -> list[int]:
    """Try to save every version up to `versions`; those won."""
    won: list[int] = []
    while True:
        found = store.load("a")
        version = (found.version if found else 0) + 1
        if version > versions:
            return won
        if not refused(store, "a", b"%d/%d" % (number, version), version):
            won.append(version)


def _count_up(store: TokenStore, number: int, rounds: int) -> int:
    """Count up a number that nothing but the lease guards; the number at the end."""
    me, done, ends = f"holder {number}", 0, time.monotonic() + _BOUND_S
    while done < rounds:
        if store.acquire("a", me, ttl_s=_BOUND_S).holder != me:
            if time.monotonic() > ends:
                raise TimeoutError("the lease never came")
            time.sleep(0.001)
            continue
        seen = _shared["number"].value
        time.sleep(0.001)  # long enough for another who holds the lease too to come in between
        _shared["number"].value = seen + 1
        store.release("a", me)
        done += 1
    return int(_shared["number"].value)
