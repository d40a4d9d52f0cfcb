"""Async snaps among sync ones: order, errors, interrupts, closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pipeline_room import OddFails, Room, numbers, ten

from connector.errors import SnapError
from connector.result import StepError


async def doubled(documents: AsyncIterator[dict[str, Any]], context: Any) -> AsyncIterator[dict[str, Any]]:
    """An async snap in the middle of a pipeline."""
    async for document in documents:
        await asyncio.sleep(0)
        yield {"n": document["n"] * 2}


def test_async_between_sync(room: Room) -> None:
    """Async and sync snaps mix in any order, also one async after another; the stream stays lazy."""
    pulled: list[int] = []

    def counted(documents: Any, context: Any) -> Any:
        for document in documents:
            pulled.append(document["n"])
            yield document

    doubled2 = {"snap": "doubled", "id": "again"}
    result = room.run(numbers, counted, doubled, OddFails, doubled2, run={"preview": 3})
    assert [document["n"] for document in result.preview] == [0, 4, 8]
    assert pulled == [0, 1, 2]


def test_async_client_and_one_task(room: Room) -> None:
    """The async client lives in the snap's loop, a task group may span a yield, and all is closed."""
    room.answer = lambda request: httpx.Response(200, json={"path": request.url.path})

    async def gets(documents: Any, context: Any) -> Any:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            async for document in documents:
                task = group.create_task(context.async_client.get(f"/{document['n']}"))
                yield (await task).json()

    room.spec(gets)
    got = room.documents(ten, {"snap": "gets", "account": "a"})
    assert [document["path"] for document in got] == [f"/{n}" for n in range(10)]
    assert room.events == ["close async client a"]


def test_async_sees_errors_from_above(room: Room) -> None:
    """A failure of an earlier step comes out as that step's, through an async one."""
    with pytest.raises(StepError) as caught:
        room.run(ten, OddFails, doubled)
    assert caught.value.step == "OddFails"


def test_async_failure_and_close(room: Room) -> None:
    """An async snap's exception ends the run; closing early runs its finally, awaits included."""

    async def fails(documents: Any, context: Any) -> Any:
        async for document in documents:
            if document["n"] == 4:
                raise ValueError("four")
            yield document

    async def tidy(documents: Any, context: Any) -> Any:
        try:
            async for document in documents:
                yield document
        finally:
            await asyncio.sleep(0)
            room.events.append("tidy")

    with pytest.raises(StepError, match="four"):
        room.run(ten, tidy, fails)
    assert room.run(numbers, tidy, run={"preview": 2}).documents == 2
    assert room.events == ["tidy", "tidy"]


def test_interrupt_while_an_async_snap_waits(room: Room) -> None:
    """Ctrl-C in a step above cancels the waiting async snap, and its finally may still await."""

    def interrupted(documents: Any, context: Any) -> Any:
        yield {"n": 1}
        raise KeyboardInterrupt

    async def waits(documents: Any, context: Any) -> Any:
        try:
            async for document in documents:
                yield document
        finally:
            await asyncio.sleep(0)
            room.events.append("tidy")

    with pytest.raises(KeyboardInterrupt):
        room.run(interrupted, waits)
    assert room.events == ["tidy"]


def test_cancelled_wait_loses_no_document(room: Room) -> None:
    """An async snap that gives up waiting for a document gets it the next time it asks."""

    async def impatient(documents: Any, context: Any) -> Any:
        task = asyncio.ensure_future(anext(documents))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async for document in documents:
            yield document

    assert [d["n"] for d in room.documents(ten, impatient)] == list(range(10))


def test_async_fail_collects(room: Room) -> None:
    """context.fail works from an async snap too."""

    async def picky(documents: Any, context: Any) -> Any:
        async for document in documents:
            if document["n"] % 2:
                context.fail(document, SnapError("odd", reason="it is", resolution="drop it"))
            else:
                yield document

    result = room.run(ten, picky, on_error="collect")
    assert (result.documents, result.error_count) == (5, 5)
    assert result.errors[0].resolution == "drop it"
