"""The three ways to send a request."""

from __future__ import annotations

import pytest
from endpoint_room import KINDS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Written once, shown in all three."""
    return str(request.param)
