"""Where tokens outlive the process: the stores we ship, contributed like anybody's by a hook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from connector.errors import StoreError
from connector.hookspecs import StoreOpener, hookimpl
from connector.store import trouble
from connector.store.memory import MemoryStore
from connector.store.sqlite import SqliteStore
from connector.tokenstore import TokenStore

__all__ = ["MemoryStore", "SqliteStore"]


def sqlite_path(url: str, folder: Path) -> Path:
    """The file that a URL names: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite:///~/own.db``."""
    rest = url.removeprefix("sqlite:///")
    if rest == url or not rest:
        raise StoreError(
            "the store URL names no file",
            code="bad_store_url",
            resolution="write sqlite:///relative.db, sqlite:////absolute.db or sqlite:///~/in-my-home.db",
        )
    if "?" in rest or "#" in rest:
        raise StoreError(
            "the store URL has parameters, and sqlite: takes none",
            code="bad_store_url",
            resolution="end it with the name of the file",
        )
    return folder / Path(rest).expanduser()


def _open_sqlite(url: str, folder: Path) -> TokenStore:
    return SqliteStore(sqlite_path(url, folder))


def _open_memory(url: str, folder: Path) -> TokenStore:
    return MemoryStore()


# Their drivers are extras of the package, looked for when such a store is opened and not before.
def _open_postgresql(url: str, folder: Path) -> TokenStore:
    try:
        from connector.store.postgresql import PostgresqlStore
    except ImportError as error:
        raise trouble.driver_missing("postgresql", "postgresql", str(error).splitlines()[0]) from None
    return PostgresqlStore(url)


def _open_redis(url: str, folder: Path) -> TokenStore:
    try:
        from connector.store.redis import RedisStore
    except ImportError as error:
        raise trouble.driver_missing("redis", "redis", str(error).splitlines()[0]) from None
    return RedisStore(url)


@hookimpl
def connector_stores() -> Mapping[str, StoreOpener]:
    """See `connector.hookspecs.connector_stores`."""
    return {
        "sqlite": _open_sqlite,
        "memory": _open_memory,
        "postgresql": _open_postgresql,
        "postgres": _open_postgresql,
        "redis": _open_redis,
        "rediss": _open_redis,
        "redis+unix": _open_redis,
    }
