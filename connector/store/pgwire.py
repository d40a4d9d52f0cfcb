"""Connections to PostgreSQL that never wait for long, and what its errors mean.

libpq bounds connecting only; a server that was stopped in mid-statement would be waited for without end. So
each operation has a moment at which it gives up, whatever the server does.

Behind a pooler (PgBouncer) a server's session is somebody else's in the next moment. So what an operation
sets ends with its one transaction, and nobody listens there.
"""

from __future__ import annotations

import errno
import os
import selectors
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, LiteralString, Self

import psycopg
from psycopg import conninfo
from psycopg import errors as pg

from connector.errors import StoreError
from connector.store import trouble
from connector.store.pgdoor import SELECTOR, state_at_the_door

_CONNECT_S = 3
# Sent before a statement and in one message with it, which makes one transaction of them without a further
# round trip. Of the server's own clock, so that nothing which we gave up lies in wait there. A chosen way of
# committing that is safer than `on` stays, and so does `local`: this machine's disk is what is promised.
SETTINGS: LiteralString = """SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCAL statement_timeout = '4s';
SET LOCAL lock_timeout = '3s';
SELECT CASE WHEN current_setting('synchronous_commit') = 'off'
    THEN set_config('synchronous_commit', 'on', true) END;"""
# The server's words at the door come without SQLSTATE. In another language, `pgdoor` finds it.
_AT_THE_DOOR = (
    "authentication failed",
    "no password supplied",
    "pg_hba.conf",
    "permission denied for database",
)
_NOT_THERE = ("does not exist",)
# A pooler's words, which knows one SQLSTATE for all that is the matter with it.
_POOLER = ("unsupported startup parameter", "not allowed in statement pooling mode")
# Words of libpq and OpenSSL, which are English wherever Python is.
_UNPROVEN = ("certificate", "SSL error", "does not support SSL", "SSL is not enabled")


class Address:
    """Where a database is, and how it is shown: without the password.

    Raises StoreError ``bad_store_url``.
    """

    def __init__(self, url: str) -> None:
        try:
            self.parts: dict[str, Any] = conninfo.conninfo_to_dict(url)
            # A password with a bare slash or colon in it ends up here, and would be shown.
            place = [str(self.parts.get(part) or "") for part in ("host", "port", "dbname")]
            if "@" in "".join(place) or not (place[1] or "0").replace(",", "0").isdigit():
                raise ValueError
        except (psycopg.Error, ValueError):
            raise trouble.bad_url(
                "it is no connection URL of PostgreSQL",
                "write postgresql://user@host/database, with special characters of a password as %XX",
            ) from None
        self._password = str(self.parts.get("password") or "")
        host, port = self.parts.get("host") or "localhost", self.parts.get("port")
        at = f"{host}:{port}" if port else str(host)
        self.shown = f"postgresql://{at}/{self.parts.get('dbname') or ''}"

    def clean(self, text: str) -> str:
        """The server's words in one line, and never the password."""
        words = " ".join(text.split())
        return words.replace(self._password, "***") if self._password else words


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """One that gives up at `ends`, a moment of `time.monotonic`.

    Attributes:
        channel: what it listens to.
        news: whether a notification came that nobody has waited for yet.
    """

    ends: float = 0.0
    channel: str = ""
    news: bool = False

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Drive psycopg's generator as psycopg does, until `ends`. Raises OperationalError then."""
        try:
            wanted = next(gen)
            with SELECTOR() as selector:
                selector.register(self.fileno(), wanted)
                while ready := selector.select(max(0.0, self.ends - time.monotonic())):
                    wanted = gen.send(ready[0][1])
                    selector.modify(self.fileno(), wanted)
        except StopIteration as done:
            return done.value
        gen.close()
        self.close()  # an answer that comes now would be taken for that of the next statement
        raise pg.OperationalError("it took too long")

    def stale(self) -> bool:
        """Whether the server said goodbye, or is gone, while nothing was asked of it."""
        try:
            while not self.closed and self._readable(0.0):
                self._take_news()
        except (psycopg.Error, OSError):
            return True
        return self.closed

    def ask(self, query: LiteralString, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own, under our settings; its rows."""
        # The values are written into it here, since only the simple protocol takes several in one message.
        with psycopg.ClientCursor(self) as cursor:
            cursor.execute(SETTINGS + query, values)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def pooled(self) -> bool:
        """Whether a pooler stands between, which gives each client a number of its own making."""
        return self.ask("SELECT pg_backend_pid()") != [(self.pgconn.backend_pid,)]

    def listen(self, channel: str) -> None:
        """Listen to this channel, and to no other any more."""
        if self.channel != channel:
            self.channel, self.news = "", False
            self.execute(f'UNLISTEN *; LISTEN "{channel}"'.encode())
            self.channel = channel

    def hear(self, until: float) -> None:
        """Return when a notification has come, since the last time too, or at `until` (monotonic)."""
        while True:
            self._take_news()
            left = until - time.monotonic()
            if self.news or left <= 0:
                self.news = False
                return
            self._readable(left)

    def _take_news(self) -> None:
        self.pgconn.consume_input()
        while self.pgconn.notifies() is not None:
            self.news = True

    def _readable(self, within: float) -> bool:
        with SELECTOR() as selector:
            selector.register(self.fileno(), selectors.EVENT_READ)
            return bool(selector.select(within))

    def _heard(self, notification: psycopg.Notify) -> None:
        # It came along with an answer.
        self.news = self.news or notification.channel == self.channel

    def __del__(self, *_: Any) -> None:
        """Without psycopg's warning: what is kept open ends with the process."""

    @classmethod
    def to(cls, address: Address, ends: float) -> Self:
        """Connect; what was lost on the way is told as psycopg does."""
        left = max(1, min(_CONNECT_S, round(ends - time.monotonic())))
        try:
            made = cls.connect(
                **{**address.parts, "connect_timeout": left, "client_encoding": "utf8"},
                autocommit=True,
                prepare_threshold=None,  # statements that were prepared trip over some poolers
            )
        except psycopg.Error as error:
            # psycopg's frame holds the error and a connection half made, and the error by its traceback the
            # frame: the socket would stay until the collector comes by. Without it, it is closed now.
            lost = error.with_traceback(None)
        else:
            made.ends = ends
            made.add_notify_handler(made._heard)
            return made
        try:
            raise lost
        finally:
            del lost


_BY_STATE: dict[str, Callable[[str, str], StoreError]] = {
    "08": trouble.unreachable,
    "25006": trouble.read_only,
    "28": trouble.refused,
    "42501": trouble.refused,
    "53100": trouble.full,
    "53200": trouble.full,
    "53300": trouble.unreachable,  # too many connections
    "55P03": trouble.unreachable,  # a lock that did not come in time
    "57": trouble.unreachable,  # shutting down, starting up, cancelled for taking too long
    "42P01": trouble.foreign,
    "42703": trouble.foreign,
    "42804": trouble.foreign,
    "42883": trouble.foreign,
}


def failure(error: Exception, address: Address, ends: float = 0.0) -> StoreError:
    """The StoreError for what psycopg raised.

    Args:
        ends: until when the server may be asked once more why it lets nobody in (`time.monotonic`).
    """
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, OSError):
        return trouble.no_files(address.shown, error.strerror or type(error).__name__)
    if state:
        assert isinstance(error, psycopg.Error)
        reason = address.clean(error.diag.message_primary or type(error).__name__)
        if state == "08P01" and any(words in reason for words in _POOLER):
            return trouble.pooler(address.shown, reason)
        return _of_state(state)(address.shown, reason)
    if not isinstance(error, psycopg.Error):
        return trouble.unusable(address.shown, type(error).__name__)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = address.clean(lines[0])
    if any(words in reason for words in _POOLER):
        return trouble.pooler(address.shown, reason)
    if trouble.NO_FILES in reason or _no_file():
        return trouble.no_files(address.shown, trouble.NO_FILES)
    if any(words in reason for words in _AT_THE_DOOR):
        return trouble.refused(address.shown, reason)
    if any(words in reason for words in _UNPROVEN):
        return trouble.unproven(address.shown, reason)
    if not isinstance(error, pg.OperationalError) or any(words in reason for words in _NOT_THERE):
        return trouble.unusable(address.shown, reason)
    if not isinstance(error, pg.ConnectionTimeout) and time.monotonic() < ends:
        state = state_at_the_door(address.parts, ends)
    return (_of_state(state) if state else trouble.unreachable)(address.shown, reason)


def _no_file() -> bool:
    """Whether this process can open nothing more, of which libpq may have no words."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


def _of_state(state: str) -> Callable[[str, str], StoreError]:
    return _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or trouble.unusable
