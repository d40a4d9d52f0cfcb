"""The short form of the soak: fewer of everything, and the same that must be true."""

from __future__ import annotations

from pathlib import Path

import pytest
from proof_soak import Soak, lifetimes, soak
from proof_stores import STORES

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("store", STORES)
def test_many_share_one_account(tmp_path: Path, store: str) -> None:
    """Processes, threads and loops: each refresh token shown once, nothing fails, no call too many."""
    with STORES[store](tmp_path) as url:
        done = soak(
            Soak(store=store, processes=3, threads=4, loop_processes=1, loops=2, tasks=2, seconds=4),
            tmp_path,
            url,
        )
    print(done.row())
    done.check()


def test_a_call_too_many_would_be_seen() -> None:
    """The count of lifetimes counts no call that came while the token before it was good."""
    assert lifetimes([100.0, 102.4, 104.9, 106.9]) == 2
    assert lifetimes([100.9, 103.0, 103.1, 105.5]) == 2
