"""One flight at a time, and everybody waits for that one: threads, and tasks of any loop."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

import anyio
import pytest
import trio
from source_room import BOUND_S

from connector.flight import Flight, landed
from connector.lives import Background


class Runway:
    """A function for a flight that returns when told to, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.clear = threading.Event()

    def __call__(self) -> int:
        self.begun += 1
        assert self.clear.wait(BOUND_S)
        return self.begun


@pytest.fixture
def runway() -> Iterator[Runway]:
    made = Runway()
    yield made
    made.clear.set()


@pytest.fixture
def flight() -> Flight[Any]:
    return Flight("a-flight")


def test_those_who_join_share_one_flight(flight: Flight[Any], runway: Runway) -> None:
    """Whoever asks while it runs gets the same future, and the function is called once."""
    first = flight.join(runway)
    futures = [flight.join(lambda: pytest.fail("a second flight")) for _ in range(10)]
    assert all(future is first for future in futures)
    assert flight.running is first
    runway.clear.set()
    assert first.result(BOUND_S) == 1
    assert runway.begun == 1


def test_after_landing_the_next_one_begins(flight: Flight[Any], runway: Runway) -> None:
    """Whoever sees the result and asks again gets another flight, never the old result."""
    runway.clear.set()
    for number in range(1, 20):
        assert flight.join(runway).result(BOUND_S) == number
    assert flight.running is None


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_error_lands_without_its_frames(flight: Flight[Any], kind: type[BaseException]) -> None:
    """Whatever the function raises is in the future, with no traceback, cause or context, and nobody hangs."""

    def fail() -> None:
        secret = "hunter2"
        try:
            raise LookupError(secret)
        except LookupError as error:
            raise kind("it broke") from error

    error = flight.join(fail).exception(BOUND_S)
    assert type(error) is kind
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)
    assert flight.running is None
    assert flight.join(lambda: "again").result(BOUND_S) == "again"


def test_where_no_thread_can_be_started_nobody_waits_for_ever(
    flight: Flight[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At interpreter exit, for one: the future holds the error, and the next flight can begin."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        error = flight.join(lambda: None).exception(0)
    assert isinstance(error, RuntimeError)
    assert error.__traceback__ is None
    assert flight.running is None
    assert flight.join(lambda: "again").result(BOUND_S) == "again"


def test_a_caller_may_fly_where_no_thread_can(flight: Flight[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``here``: in its own thread, and it has the result at once."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        future = flight.join(threading.current_thread, here=True)
    assert future.result(0) is threading.current_thread()
    assert flight.running is None


def test_interrupted_before_the_thread_began(
    flight: Flight[Any], runway: Runway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C goes to whoever began; those who joined meanwhile are woken to look again, and it never flies."""
    late, joined = [], []

    def interrupt(thread: threading.Thread) -> None:
        late.append(thread)
        joined.append(flight.join(runway))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            flight.join(runway)
    assert joined[0].cancelled()
    assert wait(joined, 0).done
    assert flight.running is None
    runway.clear.set()
    late[0].start()  # as if the system had started it after all
    late[0].join(BOUND_S)
    assert runway.begun == 0
    assert flight.join(runway).result(BOUND_S) == 1


def test_interrupted_when_the_thread_has_begun(
    flight: Flight[Any], runway: Runway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then there is one flight, not two: whoever asks again joins it."""
    start = threading.Thread.start

    def interrupt(thread: threading.Thread) -> None:
        start(thread)
        while not runway.begun:
            time.sleep(0.001)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            flight.join(runway)
    future = flight.join(lambda: pytest.fail("a second flight"))
    runway.clear.set()
    assert future.result(BOUND_S) == 1


def test_asked_from_within(flight: Flight[Any], runway: Runway) -> None:
    """A signal handler or a ``__del__`` may ask while its own thread holds the lock."""
    with flight._lock:
        future = flight.join(runway)
    runway.clear.set()
    assert future.result(BOUND_S) == 1


def test_a_flight_that_was_reset_takes_nothing_away(flight: Flight[Any], runway: Runway) -> None:
    """After `reset` another one runs, and the landing of the first does not end it."""
    first = flight.join(runway)
    flight.reset()
    other = Runway()
    second = flight.join(other)
    assert second is not first
    runway.clear.set()
    assert first.result(BOUND_S) == 1
    assert flight.running is second
    other.clear.set()
    assert second.result(BOUND_S) == 1


def test_an_ending_interpreter_waits_for_the_landing() -> None:
    """A flight that is still under way when the program ends gets to its end."""
    program = (
        "import threading\n"
        "from connector.flight import Flight\n"
        "def fly():\n"
        "    threading.main_thread().join()\n"
        "    print('landed', flush=True)\n"
        "Flight('last').join(fly)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "landed\n", "")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_wait_without_holding_up_their_loop(backend: str) -> None:
    """While some tasks wait, others of the same loop go on; all are woken by the landing."""
    future: Future[str] = Future()

    async def scene() -> list[str]:
        order: list[str] = []

        async def wait(name: str) -> None:
            await landed(future, BOUND_S)
            order.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(wait, "a")
            group.start_soon(wait, "b")
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            order.append("meanwhile")
            await anyio.to_thread.run_sync(future.set_result, "done")
        return order

    order = anyio.run(scene, backend=backend)
    assert order[0] == "meanwhile"
    assert sorted(order[1:]) == ["a", "b"]


@pytest.mark.parametrize("outcome", ["result", "error"])
def test_what_has_landed_needs_no_loop(outcome: str) -> None:
    """Waiting for a future that is done, well or badly, ends at the first step."""
    future: Future[str] = Future()
    future.set_result("done") if outcome == "result" else future.set_exception(ValueError())
    with pytest.raises(StopIteration):
        landed(future, BOUND_S).send(None)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_a_waiter_leaves_the_flight_alone(
    flight: Flight[Any], runway: Runway, backend: str
) -> None:
    """A deadline ends the waiting; the future is neither cancelled nor ended by it."""

    async def scene() -> bool:
        with anyio.move_on_after(0.02) as scope:
            await landed(flight.join(runway), BOUND_S)
        return scope.cancelled_caught

    assert anyio.run(scene, backend=backend)
    future = flight.running
    assert future is not None
    assert not future.done()
    runway.clear.set()
    assert future.result(BOUND_S) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_is_closed_is_no_error(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waited is gone with its loop: the landing finds nobody to tell, and says nothing."""
    future: Future[str] = Future()

    async def scene() -> None:
        with anyio.move_on_after(0.01):
            await landed(future, BOUND_S)

    anyio.run(scene, backend=backend)
    with caplog.at_level(logging.DEBUG):
        future.set_result("done")
    assert caplog.records == []


def test_trio_as_a_guest_of_asyncio() -> None:
    """A trio task inside an asyncio loop waits in the way of trio, and a task of that loop in the other."""
    flight: Flight[str] = Flight("guest")
    runway = threading.Event()
    woken: list[str] = []

    def fly() -> str:
        assert runway.wait(BOUND_S)
        return "done"

    async def guest() -> None:
        await landed(flight.join(fly), BOUND_S)
        woken.append("trio")

    async def host() -> None:
        ended = asyncio.get_running_loop().create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=ended.set_result,
        )
        for _ in range(10):
            await asyncio.sleep(0)
        future = flight.join(fly)
        runway.set()
        await landed(future, BOUND_S)
        woken.append("asyncio")
        (await ended).unwrap()

    asyncio.run(asyncio.wait_for(host(), BOUND_S))
    assert sorted(woken) == ["asyncio", "trio"]


def test_threads_and_six_loops_wait_alike(flight: Flight[Any], runway: Runway) -> None:
    """Threads, three loops of asyncio and three of trio share one flight and all get its result."""
    found: list[int] = []
    ready = threading.Barrier(9)

    def in_thread() -> None:
        future = flight.join(runway)
        ready.wait(BOUND_S)
        found.append(future.result(BOUND_S))

    async def in_task() -> None:
        future = flight.join(runway)
        ready.wait(BOUND_S)
        await landed(future, BOUND_S)
        found.append(future.result(0))

    ways: list[Callable[[], Any]] = [in_thread, in_thread]
    ways += [
        lambda backend=backend: anyio.run(in_task, backend=backend) for backend in ("asyncio", "trio") * 3
    ]
    threads = [threading.Thread(target=way) for way in ways]
    for thread in threads:
        thread.start()
    ready.wait(BOUND_S)
    assert found == []
    runway.clear.set()
    for thread in threads:
        thread.join(BOUND_S)
    assert found == [1] * 8
    assert runway.begun == 1


def test_a_flight_whose_thread_never_came_is_forgotten(flight: Flight[Any], runway: Runway) -> None:
    """Cut off anywhere, even where nothing could be put right: whoever asks later begins another one."""
    runway.clear.set()
    stuck: Future[Any] = Future()
    thread = Background(target=runway)
    flight._running, flight._thread, flight._begun = stuck, thread, time.monotonic() - 3
    assert flight.join(runway).result(BOUND_S) == 1
    assert stuck.cancelled(), "those who wait for it look again"
    fresh: Future[Any] = Future()
    flight._running, flight._begun = fresh, time.monotonic()
    assert flight.join(runway) is fresh, "it may be there in a moment"


def test_out_of_stack(flight: Flight[Any], runway: Runway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A RecursionError is the caller's, who cannot fly with it either; the next one can."""

    def deep(thread: threading.Thread) -> None:
        raise RecursionError

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", deep)
        with pytest.raises(RecursionError):
            flight.join(runway, here=True)
    assert flight.running is None
    runway.clear.set()
    assert flight.join(runway).result(BOUND_S) == 1


def test_who_flies_knows(flight: Flight[Any]) -> None:
    """So that nobody waits for himself."""
    assert not flight.mine
    assert flight.join(lambda: flight.mine).result(BOUND_S) is True
    assert not flight.mine


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_patience_ends_in_tasks_too(flight: Flight[Any], runway: Runway, backend: str) -> None:
    """A flight that takes longer goes on; the task does not wait for it."""
    future = flight.join(runway)
    anyio.run(landed, future, 0.02, backend=backend)
    assert not future.done()
    runway.clear.set()
    assert future.result(BOUND_S) == 1
