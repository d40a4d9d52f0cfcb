"""The short form of the outages: one accident, and the same that must be true."""

from __future__ import annotations

from pathlib import Path

from proof_outage import outages


def test_the_store_is_killed_when_the_token_falls_due(tmp_path: Path) -> None:
    """No request fails while the token is valid, and once the server is back it is renewed by itself."""
    for one in outages(tmp_path, ("killed",), lifetime_s=14, processes=2, threads=2, loops=2):
        print(one.row())
        one.check()
