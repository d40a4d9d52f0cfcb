"""The embedded store as a file: many processes, modes, durability, and what can be wrong with it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
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
    assert caught.value.code == "store_unusable"
    assert "locked" in str(caught.value)


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


# --- what can be wrong ----------------------------------------------------------------------------------


def everything(store: SqliteStore) -> list[Callable[[], Any]]:
    return [
        lambda: store.load("a"),
        lambda: store.save("a", b"SEALED-CANARY", version=1),
        lambda: store.delete("a"),
        lambda: list(store.accounts()),
        lambda: store.acquire("a", "me", ttl_s=5),
        lambda: store.holder("a"),
        lambda: store.release("a", "me"),
    ]


def refused(store: SqliteStore, code: str, *words: str) -> None:
    """Every operation ends in a StoreError of this code that names the file and chains nothing."""
    for action in everything(store):
        with pytest.raises(StoreError) as caught:
            action()
        error = caught.value
        assert error.code == code
        assert error.resolution
        assert str(store.path) in str(error)
        assert error.__suppress_context__ or error.__context__ is None
        assert "CANARY" not in str(error) + repr(error)
        for word in words:
            assert word in str(error)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A text file named in `store:` is reported, and not changed."""
    path = tmp_path / "tokens.db"
    path.write_bytes(b"This is a letter to my aunt. " * 100)
    before = path.read_bytes()
    refused(SqliteStore(path), "store_unusable", "not a database")
    assert path.read_bytes() == before


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A folder named in `store:` is reported."""
    (tmp_path / "tokens.db").mkdir()
    refused(SqliteStore(tmp_path / "tokens.db"), "store_unusable")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    """A path that leads through a file is reported."""
    (tmp_path / "file").touch()
    refused(SqliteStore(tmp_path / "file" / "tokens.db"), "store_unusable", "Not a directory")


@pytest.mark.parametrize("version", [0, 1, 7])
def test_somebody_elses_database_is_left_alone(tmp_path: Path, version: int) -> None:
    """A database of another program is refused before anything, its journal mode included, is changed."""
    path = tmp_path / "app.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE customers (name)")
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    before = path.read_bytes()
    refused(SqliteStore(path), "not_a_store", "no token store")
    assert path.read_bytes() == before


def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    """A store that a newer connector has migrated is refused with advice, not downgraded."""
    path = tmp_path / "tokens.db"
    store = SqliteStore(path)
    store.save("a", b"1", version=1)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 2")
    db.close()
    refused(store, "newer_store", "upgrade connector", "schema version 2")
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == 2
    db.close()


def test_a_damaged_database(tmp_path: Path) -> None:
    """Pages overwritten by something else are an error for the operator, in words."""
    path = tmp_path / "tokens.db"
    store = SqliteStore(path)
    store.save("a", b"1", version=1)
    raw = bytearray(path.read_bytes())
    raw[100:4096] = b"\xff" * 3996
    path.write_bytes(bytes(raw))
    refused(store, "store_unusable")


@pytest.mark.parametrize("sealed", ["text", 7, 1.5])
def test_a_row_that_we_did_not_write(tmp_path: Path, sealed: object) -> None:
    """SQLite stores any type in any column; what is no record is said to be none."""
    path = tmp_path / "tokens.db"
    store = SqliteStore(path)
    store.save("a", b"1", version=1)
    db = sqlite3.connect(path)
    db.execute("UPDATE record SET sealed = ?", (sealed,))
    db.commit()
    db.close()
    with pytest.raises(StoreError) as caught:
        store.load("a")
    assert caught.value.code == "corrupt_record"


def test_a_full_disk(tmp_path: Path, workers: Any) -> None:
    """A write that the system cuts short is an error, and what was saved before is still there."""
    pytest.importorskip("resource")
    store = SqliteStore(tmp_path / "tokens.db")
    store.save("a", b"precious", version=1)
    workers.start(1, "save_until_full", store.path, 65536)
    [said] = workers.results()
    assert said.startswith("store_unusable: the token store ")
    assert list(store.accounts()) == ["a"]
    found = store.load("a")
    assert found is not None
    assert found.sealed == b"precious"
    store.save("a", b"goes on", version=2)


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder that a process without privileges can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@posix
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_only_be_read(foreign: Path, workers: Any, what: str) -> None:
    """On a read-only file or folder a save is an error that says so at once, without seconds of retries."""
    store = SqliteStore(foreign / "tokens.db")
    store.save("a", b"1", version=1)
    store.path.chmod(0o444 if what == "file" else 0o666)
    foreign.chmod(0o555)
    workers.start(1, "look_and_save", store.path, 65534)
    [seen] = workers.results()
    assert len(seen) == 3
    for said in seen[1:]:
        assert said.startswith("store_unusable: the token store ")
        assert "readonly" in said or "unable to open" in said
        assert "permissions" in said
