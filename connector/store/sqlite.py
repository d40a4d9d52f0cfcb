"""The embedded store: one SQLite file, readable by its owner only, safe between processes of one machine.

WAL with synchronous FULL: a save that has returned survives a power cut. Each operation opens its own
connection, one after the other, so that no handle ever crosses a thread or a fork; renewals are rare enough.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connector.errors import StoreError
from connector.lives import is_crossed
from connector.moment import boot, steady_beside
from connector.store import trouble
from connector.tokenstore import Lease, Stored, VersionConflict

_SCHEMA_VERSION = 1
_SCHEMA = (
    "CREATE TABLE record (account TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL)",
    "CREATE TABLE lease (account TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at REAL NOT NULL)",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
# When a lease ends by the steady clock, which nobody sets. A table of its own and no new schema version, so
# that an older connector on the same file goes on; its leases end by the wall clock.
_LEASE_END = (
    "CREATE TABLE IF NOT EXISTS lease_end (account TEXT PRIMARY KEY, holder TEXT NOT NULL,"
    " expires_at REAL NOT NULL, boot TEXT NOT NULL, steady_until REAL NOT NULL)"
)
# How long a fork waits for an operation under way; longer than one may wait for other processes.
_FORK_S = 10.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What one write may need beside the file: the index of the log grows by 32 KiB.
_ROOM = 65_536


class _Turn:
    """One operation at a time in this process, and none while it forks.

    SQLite keeps for the whole process what it knows of locks on files. A child that is forked while another
    thread is in an operation inherits locks that nobody will ever let go.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held = False

    def before_fork(self) -> None:
        self._held = self.lock.acquire(timeout=_FORK_S)

    def after_fork_in_parent(self) -> None:
        if self._held:
            self.lock.release()

    def after_fork(self) -> None:
        self.lock = threading.RLock()


_turn = is_crossed(_Turn())


class SqliteStore:
    """`TokenStore` in a file.

    Args:
        path: the file; made with its folder (0700) and mode 0600 when something is first written.
        clock: seconds since the epoch, which ends of leases are told by.
        steady: the clock by which they end; None: the one that belongs to `clock`. All processes of a machine
            share it, until it is started anew.
        boot_id: tells since when `steady` counts; None: asked of the system. A lease of another, and every
            lease where the system does not say (elsewhere than on Linux), ends by `clock`.
        busy_s: how long one operation may wait for other processes.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
        boot_id: str | None = None,
        busy_s: float = 5.0,
    ) -> None:
        self.path = Path(path)
        self._clock = clock
        self._steady = steady or steady_beside(clock)
        self._boot = boot() if boot_id is None else boot_id
        self._busy_s = busy_s

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}>"

    def load(self, account: str) -> Stored | None:
        """See `TokenStore.load`."""
        row = self._row("SELECT version, sealed FROM record WHERE account = ?", account)
        if row is None:
            return None
        version, sealed = row
        if not isinstance(version, int) or not isinstance(sealed, bytes):
            raise StoreError(
                f"the stored token of account {account!r} is damaged",
                code="corrupt_record",
                reason="its row was not written by connector",
                resolution=f"look who else writes to {self.path}, then authorize the account again",
            )
        return Stored(version=version, sealed=sealed)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        """See `TokenStore.save`."""
        with self._writing() as db:
            if version == 1:
                done = db.execute(
                    "INSERT INTO record VALUES (?, 1, ?) ON CONFLICT DO NOTHING", (account, sealed)
                )
            else:
                done = db.execute(
                    "UPDATE record SET version = ?, sealed = ? WHERE account = ? AND version = ?",
                    (version, sealed, account, version - 1),
                )
            if done.rowcount != 1:
                raise VersionConflict(f"the record of account {account!r} was saved by another holder")

    def delete(self, account: str) -> None:
        """See `TokenStore.delete`."""
        if self._there():
            with self._writing() as db:
                db.execute("DELETE FROM record WHERE account = ?", (account,))

    def accounts(self) -> Iterable[str]:
        """See `TokenStore.accounts`."""
        with self._reading() as db:
            rows = db.execute("SELECT account FROM record ORDER BY account").fetchall() if db else []
            return [str(row[0]) for row in rows]

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        """See `TokenStore.acquire`."""
        with self._writing() as db:
            db.execute(_LEASE_END)
            found = self._lease(db, account)
            if found is None or found.holder == holder:
                # The time is read inside the transaction: waiting for it must not eat the lease.
                until, steady_until = self._clock() + ttl_s, self._steady() + ttl_s
                db.execute("INSERT OR REPLACE INTO lease VALUES (?, ?, ?)", (account, holder, until))
                end = (account, holder, until, self._boot, steady_until)
                db.execute("INSERT OR REPLACE INTO lease_end VALUES (?, ?, ?, ?, ?)", end)
                found = Lease(account=account, holder=holder, expires_at=until)
            return found

    def holder(self, account: str) -> Lease | None:
        """See `TokenStore.holder`."""
        with self._reading() as db:
            return self._lease(db, account) if db else None

    def _lease(self, db: sqlite3.Connection, account: str) -> Lease | None:
        """The lease in force."""
        row = db.execute("SELECT holder, expires_at FROM lease WHERE account = ?", (account,)).fetchone()
        if row is None:
            return None
        holder, until = row
        left_s = until - self._clock()
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'lease_end'").fetchone():
            # One of an older connector has no such row, or one that is not about it.
            query = (
                "SELECT steady_until FROM lease_end WHERE (account, holder, expires_at, boot) = (?, ?, ?, ?)"
            )
            steady = db.execute(query, (account, holder, until, self._boot)).fetchone()
            if steady is not None and self._boot:
                left_s = steady[0] - self._steady()
        return (
            Lease(account=account, holder=holder, expires_at=self._clock() + left_s) if left_s > 0 else None
        )

    def release(self, account: str, holder: str) -> None:
        """See `TokenStore.release`."""
        if self._there():
            with self._writing() as db:
                db.execute("DELETE FROM lease WHERE account = ? AND holder = ?", (account, holder))

    def close(self) -> None:
        """Nothing stays open between operations."""

    def _row(self, query: str, account: str) -> tuple[Any, ...] | None:
        with self._reading() as db:
            row: tuple[Any, ...] | None = db.execute(query, (account,)).fetchone() if db else None
            return row

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A transaction that only looks; None where there is no store, or one that is just being made."""
        with self._its_turn(), self._said():
            if not self._there():
                yield None
                return
            db = self._connect()
            try:
                db.execute("BEGIN")
                yield db if self._made(db) else None
            finally:
                db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes; makes the store where there is none."""
        with self._its_turn(), self._said():
            self._make_file()
            db = self._connect()
            try:
                self._made(db)  # somebody else's database is not even switched to WAL
                self._write_ahead(db)
                db.execute("BEGIN IMMEDIATE")
                if not self._made(db):
                    for statement in _SCHEMA:
                        db.execute(statement)
                yield db
                db.execute("COMMIT")
            finally:
                db.close()  # rolls back what was not committed

    @contextmanager
    def _its_turn(self) -> Iterator[None]:
        lock = _turn.lock
        if not lock.acquire(timeout=self._busy_s):
            raise trouble.busy(str(self.path), "other operations of this process wait for the file")
        try:
            yield
        finally:
            lock.release()

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: never makes the file, which would get the mode that the umask allows.
        url = f"{self.path.absolute().as_uri()}?mode=rw"
        db = sqlite3.connect(url, uri=True, timeout=self._busy_s, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone leaves data in the disk's cache
        except BaseException:
            db.close()
            raise
        return db

    def _there(self) -> bool:
        with self._said():
            try:
                return self.path.stat().st_size >= 0
            except FileNotFoundError:
                # A link that leads nowhere is a store that is missing, not an invitation to make one there.
                if (link := self._dangling()) is None:
                    return False
        raise StoreError(
            f"the token store {self.path} cannot be used",
            code="store_unusable",
            reason=f"{link} is a link that leads nowhere",
            resolution="mount or bring back what it points to, or remove the link; nothing was made",
        )

    def _dangling(self) -> Path | None:
        """The link on the way to the file that leads nowhere; None: there is none."""
        return next(
            (at for at in (self.path, *self.path.parents) if at.is_symlink() and not at.exists()), None
        )

    def _make_file(self) -> None:
        if self._there():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the -wal and -shm files the mode of the file itself.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))

    def _write_ahead(self, db: sqlite3.Connection) -> None:
        # Switching to WAL does not wait for a lock as everything else does, so two processes that make
        # the file at the same moment would trip over each other.
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise sqlite3.OperationalError("the file system cannot do write-ahead logging")

    def _made(self, db: sqlite3.Connection) -> bool:
        """Whether the tables are there. Raises StoreError for what is no store, or not one of ours."""
        # In this order: between the two another process may make them, version and tables at once.
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found > _SCHEMA_VERSION and {"record", "lease"} <= tables:
            raise StoreError(
                f"the token store {self.path} was written by a newer connector",
                code="newer_store",
                reason=f"it has schema version {found}, and this connector knows {_SCHEMA_VERSION}",
                resolution="upgrade connector, or name another store in the manifest",
            )
        if tables and not (found and {"record", "lease"} <= tables):
            raise StoreError(
                f"{self.path} is a database, but no token store",
                code="not_a_store",
                reason="it holds other tables",
                resolution="name another file in `store:`; nothing was changed in this one",
            )
        return bool(tables)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._failure(error) from None

    def _failure(self, error: sqlite3.Error | OSError) -> StoreError:
        """The StoreError for what SQLite or the system said."""
        text = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind in _BUSY:
            return trouble.busy(str(self.path), f"another process holds it: {text}")
        if getattr(error, "errno", 0) in _FULL or kind == sqlite3.SQLITE_FULL:
            return trouble.full(str(self.path), text, "the disk")
        if kind == sqlite3.SQLITE_IOERR and self._left() < _ROOM:
            # What lies beside the file is told of in these words, whatever the system said.
            return trouble.full(str(self.path), f"{text}: no space is left on the disk", "the disk")
        return StoreError(
            f"the token store {self.path} cannot be used",
            code="store_unusable",
            reason=text,
            resolution="check the disk, the permissions of file and folder, and that it is a token store",
        )

    def _left(self) -> float:
        """How many bytes the disk still takes, as far as known."""
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return math.inf
