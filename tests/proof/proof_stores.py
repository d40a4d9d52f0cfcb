"""The stores that proofs run on: each a name, and what opens one of its own in a folder and yields its URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

Opened = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A file."""
    yield f"sqlite:///{folder / 'tokens.db'}"


def stores() -> list[tuple[str, Opened]]:
    """All there are."""
    return [("SQLite", sqlite)]
