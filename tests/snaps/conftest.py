"""The room that every test of the engine and the built-in snaps runs in."""

from __future__ import annotations

from pathlib import Path

import pytest
from snap_room import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A fresh room."""
    return Room(tmp_path)
