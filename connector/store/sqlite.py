"""The embedded store: one SQLite file, readable by its owner only, safe between processes of one machine.

WAL with synchronous FULL: a save that has returned survives a power cut. Each operation opens its own
connection, so that no handle ever crosses a thread or a fork; renewals are rare enough to afford it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from connector.errors import StoreError
from connector.tokenstore import Lease, Stored, VersionConflict

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (account TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS lease (account TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at REAL NOT NULL);
"""


class SqliteStore:
    """`TokenStore` in a file.

    Args:
        path: the file; made with its folder (0700) and mode 0600 when it is not there.
        clock: seconds since the epoch; leases are compared by it.
        busy_s: how long one operation may wait for other processes.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time, busy_s: float = 5.0) -> None:
        self.path = path
        self._clock = clock
        self._busy_s = busy_s

    def load(self, account: str) -> Stored | None:
        """See `TokenStore.load`."""
        with self._connection(create=False) as db:
            if db is None:
                return None
            row = db.execute("SELECT version, sealed FROM record WHERE account = ?", (account,)).fetchone()
            return Stored(version=row[0], sealed=bytes(row[1])) if row else None

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        """See `TokenStore.save`."""
        with self._connection() as db:
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
        with self._connection() as db:
            db.execute("DELETE FROM record WHERE account = ?", (account,))

    def accounts(self) -> Iterable[str]:
        """See `TokenStore.accounts`."""
        with self._connection(create=False) as db:
            rows = db.execute("SELECT account FROM record ORDER BY account").fetchall() if db else []
            return [row[0] for row in rows]

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        """See `TokenStore.acquire`."""
        with self._connection() as db:
            now = self._clock()
            db.execute(
                "INSERT INTO lease VALUES (?1, ?2, ?3) ON CONFLICT (account) DO UPDATE"
                " SET holder = ?2, expires_at = ?3 WHERE holder = ?2 OR expires_at <= ?4",
                (account, holder, now + ttl_s, now),
            )
            row = db.execute("SELECT holder, expires_at FROM lease WHERE account = ?", (account,)).fetchone()
            return Lease(account=account, holder=row[0], expires_at=row[1])

    def holder(self, account: str) -> Lease | None:
        """See `TokenStore.holder`."""
        with self._connection(create=False) as db:
            if db is None:
                return None
            row = db.execute(
                "SELECT holder, expires_at FROM lease WHERE account = ? AND expires_at > ?",
                (account, self._clock()),
            ).fetchone()
            return Lease(account=account, holder=row[0], expires_at=row[1]) if row else None

    def release(self, account: str, holder: str) -> None:
        """See `TokenStore.release`."""
        with self._connection() as db:
            db.execute("DELETE FROM lease WHERE account = ? AND holder = ?", (account, holder))

    def close(self) -> None:
        """Nothing stays open between operations."""

    @contextmanager
    def _opened(self, create: bool) -> Iterator[sqlite3.Connection | None]:
        if not create and not self.path.exists():
            yield None  # asking for a status must not leave a file behind
            return
        self._make()
        db = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)
        try:
            self._write_ahead(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE" if create else "BEGIN")
            self._migrate(db)
            yield db
            db.execute("COMMIT")
        finally:
            db.close()  # rolls back what was not committed

    def _write_ahead(self, db: sqlite3.Connection) -> None:
        # Switching to WAL does not wait for a lock as everything else does, so two processes that make
        # the file at the same moment would trip over each other.
        for _ in range(200):
            try:
                if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
                    return
            except sqlite3.OperationalError:
                pass
            time.sleep(0.01)
        raise sqlite3.OperationalError("the file system cannot do write-ahead logging")

    def _make(self) -> None:
        if self.path.exists():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the -wal and -shm files the mode of the file itself.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))

    def _migrate(self, db: sqlite3.Connection) -> None:
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found == _SCHEMA_VERSION:
            return
        if found > _SCHEMA_VERSION:
            raise StoreError(
                f"the token store {self.path} was written by a newer connector",
                code="newer_store",
                resolution="upgrade connector, or name another store in the manifest",
            )
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    @contextmanager
    def _connection(self, create: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            with self._opened(create) as db:
                yield db  # type: ignore[misc]  # None only where create is False, and asked for there
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the token store {self.path} cannot be used",
                code="store_unusable",
                reason=f"{type(error).__name__}: {error}",
                resolution="check the disk, the permissions of file and folder, and that it is a token store",
            ) from None
