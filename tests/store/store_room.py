"""What the tests of stores on servers do again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from connector.errors import StoreError
from connector.tokenstore import TokenStore

READS = ("load", "accounts", "holder")
WRITES = ("save", "acquire")


def operations(store: TokenStore) -> dict[str, Callable[[], Any]]:
    """Every operation of a store, by its name."""
    return {
        "load": lambda: store.load("a"),
        "accounts": lambda: list(store.accounts()),
        "holder": lambda: store.holder("a"),
        "save": lambda: store.save("b", b"SEALED-CANARY", version=1),
        "acquire": lambda: store.acquire("b", "me", ttl_s=5),
        "delete": lambda: store.delete("a"),
        "release": lambda: store.release("a", "me"),
    }


def refused(store: TokenStore, code: str, *words: str, only: Sequence[str] = ()) -> None:
    """Each operation (or `only` these) ends in a StoreError of this code, soon, and tells no secret.

    They begin together, so that those which wait wait at the same time.
    """
    chosen = {name: call for name, call in operations(store).items() if not only or name in only}
    caught: dict[str, tuple[object, float]] = {}

    def one(name: str, call: Callable[[], Any]) -> None:
        began = time.monotonic()
        try:
            outcome = call()
        except Exception as error:
            outcome = error
        caught[name] = (outcome, time.monotonic() - began)

    threads = [threading.Thread(target=one, args=item) for item in chosen.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert caught.keys() == chosen.keys(), "an operation hangs"
    for name, (error, took) in caught.items():
        assert isinstance(error, StoreError), f"{name} returned {error!r}"
        assert error.code == code, f"{name}: {error!r} has the code {error.code}"
        assert took < 9, f"{name} took {took:.1f} s"
        assert error.resolution
        assert error.__suppress_context__ or error.__context__ is None
        assert "CANARY" not in f"{error} {error!r}"
        for word in words:
            assert word in str(error), f"{name}: {error}"
