"""Rings 0 and 1: who gets a token at once, who waits, and for what."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from source_room import BOUND_S, Room, shown

from connector.errors import RenewalError
from connector.token import Token

Make = Callable[..., Room]


def test_a_fresh_token_costs_no_io(room: Room, kind: str) -> None:
    """Once it is in memory a token is handed out without a look at the store and without a call."""
    first = room.ask(kind)
    assert shown(first) == "token-0"
    assert room.store.asked != []
    room.store.asked.clear()
    assert room.ask(kind) is first
    assert room.store.asked == []
    assert room.endpoint.calls == []


def test_a_fresh_token_needs_no_event_loop(room: Room) -> None:
    """`atoken` awaits nothing while the token is fresh: the coroutine ends at its first step."""
    room.source.token()
    with pytest.raises(StopIteration) as ended:
        room.source.atoken().send(None)
    assert shown(ended.value.value) == "token-0"


def test_a_fresh_token_takes_no_lock(room: Room, kind: str) -> None:
    """Whoever holds the locks of the source holds up nobody who asks for a fresh token."""
    room.source.token()
    with room.source._lock, room.source.counts.lock:
        found = room.asking(kind)
        room.join()
    assert [shown(token) for token in found] == ["token-0"]


def test_a_stale_token_goes_on_while_it_is_renewed_behind(room: Room, kind: str) -> None:
    """However many ask meanwhile, they get the old token at once, one renewal runs, and its token follows."""
    room.source.token()
    room.endpoint.shut()
    room.clock.now += 3000
    assert [shown(room.ask(kind)) for _ in range(5)] == ["token-0"] * 5
    assert room.endpoint.arrived.wait(BOUND_S)
    assert shown(room.ask(kind)) == "token-0"
    room.endpoint.gate.set()
    room.source.settle()
    assert shown(room.ask(kind)) == "token-1"
    assert [call["refresh_token"] for call in room.endpoint.calls] == ["refresh-token-0"]


def test_whoever_wants_a_fresh_one_waits_while_it_is_stale(room: Room, kind: str) -> None:
    """`fresh` is for a body that can be sent once: it waits for the early renewal."""
    room.source.token()
    room.clock.now += 3000
    assert shown(room.ask(kind, fresh=True)) == "token-1"


def test_a_fresh_one_is_renewed_also_from_the_store(make: Make, kind: str) -> None:
    """A token that comes out of the store stale already costs `fresh` a second look, no more."""
    room = make()
    room.clock.now += 3000
    assert shown(room.ask(kind, fresh=True)) == "token-1"
    assert len(room.endpoint.calls) == 1


def test_an_expired_token_makes_everybody_wait(room: Room) -> None:
    """Nobody gets an expired token: all three kinds of callers wait for one and the same call."""
    room.source.token()
    room.clock.now += 3600
    room.endpoint.shut()
    found = [room.asking(kind) for kind in ("sync", "asyncio", "trio") * 3]
    assert room.endpoint.arrived.wait(BOUND_S)
    assert found == [[]] * 9
    room.endpoint.gate.set()
    room.join()
    assert [shown(token) for [token] in found] == ["token-1"] * 9
    assert len(room.endpoint.calls) == 1


def test_a_token_of_another_process_is_taken_from_the_store(room: Room, kind: str) -> None:
    """Whoever finds the token expired looks into the store first, and calls nobody if a newer one is there."""
    room.source.token()
    room.clock.now += 3600
    room.login("theirs")
    assert shown(room.ask(kind)) == "theirs"
    assert room.endpoint.calls == []


def test_patience_ends_the_waiting_not_the_renewal(make: Make) -> None:
    """A caller whose patience ends is told to come back; the renewal goes on and its token is kept."""
    room = make(expires_in=5, patience_s=0.02)
    room.clock.now += 10
    room.endpoint.shut()
    with pytest.raises(RenewalError, match=r"longer than 0\.02 s") as caught:
        room.source.token()
    assert caught.value.code == "renewal_slow"
    assert caught.value.retry_after == 1.0
    room.endpoint.gate.set()
    room.source.settle()
    assert shown(room.source.token()) == "token-1"
    assert len(room.endpoint.calls) == 1


async def cancelled_task(ask: Callable[[], Any], arrived: threading.Event) -> None:
    task = asyncio.ensure_future(ask())
    await anyio.to_thread.run_sync(arrived.wait, BOUND_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_scope(ask: Callable[[], Any], arrived: threading.Event) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await anyio.to_thread.run_sync(arrived.wait, BOUND_S)
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("backend", "cancel"),
    [("asyncio", cancelled_task), ("asyncio", cancelled_scope), ("trio", cancelled_scope)],
)
def test_cancelling_a_waiter_loses_nothing(make: Make, backend: str, cancel: Callable[..., Any]) -> None:
    """The task that began a renewal is cancelled: another in the same loop gets its token, from one call."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.shut()

    async def scene() -> Token:
        await cancel(room.source.atoken, room.endpoint.arrived)
        room.endpoint.gate.set()
        return await room.source.atoken()

    assert shown(anyio.run(scene, backend=backend)) == "token-1"
    assert len(room.endpoint.calls) == 1
    record = room.world.load()
    assert record.token is not None
    assert record.token.refresh_token is not None
    assert record.token.refresh_token.reveal() == "refresh-token-1"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_has_ended_is_told_nothing(
    make: Make, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop of the only waiter is gone when the token comes: it is saved, and nothing complains."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.shut()

    async def scene() -> None:
        await cancelled_scope(room.source.atoken, room.endpoint.arrived)

    anyio.run(scene, backend=backend)
    with caplog.at_level(logging.WARNING):
        room.endpoint.gate.set()
        room.source.settle()
    assert caplog.records == []
    assert shown(room.source.token()) == "token-1"
    assert len(room.endpoint.calls) == 1


def test_six_loops_share_one_renewal(make: Make) -> None:
    """Three loops of asyncio and three of trio, ten tasks each: one token call, one token for all."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.shut()
    found: list[str] = []
    asked = threading.Semaphore(0)

    async def task() -> None:
        asked.release()
        found.append(shown(await room.source.atoken()))

    async def scene() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(task)

    threads = [
        threading.Thread(target=anyio.run, args=(scene,), kwargs={"backend": backend})
        for backend in ("asyncio", "trio") * 3
    ]
    for thread in threads:
        thread.start()
    for _ in range(60):
        assert asked.acquire(timeout=BOUND_S)
    assert found == []
    room.endpoint.gate.set()
    for thread in threads:
        thread.join(BOUND_S)
    assert found == ["token-1"] * 60
    assert len(room.endpoint.calls) == 1


def test_a_first_token_is_obtained_and_is_no_renewal(make: Make, kind: str) -> None:
    """Client credentials begin from nothing; only what replaces a token counts as a renewal."""
    room = make(expires_in=None, grant="client_credentials")
    assert shown(room.ask(kind)) == "token-1"
    assert (room.source.counts.token_calls, room.source.counts.renewals) == (1, 0)
    room.clock.now += 3600
    assert shown(room.ask(kind)) == "token-2"
    assert (room.source.counts.token_calls, room.source.counts.renewals) == (2, 1)


def test_the_log_tells_tokens_apart_and_shows_none(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """A renewal is told with account, fingerprint and lifetime; no token, refresh token or secret."""
    room.source.token()
    room.clock.now += 3600
    with caplog.at_level(logging.DEBUG):
        token = room.source.token()
        room.source.settle()
    lines = [record.getMessage() for record in caplog.records if record.name == "connector"]
    called, renewed = (
        next(line for line in lines if line.startswith(e)) for e in ("token.call", "renewal.done")
    )
    assert "account=example endpoint=example host=login.example.com method=POST status=200" in called
    assert f"account=example endpoint=example token={token.fingerprint} expires_in_s=3600 " in renewed
    for secret in ("token-0", "token-1", "refresh-token", "very-secret"):
        assert secret not in caplog.text
