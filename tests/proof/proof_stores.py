"""The stores that proofs run on: each a name, and what opens one of its own in a folder and yields its URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from real_servers import Postgresql, Redis

Opened = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A file."""
    yield f"sqlite:///{folder / 'tokens.db'}"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A server of its own, which writes to the disk before it says so."""
    with Postgresql(durable=True) as server:
        yield server.url()


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A server of its own, with the durability that the store asks for."""
    with Redis() as server:
        yield server.url()


STORES: dict[str, Opened] = {"SQLite": sqlite, "PostgreSQL": postgresql, "Redis": redis}
