"""Rooms around an account, an ear for the log, and OpenTelemetry's own exporters in memory."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator

import pytest
from observe_room import KINDS, Ear, Room, make_room
from otel_room import Seen, setup

from connector.observe import unwatch


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Written once, shown in all three."""
    return str(request.param)


@pytest.fixture
def ear() -> Iterator[Ear]:
    """Hears the logger ``connector`` at DEBUG."""
    heard, logger = Ear(), logging.getLogger("connector")
    before = logger.level
    logger.addHandler(heard)
    logger.setLevel(logging.DEBUG)
    yield heard
    logger.removeHandler(heard)
    logger.setLevel(before)


@pytest.fixture
def make() -> Iterator[Callable[..., Room]]:
    """Make rooms; see `make_room`."""
    rooms: list[Room] = []

    def build(**options: object) -> Room:
        rooms.append(make_room(**options))  # type: ignore[arg-type]
        return rooms[-1]

    yield build
    for room in rooms:
        room.store.broken.clear()
        room.source.settle()
        unwatch(room.source)


@pytest.fixture(scope="session")
def _providers() -> Seen:
    return setup()


@pytest.fixture
def seen(_providers: Seen) -> Seen:
    """What the SDK exported since the test began."""
    gc.collect()  # the accounts of other tests are measured until they are
    _providers.clear()
    return _providers
