"""The store for several machines that have a PostgreSQL: one row per account, one per lease, and its clock.

Each operation is one statement that commits by itself, so that none is ever half done. A save that has
returned is on the server's disk. Whoever waits for a lease listens on a channel and is woken.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.errors import UndefinedTable

from connector.errors import StoreError
from connector.store import trouble
from connector.store.kept import Kept, Seats
from connector.store.pgwire import SETTINGS, Address, Connection, failure
from connector.tokenstore import Lease, Stored, VersionConflict

# How many calls are under way at a time where somebody sees to that, and how many may listen.
_MOST, _EARS = 8, 4
# What brings a store from the version before to this one; a new store goes through all of them.
MIGRATIONS: Mapping[int, Sequence[LiteralString]] = {
    1: (
        'CREATE TABLE connector_record (account text COLLATE "C" PRIMARY KEY, version bigint NOT NULL,'
        " sealed bytea NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp())",
        'CREATE TABLE connector_lease (account text COLLATE "C" PRIMARY KEY, holder text NOT NULL,'
        " expires_at timestamptz NOT NULL)",
    ),
}
# One number for all: those who make or migrate a store in one database do so one after the other.
_MAKING = "SELECT pg_advisory_xact_lock(7233176420913)"
_VISIBLE = """
SELECT relname FROM pg_catalog.pg_class
WHERE relname IN ('connector_schema', 'connector_record', 'connector_lease')
    AND pg_catalog.pg_table_is_visible(oid)"""
_BYTES = "SELECT version, sealed FROM connector_record WHERE account = %(account)s"

_SAVE_FIRST = """
WITH saved AS (INSERT INTO connector_record (account, version, sealed) VALUES (%(account)s, 1, %(sealed)s)
    ON CONFLICT DO NOTHING RETURNING account)
SELECT pg_notify(%(channel)s, '') FROM saved"""
_SAVE = """
WITH saved AS (UPDATE connector_record SET version = %(version)s, sealed = %(sealed)s,
    updated_at = clock_timestamp()
    WHERE account = %(account)s AND version = %(version)s - 1 RETURNING account)
SELECT pg_notify(%(channel)s, '') FROM saved"""
# The row that the conflict is with is locked before its end is compared, so two never win; an update that
# changes nothing is how the one in force comes back from the same statement. One moment for all of it: the
# statement's, so that holder and end are never judged apart.
_ACQUIRE = """
INSERT INTO connector_lease AS lease (account, holder, expires_at)
VALUES (%(account)s, %(holder)s, statement_timestamp() + make_interval(secs => %(ttl)s))
ON CONFLICT (account) DO UPDATE SET
    holder = CASE WHEN lease.holder = EXCLUDED.holder OR lease.expires_at <= statement_timestamp()
        THEN EXCLUDED.holder ELSE lease.holder END,
    expires_at = CASE WHEN lease.holder = EXCLUDED.holder OR lease.expires_at <= statement_timestamp()
        THEN statement_timestamp() + make_interval(secs => %(ttl)s) ELSE lease.expires_at END
RETURNING holder, extract(epoch FROM expires_at)::float8"""
_HOLDER = """
SELECT holder, extract(epoch FROM expires_at)::float8 FROM connector_lease
WHERE account = %(account)s AND expires_at > statement_timestamp()"""
_RELEASE = """
WITH gone AS (DELETE FROM connector_lease WHERE account = %(account)s AND holder = %(holder)s
    RETURNING account)
SELECT pg_notify(%(channel)s, '') FROM gone"""


class PostgresqlStore:
    """`TokenStore` in a PostgreSQL database.

    Args:
        url: ``postgresql://user:password@host:port/database``, as libpq understands it; what it leaves out
            comes from PGPASSWORD, ``~/.pgpass`` and their like.
        bound_s: how long one operation may take, connecting included.
        idle_s: after which connections are closed that nobody uses, all but two.
        migrations: statements by the schema version that they lead to.

    Raises StoreError ``bad_store_url``.
    """

    def __init__(
        self,
        url: str,
        *,
        bound_s: float = 5.0,
        idle_s: float = 60.0,
        migrations: Mapping[int, Sequence[LiteralString]] = MIGRATIONS,
    ) -> None:
        self.address = Address(url)
        self._bound_s = bound_s
        self._migrations = migrations
        # Few, since a server has not many for a fleet of processes: what a burst has opened is soon closed.
        self._idle: Kept[Connection] = Kept(Connection.close, most=_MOST, rest=2, idle_s=idle_s)
        # Those that listen are for nothing else, so that nobody finds them in use for a wait.
        self._ears: Kept[Connection] = Kept(Connection.close, most=_EARS, rest=0, idle_s=idle_s)
        self._seats = Seats(_EARS)
        self._pooled = False

    def __repr__(self) -> str:
        return f"<PostgresqlStore {self.address.shown}>"

    def load(self, account: str) -> Stored | None:
        """See `TokenStore.load`."""
        rows = self._rows(_BYTES, {"account": account})
        return Stored(version=rows[0][0], sealed=bytes(rows[0][1])) if rows else None

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        """See `TokenStore.save`."""
        ends = time.monotonic() + self._bound_s
        values = {"account": account, "sealed": sealed, "version": version, "channel": _channel(account)}
        try:
            saved = self._rows(
                _SAVE_FIRST if version == 1 else _SAVE, values, making=True, twice=False, ends=ends
            )
        except StoreError as error:
            # The answer is lost, perhaps not the record. Its bytes are unlike any others, so a look tells.
            if error.code != "store_unreachable" or not self._is_there(values, ends):
                raise
            return
        if not saved:
            raise VersionConflict(f"the record of account {account!r} was saved by another holder")

    def delete(self, account: str) -> None:
        """See `TokenStore.delete`."""
        self._rows(
            "DELETE FROM connector_record WHERE account = %(account)s RETURNING account", {"account": account}
        )

    def accounts(self) -> Iterable[str]:
        """See `TokenStore.accounts`."""
        return [
            str(row[0]) for row in self._rows("SELECT account FROM connector_record ORDER BY account", {})
        ]

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        """See `TokenStore.acquire`."""
        values = {"account": account, "holder": holder, "ttl": float(ttl_s)}
        [(found, until)] = self._rows(_ACQUIRE, values, making=True)
        return Lease(account=account, holder=found, expires_at=until)

    def holder(self, account: str) -> Lease | None:
        """See `TokenStore.holder`."""
        rows = self._rows(_HOLDER, {"account": account})
        return Lease(account=account, holder=rows[0][0], expires_at=rows[0][1]) if rows else None

    def release(self, account: str, holder: str) -> None:
        """See `TokenStore.release`."""
        self._rows(_RELEASE, {"account": account, "holder": holder, "channel": _channel(account)})

    def wait(self, account: str, timeout_s: float) -> None:
        """See `connector.tokenstore.Waking`."""
        ends = time.monotonic() + timeout_s
        with self._seats.one() as seated:
            # Being woken is a courtesy; what is the matter shows when the caller looks again.
            if not (seated and not self._pooled and self._listen(account, ends)):
                time.sleep(max(0.0, min(ends - time.monotonic(), 0.5)))

    def close(self) -> None:
        """See `TokenStore.close`."""
        self._idle.close()
        self._ears.close()

    def _listen(self, account: str, ends: float) -> bool:
        """Return when woken or at `ends`; False: at once, since it cannot be listened."""
        db = None
        try:
            db, bound = _good(self._ears, account), time.monotonic() + self._bound_s
            known = db is not None
            db = db or Connection.to(self.address, bound)
            db.ends = bound
            if not known and db.pooled():
                # It would be left listening on a session that is others' too.
                self._pooled = True
                db.close()
                return False
            db.listen(_channel(account))
            db.hear(ends)
        except (psycopg.Error, OSError):
            if db is not None:
                db.close()
            return False
        # It goes on listening: what happens before this caller waits again is not missed.
        self._ears.give(db, account)
        return True

    def _is_there(self, values: Mapping[str, Any], ends: float) -> bool:
        try:
            rows = self._rows(_BYTES, values, ends=ends)
        except StoreError:
            return False
        return bool(rows) and (rows[0][0], bytes(rows[0][1])) == (values["version"], bytes(values["sealed"]))

    def _rows(
        self,
        query: LiteralString,
        values: Mapping[str, Any],
        *,
        making: bool = False,
        twice: bool = True,
        ends: float = 0.0,
    ) -> list[tuple[Any, ...]]:
        """Run one statement.

        Args:
            making: make the tables where there are none; otherwise nothing is found then.
            twice: once more, on a new connection, when the one at hand turns out to be lost.
            ends: when to give up, a moment of `time.monotonic`.
        """
        ends = ends or time.monotonic() + self._bound_s
        while True:
            db, known = None, False
            try:
                db = _good(self._idle)
                known = db is not None
                db = db or self._open(ends, making)
                if db is None:
                    return []
                db.ends = ends
                rows = db.ask(query, values)
            except (psycopg.Error, UnicodeError, OSError) as error:
                # A table that has vanished is looked for anew, as a connection is.
                again = isinstance(error, UndefinedTable) or (twice and db is not None and db.closed)
                if db is not None:
                    db.close()
                if known and again and time.monotonic() < ends:
                    continue
                failed = failure(error, self.address, 0.0 if db else ends)
            else:
                self._idle.give(db)
                return rows
            # Out here, and forgotten: neither psycopg's error nor this frame is kept by who keeps ours.
            try:
                raise failed
            finally:
                del failed

    def _open(self, ends: float, making: bool) -> Connection | None:
        """A new connection to a store that this connector knows; None: there is no store, nor one made."""
        db = Connection.to(self.address, ends)
        try:
            found = self._version(db)
            if found is not None and found > max(self._migrations):
                raise trouble.newer(self.address.shown, found, max(self._migrations))
            if (found is None and making) or (found is not None and found < max(self._migrations)):
                self._migrate(db)
            elif found is None:
                db.close()
                return None
        except BaseException:
            db.close()
            raise
        return db

    def _version(self, db: Connection) -> int | None:
        """The schema's version; None where there are no tables. Raises StoreError for those of others."""
        tables = [row[0] for row in db.ask(_VISIBLE)]
        if not tables:
            return None
        if len(tables) < 3:
            raise trouble.foreign(self.address.shown, f"of its tables there is only {', '.join(tables)}")
        rows = db.ask("SELECT version FROM connector_schema")
        if len(rows) != 1 or not isinstance(rows[0][0], int):
            raise trouble.foreign(self.address.shown, "connector_schema does not hold one version")
        return rows[0][0]

    def _migrate(self, db: Connection) -> None:
        """Bring the tables to the newest version, all or nothing, while others who want to do so wait."""
        with db.transaction():
            db.execute(SETTINGS)
            db.execute(_MAKING)
            found = self._version(db)
            if found is None:
                db.execute("CREATE TABLE connector_schema (version integer NOT NULL)")
                db.execute("INSERT INTO connector_schema VALUES (0)")
            for version in range((found or 0) + 1, max(self._migrations) + 1):
                for statement in self._migrations[version]:
                    db.execute(statement)
                db.execute("UPDATE connector_schema SET version = %s", (version,))


def _good(kept: Kept[Connection], account: str = "") -> Connection | None:
    """A connection that is open and good, rather one that listens for this account; None: open one."""
    while True:
        db = kept.take(account)
        if db is None or not db.stale():
            return db
        db.close()


def _channel(account: str) -> str:
    # A name may have 63 bytes. Another schema's account of this name costs a look in vain, no more.
    return f"connector_{hashlib.sha256(account.encode('utf-8', 'replace')).hexdigest()[:32]}"
