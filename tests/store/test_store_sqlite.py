"""The embedded store as a file: many processes, modes and durability."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connector.errors import StoreError
from connector.store import SqliteStore, sqlite_path

posix = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- many processes -----------------------------------------------------------------------------------


def test_many_processes_may_make_the_store_at_once(tmp_path: Path, workers: Any) -> None:
    """Five times six processes begin on a file that is not there: all agree on one holder."""
    for attempt in range(5):
        path = tmp_path / str(attempt) / "tokens.db"
        workers.start(6, "lease", path)
        assert len(set(workers.results())) == 1


def test_a_store_that_is_written_to_can_be_read(tmp_path: Path) -> None:
    """While another connection is amid a write, looking does not wait and sees what was before."""
    store = SqliteStore(tmp_path / "tokens.db", busy_s=0.0)
    store.save("a", b"1", version=1)
    with store._writing() as db:
        db.execute("UPDATE record SET version = 2")
        found = store.load("a")
        assert found is not None
        assert found.version == 1
        with pytest.raises(StoreError) as caught:
            store.save("a", b"2", version=2)
    assert caught.value.code == "store_busy"
    assert "another process holds it: database is locked" in str(caught.value)
    assert "tried again by itself" in caught.value.resolution
    assert "permissions" not in str(caught.value)


# --- the file -------------------------------------------------------------------------------------------


@posix
def test_everything_belongs_to_its_owner_only(tmp_path: Path) -> None:
    """Whatever the umask: folder 0700, database and its two companions 0600."""
    path = tmp_path / "deep" / "tokens.db"
    before = os.umask(0)
    try:
        store = SqliteStore(path)
        store.save("a", b"1", version=1)
        with store._writing() as db:
            db.execute("UPDATE record SET version = 2")
            db.execute("COMMIT")
            files = sorted(file.name for file in path.parent.iterdir())
            assert files == ["tokens.db", "tokens.db-shm", "tokens.db-wal"]
            assert {mode(file) for file in path.parent.iterdir()} == {0o600}
            db.execute("BEGIN")
    finally:
        os.umask(before)
    assert mode(path.parent) == 0o700


def test_durable_in_force(tmp_path: Path) -> None:
    """Every connection that writes has write-ahead logging and synchronous FULL (2)."""
    path = tmp_path / "tokens.db"
    store = SqliteStore(path)
    for _ in range(2):
        with store._writing() as db:
            assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
    other = sqlite3.connect(path)
    assert other.execute("PRAGMA journal_mode = DELETE").fetchone()[0] == "delete"
    other.close()
    store.save("a", b"1", version=1)
    with store._reading() as db:
        assert db is not None
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize(
    "look",
    [
        lambda store: store.load("a"),
        lambda store: list(store.accounts()),
        lambda store: store.holder("a"),
        lambda store: store.delete("a"),
        lambda store: store.release("a", "me"),
        lambda store: store.close(),
    ],
)
def test_looking_creates_nothing(tmp_path: Path, look: Callable[[SqliteStore], Any]) -> None:
    """A status, or a clean-up, on a store that was never used leaves neither file nor folder."""
    path = tmp_path / "folder" / "tokens.db"
    assert not look(SqliteStore(path))
    assert list(tmp_path.iterdir()) == []


def test_a_file_being_made_is_empty_for_those_who_look(tmp_path: Path) -> None:
    """Between its creation and its first transaction the file has no tables; nobody trips over that."""
    path = tmp_path / "tokens.db"
    path.touch(0o600)
    store = SqliteStore(path)
    assert store.load("a") is None
    assert list(store.accounts()) == []
    assert path.stat().st_size == 0
    store.save("a", b"1", version=1)
    assert list(store.accounts()) == ["a"]


@pytest.mark.parametrize("name", ["with space.db", "100%.db", "what?.db", "a#b.db", "Ümlaut.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    """What means something in a URL means nothing in a path."""
    if os.name == "nt" and "?" in name:
        pytest.skip("not a file name there")
    SqliteStore(tmp_path / name).save("a", b"1", version=1)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_urls_name_files(tmp_path: Path) -> None:
    """SQLAlchemy's form: three slashes are relative to the manifest, four absolute; ``~`` is at home."""
    assert sqlite_path("sqlite:///a/b.db", tmp_path) == tmp_path / "a" / "b.db"
    assert sqlite_path("sqlite:////var/b.db", tmp_path) == Path("/var/b.db")
    assert sqlite_path("sqlite:///~/b.db", tmp_path) == Path.home() / "b.db"
    for bad in ("sqlite:", "sqlite://", "sqlite:///", "sqlite://host/x.db", "sqlite:x.db"):
        with pytest.raises(StoreError) as caught:
            sqlite_path(bad, tmp_path)
        assert caught.value.code == "bad_store_url"
