"""Rooms around a token source, and the three ways to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from source_room import KINDS, Room, make_room


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Written once, shown in all three."""
    return str(request.param)


@pytest.fixture
def make() -> Iterator[Callable[..., Room]]:
    """Make rooms; see `make_room`."""
    rooms: list[Room] = []

    def build(**options: Any) -> Room:
        rooms.append(make_room(**options))
        return rooms[-1]

    yield build
    for room in rooms:
        room.close()


@pytest.fixture
def room(make: Callable[..., Room]) -> Room:
    """A room with a login that is good for an hour."""
    return make()
