"""The short form of the stops: a lease of a second, and the same that must be true."""

from __future__ import annotations

from pathlib import Path

import pytest
from proof_stops import STOPS, Stop, stop


@pytest.mark.parametrize(("where", "server"), STOPS)
def test_stopped_past_the_lease(tmp_path: Path, where: str, server: str) -> None:
    """Its save is refused and the account lives, unless a strict server had answered it unheard."""
    done = stop(Stop(where=where, server=server), tmp_path)
    print(done.row())
    done.check()
