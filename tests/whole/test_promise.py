"""The promise: however many use an ended account, its refresh token is shown once, and nobody fails."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from whole_world import BOUND_S, World, alive, in_threads

from connector.host import Host

THREADS, TASKS = 32, 200


class Crowd:
    """Counts those who are about to ask, so that the gate opens when all of them have."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()
        self.complete = threading.Event()

    def one_more(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self.complete.set()


def statuses_of_tasks(host: Host, backend: str, tasks: int, crowd: Crowd) -> list[int]:
    """Send one request from each of many tasks of one loop, through one client."""

    async def all_of_them() -> list[int]:
        found: list[int] = []
        async with host.async_client("main") as http:

            async def one() -> None:
                crowd.one_more()
                found.append((await http.get("/api/items", params={"limit": 1})).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(tasks):
                    group.start_soon(one)
        return found

    return anyio.run(all_of_them, backend=backend)


def status_of_thread(http: httpx.Client, crowd: Crowd) -> int:
    crowd.one_more()
    return http.get("/api/items", params={"limit": 1}).status_code


@pytest.mark.parametrize("how", ["expired", "rejected"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_threads_and_tasks_on_an_account_that_ended(world: World, backend: str, how: str) -> None:
    """32 threads and 200 tasks at once cost one token call, whether we or the server know of the end."""
    host = world.signed_in(expired=how == "expired")
    if how == "rejected":
        world.sandbox.expire("strict")
    world.gate.shut()
    crowd = Crowd(THREADS + TASKS + 1)

    def open_the_gate() -> list[int]:
        crowd.one_more()
        assert crowd.complete.wait(BOUND_S)
        assert world.gate.arrived.wait(BOUND_S)
        world.gate.open()
        return []

    with host.client("main") as http:
        results = in_threads(
            [
                *[lambda: [status_of_thread(http, crowd)] for _ in range(THREADS)],
                lambda: statuses_of_tasks(host, backend, TASKS, crowd),
                open_the_gate,
            ]
        )
    assert [r for r in results if isinstance(r, Exception)] == []
    assert [*itertools.chain.from_iterable(results)] == [200] * (THREADS + TASKS)
    seen = world.counts()
    assert (seen.token_calls, seen.issued, seen.refused) == (1, 1, 0)
    assert host.counts("main").failed_requests == 0
    assert seen.unauthorized == 0 or how == "rejected"
    alive(world, host)


async def cancelled_task(ask: Callable[[], Awaitable[Any]], arrived: threading.Event) -> None:
    task = asyncio.ensure_future(ask())
    await anyio.to_thread.run_sync(arrived.wait, BOUND_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_scope(ask: Callable[[], Awaitable[Any]], arrived: threading.Event) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await anyio.to_thread.run_sync(arrived.wait, BOUND_S)
        group.cancel_scope.cancel()


async def deadline(ask: Callable[[], Awaitable[Any]], arrived: threading.Event) -> None:
    async def end_it(scope: anyio.CancelScope) -> None:
        await anyio.to_thread.run_sync(arrived.wait, BOUND_S)
        scope.deadline = anyio.current_time()

    async with anyio.create_task_group() as group:
        with anyio.move_on_after(BOUND_S) as scope:
            group.start_soon(end_it, scope)
            await ask()
    assert scope.cancelled_caught


async def wait_for(ask: Callable[[], Awaitable[Any]], arrived: threading.Event) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(), 1.0)


@pytest.mark.parametrize(
    ("backend", "end"),
    [
        ("asyncio", cancelled_task),
        ("asyncio", wait_for),
        ("asyncio", cancelled_scope),
        ("trio", cancelled_scope),
        ("asyncio", deadline),
        ("trio", deadline),
    ],
)
def test_the_leading_task_is_cancelled(
    world: World, backend: str, end: Callable[..., Awaitable[None]]
) -> None:
    """Whoever began the renewal may leave: it goes on, its token is saved, and all others get it."""
    host = world.signed_in()
    world.gate.shut()

    async def scene() -> list[int]:
        found: list[int] = []
        async with host.async_client("main") as http:

            async def ask() -> None:
                found.append((await http.get("/api/items", params={"limit": 1})).status_code)

            await end(ask, world.gate.arrived)
            assert world.gate.arrived.is_set()
            assert found == []
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(ask)
                world.gate.open()
        return found

    assert anyio.run(scene, backend=backend) == [200] * 20
    assert world.counts().token_calls == 1
    alive(world, host)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nobody_is_left_when_the_reply_comes(world: World, backend: str) -> None:
    """Everybody was cancelled and the loop has ended, and still the rotated refresh token is not lost."""
    host = world.signed_in()
    world.gate.shut()

    async def scene() -> None:
        async with host.async_client("main") as http:
            await cancelled_scope(lambda: http.get("/api/items"), world.gate.arrived)

    anyio.run(scene, backend=backend)
    world.gate.open()
    assert host.token("main").access_token
    assert world.counts().token_calls == 1
    alive(world, host)


def test_closing_the_host_waits_for_the_reply(world: World) -> None:
    """A host that is closed in the middle of a renewal saves what comes; the next one begins from there."""
    host = world.signed_in()
    world.gate.shut()

    async def scene() -> None:
        async with host.async_client("main") as http:
            await cancelled_scope(lambda: http.get("/api/items"), world.gate.arrived)

    anyio.run(scene, backend="asyncio")
    closing = threading.Thread(target=host.close)
    closing.start()
    world.gate.open()
    closing.join(BOUND_S)
    assert not closing.is_alive()
    again = world.open({"main": world.account()})
    assert again.token("main").access_token
    assert world.counts().token_calls == 1
    alive(world, again)


def test_six_loops_in_six_threads(world: World) -> None:
    """One account, six threads with an event loop and a client each, of both kinds: one token call."""
    host = world.signed_in()
    world.gate.shut()
    crowd = Crowd(6 * 20 + 1)

    def open_the_gate() -> list[int]:
        crowd.one_more()
        assert crowd.complete.wait(BOUND_S)
        world.gate.open()
        return []

    loops = [
        lambda backend=backend: statuses_of_tasks(host, backend, 20, crowd)
        for backend in ("asyncio", "trio") * 3
    ]
    results = in_threads([*loops, open_the_gate])
    assert [r for r in results if isinstance(r, Exception)] == []
    assert [*itertools.chain.from_iterable(results)] == [200] * 120
    assert world.counts().token_calls == 1
    alive(world, host)


def test_a_loop_is_closed_while_its_task_waits(world: World) -> None:
    """A loop that is closed under a waiting task hurts nobody else: no token is lost, no waiter hangs."""
    host = world.signed_in()
    world.gate.shut()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it would complain of the task that never ended
    task = loop.create_task(host.atoken("main"))
    while not world.gate.arrived.wait(0.001):
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    crowd = Crowd(11)

    def open_the_gate() -> list[int]:
        crowd.one_more()
        assert crowd.complete.wait(BOUND_S)
        world.gate.open()
        return []

    results = in_threads([lambda: statuses_of_tasks(host, "asyncio", 10, crowd), open_the_gate])
    assert results == [[200] * 10, []]
    assert not task.done()
    del task
    assert world.counts().token_calls == 1
    alive(world, host)


@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
def test_a_renewal_that_takes_long_stops_nobody_who_has_a_token(world: World, kind: str) -> None:
    """While an early renewal stands before the gate, requests go on with the old token."""
    later = [0.0]
    host = world.open({"main": world.account()}, clock=lambda: time.time() + later[0])
    host.adopt("main", world.login(expired=False))
    old = host.token("main")
    world.gate.shut()
    later[0] = 260.0  # of 300 s: stale, not expired
    statuses = statuses_of(host, kind, 5)
    assert world.gate.arrived.wait(BOUND_S)
    assert statuses + statuses_of(host, kind, 5) == [200] * 10
    assert host.token("main").fingerprint == old.fingerprint
    world.gate.open()
    host.close()  # waits for it
    assert world.counts().token_calls == 1
    assert world.counts().unauthorized == 0
    alive(world, world.open({"main": world.account()}))


def statuses_of(host: Host, kind: str, requests: int) -> list[int]:
    """Send requests one after the other, in one of the three ways."""
    if kind == "sync":
        with host.client("main") as http:
            return [http.get("/api/items").status_code for _ in range(requests)]

    async def ask() -> list[int]:
        async with host.async_client("main") as http:
            return [(await http.get("/api/items")).status_code for _ in range(requests)]

    return anyio.run(ask, backend=kind)
