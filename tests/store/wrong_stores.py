"""Stores that break a promise, and what the contract says of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from connector.testing import TokenStoreContract
from connector.tokenstore import TokenStore, VersionConflict


class OfOneProcess(TokenStoreContract):
    """For stores made of a broken `MemoryStore`."""

    processes = False
    wakes = True


def failure(test: str, store: TokenStore, **more: Any) -> str:
    """What a test of the contract says of a store, which it must find wrong, and in bounded time."""
    contract: Any = OfOneProcess()
    contract.bound_s, contract.watched_s = 0.3, 3.0
    vars(contract).update(more)
    began = time.monotonic()
    with pytest.raises((AssertionError, KeyError, VersionConflict)) as caught:
        getattr(contract, test)(lambda: store)
    assert time.monotonic() - began < 15
    return str(caught.value)
