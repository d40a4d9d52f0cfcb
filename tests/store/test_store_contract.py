"""Our own stores under the contract that any store must keep."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from real_servers import Postgresql, Redis

from connector.errors import StoreError
from connector.store import MemoryStore, SqliteStore
from connector.store.postgresql import PostgresqlStore
from connector.store.redis import RedisStore
from connector.testing import TokenStoreContract
from connector.tokenstore import TokenStore, VersionConflict, Waking


class TestMemoryStore(TokenStoreContract):
    """In a dictionary."""

    processes = False
    wakes = True

    @pytest.fixture
    def make_store(self) -> Callable[[], TokenStore]:
        """One object for all who open it."""
        store = MemoryStore()
        return lambda: store


class TestSqliteStore(TokenStoreContract):
    """In a file."""

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], TokenStore]:
        """A file that is not there yet, nor its folder."""
        return functools.partial(SqliteStore, tmp_path / "new" / "tokens.db")


@pytest.mark.slow
class TestPostgresqlStore(TokenStoreContract):
    """On a PostgreSQL of its own."""

    wakes = True

    @pytest.fixture
    def make_store(self, postgresql: Postgresql, own_name: str) -> Callable[[], TokenStore]:
        """A schema of its own without tables."""
        postgresql.ask(f"CREATE SCHEMA {own_name}")
        return functools.partial(PostgresqlStore, postgresql.url(own_name))


@pytest.mark.slow
class TestRedisStore(TokenStoreContract):
    """On a Redis of its own."""

    wakes = True

    @pytest.fixture
    def make_store(self, redis_server: Redis, own_name: str) -> Callable[[], TokenStore]:
        """A prefix of its own."""
        return functools.partial(RedisStore, redis_server.url(own_name))


def test_a_conflict_is_a_store_error() -> None:
    """Callers may catch one class; the flow asks for the finer one."""
    assert issubclass(VersionConflict, StoreError)


def test_who_wakes() -> None:
    """What the driver asks for tells those stores apart that wake from those that do not."""
    assert isinstance(MemoryStore(), Waking)
    assert not isinstance(SqliteStore(Path("nowhere")), Waking)
