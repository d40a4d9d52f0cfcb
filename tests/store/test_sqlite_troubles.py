"""What can be wrong with the embedded store's file and disk, and what it is called then."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.errors import StoreError
from connector.store import SqliteStore

posix = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")


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


@pytest.mark.parametrize("free", [0, 1 << 30])
def test_a_write_that_fails_is_told_by_the_room_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    """SQLite says `disk I/O error` of a full disk too; with room on it, it is something else."""
    store = SqliteStore(tmp_path / "tokens.db")
    store.save("a", b"1", version=1)
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    def failing() -> sqlite3.Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    monkeypatch.setattr(store, "_connect", failing)
    refused(store, *(("store_full", "no space is left", "the disk") if not free else ("store_unusable",)))


def test_a_database_that_may_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite itself calls full; what was saved before is still there."""
    store = SqliteStore(tmp_path / "tokens.db")
    store.save("a", b"precious", version=1)
    connect = store._connect

    def bounded() -> sqlite3.Connection:
        db = connect()
        db.execute("PRAGMA max_page_count = 1")
        return db

    monkeypatch.setattr(store, "_connect", bounded)
    with pytest.raises(StoreError) as caught:
        store.save("b", b"x" * 100_000, version=1)
    assert caught.value.code == "store_full"
    assert "disk" in caught.value.resolution
    assert "server" not in str(caught.value)
    found = store.load("a")
    assert found is not None
    assert found.sealed == b"precious"


def test_no_room_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says of a full disk, or of a quota, where the file is made."""
    for number in (errno.ENOSPC, errno.EDQUOT):

        def none(*args: object, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        store = SqliteStore(tmp_path / "tokens.db")
        monkeypatch.setattr(os, "open", none)
        with pytest.raises(StoreError) as caught:
            store.save("a", b"1", version=1)
        monkeypatch.undo()
        assert caught.value.code == "store_full"
        assert os.strerror(number) in str(caught.value)


@pytest.mark.skipif(
    not shutil.which("mount") or os.name != "posix" or os.geteuid() != 0, reason="root mounts"
)
@pytest.mark.parametrize("size_k", [256, 1024])
def test_a_disk_that_is_full_indeed(tmp_path: Path, size_k: int) -> None:
    """A small one, filled by others: that is said of every call, and all goes on once there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_k}k", "tmpfs", disk], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"root may not mount here: {done.stderr}")
    try:
        store = SqliteStore(disk / "tokens.db")
        store.save("a", b"precious", version=1)
        with contextlib.suppress(OSError), (disk / "others").open("wb", buffering=0) as others:
            while True:
                others.write(b"x" * 512)
        for action in (
            lambda: store.load("a"),
            lambda: store.save("b", b"x" * 1000, version=1),
            lambda: store.acquire("a", "me", ttl_s=5),
            lambda: store.delete("a"),
        ):
            with pytest.raises(StoreError) as caught:
                action()
            assert caught.value.code == "store_full"
            assert "give the disk more room" in str(caught.value)
        (disk / "others").unlink()
        assert list(store.accounts()) == ["a"]
        store.save("a", b"goes on", version=2)
    finally:
        subprocess.run(["umount", disk], check=True)


@posix
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_leads_nowhere(tmp_path: Path, what: str) -> None:
    """A disk that is not mounted is no empty store: nothing is made where the link points, and all of it says so."""
    away = tmp_path / "away"
    away.mkdir()
    link = tmp_path / "link"
    link.symlink_to(away / "there")
    store = SqliteStore(link if what == "file" else link / "tokens.db")
    refused(store, "store_unusable", f"{link} is a link that leads nowhere", "nothing was made")
    assert list(away.iterdir()) == []
    if what == "folder":
        (away / "there").mkdir()
    else:
        (away / "there").touch(0o600)
    store.save("a", b"1", version=1)
    assert list(SqliteStore(store.path).accounts()) == ["a"]


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


def test_a_turn_is_waited_for_as_long_as_the_file(tmp_path: Path) -> None:
    """Operations of one process take turns; while another process holds the file, those behind do not add up."""
    store, other = (SqliteStore(tmp_path / "tokens.db", busy_s=0.3) for _ in range(2))
    store.save("a", b"1", version=1)
    held = sqlite3.connect(store.path, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    codes: list[str] = []

    def save(each: SqliteStore) -> None:
        try:
            each.save("a", b"2", version=2)
        except StoreError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=save, args=(each,)) for each in (store, other) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert time.monotonic() - began < 16 * 0.3, "each waited for all before it"
    held.close()
    assert codes == ["store_busy"] * 16
    store.save("a", b"2", version=2)
