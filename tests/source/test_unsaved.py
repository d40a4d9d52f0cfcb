"""What a store did not take is brought to it until it takes it, whatever becomes of the source."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable

import httpx
import pytest
from source_room import BOUND_S, Room, shown

from connector.errors import NotAuthorizedError
from connector.secret import Secret

Make = Callable[..., Room]


def unsaved(make: Make) -> Room:
    """A room whose store is full from the moment the server has answered."""
    room = make(expires_in=5)
    room.clock.now += 10

    def answer() -> httpx.Response:
        room.store.full = True
        return room.endpoint.issue()

    room.endpoint.answer = answer
    assert shown(room.source.token()) == "token-1"
    assert stored(room) == "refresh-token-0"
    return room


def stored(room: Room) -> str:
    """The refresh token in the store."""
    token = room.world.load().token
    assert token is not None
    assert token.refresh_token is not None
    return token.refresh_token.reveal()


def until(true: Callable[[], bool]) -> bool:
    """Whether something becomes true while nobody asks for anything."""
    ends = time.monotonic() + BOUND_S
    while not true() and time.monotonic() < ends:
        time.sleep(0.01)
    return true()


def savers() -> list[threading.Thread]:
    """The threads that bring something to a store."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("connector-save-")]


def test_the_log_is_not_filled_with_it(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Each try would be a line: a minute's is one, whatever number they are."""
    room = unsaved(make)
    tried = room.store.asked.count("save")
    caplog.clear()
    assert until(lambda: room.store.asked.count("save") > tried + 2)
    assert sum(record.message.startswith("store.failed") for record in caplog.records) <= 1
    room.store.full = False
    assert until(lambda: savers() == [])


def test_it_is_saved_though_nobody_asks_for_anything(make: Make) -> None:
    """As soon as the store takes it: another process that finds the doubt waits for three seconds only."""
    room = unsaved(make)
    assert len(savers()) == 1
    room.store.full = False
    assert until(lambda: stored(room) == "refresh-token-1")
    assert until(lambda: savers() == []), "it goes on, and there is nothing to bring any more"
    assert len(room.endpoint.calls) == 1


def test_it_outlives_its_source(make: Make) -> None:
    """A host that was closed while the store was away, or forgotten, is no reason to lose a login."""
    room = unsaved(make)
    room.source.settle(closing=True)
    world, store = room.world, room.store
    forgotten = weakref.ref(room.source)
    room.source = make().source
    gc.collect()
    assert forgotten() is not None
    assert len(savers()) == 1
    store.full = False

    def saved() -> bool:
        token = world.load().token
        return token is not None and token.refresh_token == Secret("refresh-token-1")

    assert until(saved)
    assert until(lambda: savers() == [])


def test_a_newer_login_ends_it(make: Make) -> None:
    """What a person brought in between stays, and the thread is not needed any more."""
    room = unsaved(make)
    room.store.full = False
    room.login("by-hand")
    assert until(lambda: savers() == [])
    assert stored(room) == "refresh-by-hand"


def test_a_login_that_has_vanished_from_the_store(make: Make) -> None:
    """Somebody has logged out, or the store was emptied: told apart from an account that nobody ever authorized."""
    room = make(expires_in=5)
    room.source.token()
    room.clock.now += 10
    room.store.delete(room.world.key)
    with pytest.raises(NotAuthorizedError) as caught:
        room.source.token()
    assert "is not in the store any more" in caught.value.reason
    assert "emptied" in caught.value.resolution
    with pytest.raises(NotAuthorizedError, match="nobody has authorized it yet"):
        make(expires_in=None).source.token()
