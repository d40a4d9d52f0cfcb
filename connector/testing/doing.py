"""What the tests of the contract do in threads and in other processes, all beginning in the same moment.

Rules of this room: a store may do anything, so nothing here waits for it without an end. A call that does
not return is left to a thread that nobody waits for, or to a process that is killed, and the failure says
where it stands.
"""

from __future__ import annotations

import functools
import multiprocessing
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from connector.tokenstore import TokenStore, VersionConflict, Waking

Maker = Callable[[], TokenStore]
T = TypeVar("T")

# How many times as long as an operation may take: what threads and processes do, and a test as a whole. What
# is inside ends first, since it knows best what went wrong; so does a process, before those who hear it.
_PART, _WHOLE = 8, 16
_LATER = 1.5
_LONG_S = 60.0


class Bare:
    """What the parts of the contract share."""

    processes: ClassVar[bool] = True
    wakes: ClassVar[bool] = False
    bound_s: ClassVar[float] = 5.0
    watched_s: ClassVar[float] = 3.0

    @property
    def part_s(self) -> float:
        """How long threads and processes may take for what a test gives them to do."""
        return _PART * self.bound_s

    def pass_time(self, seconds: float) -> None:
        """Let time pass by the clock of the store."""
        time.sleep(seconds)


class Doing(threading.Thread):
    """A call in a thread that nobody needs to wait for."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self.result = self._call()
        except BaseException as error:
            self.error = error

    def ended(self, ends: float, within_s: float) -> None:
        """Wait for the call until `ends`, by `time.monotonic`. Raises AssertionError with where it stands."""
        self.join(max(0.0, ends - time.monotonic()))
        if self.is_alive():
            raise AssertionError(f"no end within {within_s:g} s; it stands at {_place(self)}")


def _place(thread: threading.Thread) -> str:
    """The line of the contract that a thread has come to."""
    here = Path(__file__).parent
    frame = sys._current_frames().get(thread.ident or 0)
    for each in reversed(traceback.extract_stack(frame) if frame else []):
        if Path(each.filename).parent == here:
            return f"{Path(each.filename).name}:{each.lineno}: {each.line}"
    return "its end"


def bounded(contract: type[T]) -> type[T]:
    """Give each test of a class an end, since a store may have a call that does not return."""

    def within(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(self: Bare, make_store: Maker) -> None:
            within_s = _WHOLE * self.bound_s + 2 * self.watched_s
            doing = Doing(lambda: test(self, make_store))
            doing.ended(time.monotonic() + within_s, within_s)
            if doing.error is not None:
                raise doing.error

        return run

    for name, test in list(vars(contract).items()):
        if name.startswith("test_"):
            setattr(contract, name, within(test))
    return contract


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


def in_threads(count: int, task: Callable[[int, Gate], Any], within_s: float) -> list[Any]:
    """Run a task in threads; it gets its number, and the gate at which all meet."""
    gate = threading.Barrier(count)

    def one(number: int) -> Any:
        try:
            return task(number, gate)
        except BaseException:
            gate.abort()  # the others would wait for this one
            raise

    ends = time.monotonic() + within_s
    running = [Doing(functools.partial(one, number)) for number in range(count)]
    for doing in running:
        doing.ended(ends, within_s)
    errors = [doing.error for doing in running if doing.error is not None]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError))
    return [doing.result for doing in running]


def in_processes(
    count: int, task: Callable[..., Any], make_store: Maker, *args: Any, within_s: float
) -> list[Any]:
    """Run ``task(store, number, *args)`` in processes that know nothing of this one."""
    spawn = multiprocessing.get_context("spawn")
    shared = {"gate": spawn.Barrier(count), "number": spawn.RawValue("i", 0)}
    # The clock that processes share; beginning is part of their time.
    until, ends = time.time() + within_s, time.monotonic() + _LATER * within_s
    running: dict[Any, Any] = {}
    said: dict[Any, Any] = {}
    try:
        for number in range(count):
            hears, says = spawn.Pipe(duplex=False)
            call = (task, make_store, number, args)
            running[hears] = spawn.Process(target=_begin, args=(says, shared, call, within_s, until))
            running[hears].start()
            says.close()  # so that its death is heard
        # They tell by themselves that they came to no end, unless they cannot even do that.
        while len(said) < count:
            ready = wait([hears for hears in running if hears not in said], ends - time.monotonic())
            assert ready, f"a process said nothing for {_LATER * within_s:g} s"
            said.update((hears, _heard(hears, running[hears])) for hears in ready)
        return [said[hears] for hears in running]
    finally:
        for hears, process in running.items():
            hears.close()
            if process.pid is not None:
                process.kill()
                process.join()


def _heard(hears: Any, process: Any) -> Any:
    """What a process answers. Raises AssertionError with what went wrong in it."""
    try:
        done, answer = hears.recv()
    except EOFError:
        process.join(1)
        raise AssertionError(f"a process ended with {process.exitcode} and said nothing") from None
    assert done, f"in one of the processes: {answer}"
    return answer


_shared: dict[str, Any] = {}


def _begin(
    says: Connection, shared: dict[str, Any], call: tuple[Any, ...], within_s: float, until: float
) -> None:
    """What a process does: its task, and tell what came of it."""
    _shared.update(shared)
    task, make_store, number, args = call

    def work() -> Any:
        with opened(make_store) as store:
            meet()
            return task(store, number, *args)

    doing = Doing(work)
    try:
        doing.ended(time.monotonic() + until - time.time(), within_s)
    except AssertionError as hangs:
        says.send((False, str(hangs)))
    else:
        words = "".join(traceback.format_exception(doing.error)) if doing.error else ""
        says.send((not words, words or doing.result))


def meet() -> None:
    """In one of several processes: wait for the others. One that never comes ends them all."""
    _shared["gate"].wait()


def share(
    store: TokenStore, number: int, versions: int, rounds: int, within_s: float
) -> tuple[str, list[int], int]:
    """What one of several processes does: its view of the lease, the versions it won, the last count."""
    holder = store.acquire("first", f"holder {number}", ttl_s=_LONG_S).holder
    return holder, _save_all(store, number, versions), _count_up(store, number, rounds, within_s)


def _save_all(store: TokenStore, number: int, versions: int) -> list[int]:
    """Try to save every version up to `versions`; those won."""
    won: list[int] = []
    seen = 0
    while True:
        found = store.load("a")
        now = found.version if found else 0
        # Saved by this process or refused because of another, which comes to the same.
        assert now >= seen, f"version {seen} was saved, and a load after that gives version {now}"
        if now >= versions:
            return won
        seen = now + 1
        if not refused(store, "a", b"%d/%d" % (number, seen), seen):
            won.append(seen)


def _count_up(store: TokenStore, number: int, rounds: int, within_s: float) -> int:
    """Count up a number that nothing but the lease guards; the number at the end."""
    me, done, ends = f"holder {number}", 0, time.monotonic() + within_s / 2
    while done < rounds:
        lease = store.acquire("a", me, ttl_s=_LONG_S)
        if lease.holder != me:
            assert time.monotonic() < ends, (
                f"{lease.holder!r} gave the lease back, and {me!r} does not get it"
            )
            time.sleep(0.001)
            continue
        seen = _shared["number"].value
        time.sleep(0.001)  # long enough for another who holds the lease too to come in between
        _shared["number"].value = seen + 1
        store.release("a", me)
        done += 1
    return int(_shared["number"].value)


def disturb(store: TokenStore, number: int, bound_s: float) -> list[str]:
    """What two processes do about waking: the second makes changes; those that did not wake the first."""
    missed = []
    for version, change in enumerate(("release", "save", "save")):
        if number == 0:
            wait_of(store)("a", 0.01)
            meet()
            if waited(store, 1.25 * bound_s) > bound_s:
                missed.append(change)
        else:
            if change == "release":
                store.acquire("a", "other", ttl_s=_LONG_S)
            meet()
            time.sleep(0.2)
            if change == "release":
                store.release("a", "other")
            else:
                store.save("a", b"%d" % version, version=version)
        meet()
    return missed


def wait_of(store: TokenStore) -> Callable[[str, float], None]:
    """The method that only those stores have that wake."""
    assert isinstance(store, Waking)
    return store.wait


def waited(store: TokenStore, timeout_s: float) -> float:
    """Wait for account ``a``; how long that took."""
    began = time.monotonic()
    wait_of(store)("a", timeout_s)
    return time.monotonic() - began
