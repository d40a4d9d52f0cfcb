"""The stores that compare leases by a clock of this machine, to the moment."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector.store import MemoryStore, SqliteStore
from connector.tokenstore import TokenStore


def test_a_lease_has_one_holder(store: TokenStore, clock: Any) -> None:
    """The second to ask learns who has it and until when."""
    mine = store.acquire("a", "me", ttl_s=10)
    assert (mine.holder, mine.expires_at) == ("me", clock.now + 10)
    clock.now += 3
    theirs = store.acquire("a", "you", ttl_s=99)
    assert theirs == mine
    assert store.holder("a") == mine
    assert store.acquire("b", "you", ttl_s=10).holder == "you"


def test_a_lease_is_extended_by_its_holder(store: TokenStore, clock: Any) -> None:
    """Asking again moves the end, so that a slow token call keeps its lease."""
    store.acquire("a", "me", ttl_s=10)
    clock.now += 8
    assert store.acquire("a", "me", ttl_s=10).expires_at == clock.now + 10
    clock.now += 8
    assert store.acquire("a", "you", ttl_s=10).holder == "me"


def test_a_lease_ends_by_itself(store: TokenStore, clock: Any) -> None:
    """A holder that died keeps nobody waiting for longer than its lease."""
    store.acquire("a", "dead", ttl_s=10)
    clock.now += 9.999
    assert store.acquire("a", "me", ttl_s=10).holder == "dead"
    clock.now += 0.001
    assert store.holder("a") is None
    assert store.acquire("a", "me", ttl_s=10).holder == "me"


@dataclass
class TwoClocks:
    """A wall clock that is set, beside one that only goes forward."""

    wall: float = 1_000_000.0
    steady: float = 500.0

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def jumping(kind: str, folder: Path, clocks: TwoClocks, boot_id: str = "this") -> TokenStore:
    """A store on two clocks."""
    if kind == "memory":
        return MemoryStore(clock=lambda: clocks.wall, steady=lambda: clocks.steady)
    return SqliteStore(
        folder / "tokens.db", clock=lambda: clocks.wall, steady=lambda: clocks.steady, boot_id=boot_id
    )


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_ends_no_lease_and_lengthens_none(
    kind: str, jump_s: float, tmp_path: Path
) -> None:
    """A lease lasts as long as it was given for; only the name of its end moves with the clock."""
    clocks = TwoClocks()
    store = jumping(kind, tmp_path, clocks)
    store.acquire("a", "me", ttl_s=45)
    clocks.wall += jump_s
    clocks.pass_time(44)
    for lease in (store.acquire("a", "you", ttl_s=45), store.holder("a")):
        assert lease is not None
        assert (lease.holder, lease.expires_at) == ("me", clocks.wall + 1)
    clocks.pass_time(1)
    assert store.holder("a") is None
    assert store.acquire("a", "you", ttl_s=45).holder == "you"


def test_after_a_restart_of_the_machine_the_wall_clock_counts(tmp_path: Path) -> None:
    """The steady clock began anew then, and says nothing of a lease of before."""
    clocks = TwoClocks(steady=9_000_000.0)
    jumping("sqlite", tmp_path, clocks).acquire("a", "me", ttl_s=45)
    clocks.steady = 3.0
    store = jumping("sqlite", tmp_path, clocks, boot_id="the next")
    clocks.pass_time(44)
    assert store.acquire("a", "you", ttl_s=45).holder == "me"
    clocks.pass_time(1)
    assert store.acquire("a", "you", ttl_s=45).holder == "you"


def test_leases_of_an_older_connector_on_the_same_file_count(tmp_path: Path) -> None:
    """It writes and reads the wall clock only: neither takes a lease from the other."""
    clocks = TwoClocks()
    store = jumping("sqlite", tmp_path, clocks)
    store.acquire("a", "me", ttl_s=45)
    with contextlib.closing(sqlite3.connect(tmp_path / "tokens.db")) as old:
        assert old.execute("SELECT holder, expires_at FROM lease").fetchall() == [("me", 1_000_045.0)]
        clocks.pass_time(50)
        old.execute("UPDATE lease SET holder = 'old', expires_at = ?", (clocks.wall + 45,))
        old.commit()
    assert store.acquire("a", "you", ttl_s=45).holder == "old"
    clocks.pass_time(45)
    assert store.acquire("a", "you", ttl_s=45).holder == "you"
