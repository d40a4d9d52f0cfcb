"""A room for each test of pipelines and snaps."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline_room import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A folder, the built-in snaps, an API in memory, and a clock."""
    return Room(tmp_path)
