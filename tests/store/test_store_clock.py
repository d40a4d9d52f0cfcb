"""The stores that compare leases by a clock of this machine, to the moment."""

from __future__ import annotations

from typing import Any

from connector.tokenstore import TokenStore


def test_a_lease_has_one_holder(store: TokenStore, clock: Any) -> None:
    """The second to ask learns who has it and until when."""
    mine = store.acquire("a", "me", ttl_s=10)
    assert (mine.holder, mine.expires_at) == ("me", clock.now + 10)
    clock.now += 3
    theirs = store.acquire("a", "you", ttl_s=99)
    assert theirs == mine
    assert store.holder("a") == mine
    assert store.acquire("b", "you", ttl_s=10).holder == "you"


def test_a_lease_is_extended_by_its_holder(store: TokenStore, clock: Any) -> None:
    """Asking again moves the end, so that a slow token call keeps its lease."""
    store.acquire("a", "me", ttl_s=10)
    clock.now += 8
    assert store.acquire("a", "me", ttl_s=10).expires_at == clock.now + 10
    clock.now += 8
    assert store.acquire("a", "you", ttl_s=10).holder == "me"


def test_a_lease_ends_by_itself(store: TokenStore, clock: Any) -> None:
    """A holder that died keeps nobody waiting for longer than its lease."""
    store.acquire("a", "dead", ttl_s=10)
    clock.now += 9.999
    assert store.acquire("a", "me", ttl_s=10).holder == "dead"
    clock.now += 0.001
    assert store.holder("a") is None
    assert store.acquire("a", "me", ttl_s=10).holder == "me"
