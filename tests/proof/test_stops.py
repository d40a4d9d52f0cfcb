"""The short form of the stops: a lease of three seconds, and the same that must be true."""

from __future__ import annotations

from pathlib import Path

from proof_stops import stops_everywhere


def test_stopped_past_the_lease(tmp_path: Path) -> None:
    """On each store: its save is refused and the account lives, unless a strict server had answered it unheard."""
    for one in stops_everywhere(tmp_path, lease_s=3.0):
        print(one.row())
        one.check()
