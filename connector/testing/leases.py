"""The contract for leases: one holder at a time, an end by itself, and only the holder gives one back."""

from __future__ import annotations

from connector.testing.doing import Bare, Maker, opened

_SHORT_S, _LONG_S = 0.15, 60.0


class LeaseContract(Bare):
    """`acquire`, `holder` and `release`."""

    def test_a_lease_has_one_holder(self, make_store: Maker) -> None:
        """The second to ask learns who has it and until when, and changes nothing."""
        with opened(make_store) as store, opened(make_store) as other:
            mine = store.acquire("a", "me", ttl_s=_LONG_S)
            assert (mine.account, mine.holder) == ("a", "me")
            for theirs in (
                other.acquire("a", "you", ttl_s=9 * _LONG_S),
                other.holder("a"),
                store.holder("a"),
            ):
                assert theirs is not None
                assert (theirs.account, theirs.holder) == ("a", "me")
                assert abs(theirs.expires_at - mine.expires_at) < 0.1, "asking in vain moved its end"
            assert other.acquire("b", "you", ttl_s=_LONG_S).holder == "you"

    def test_a_lease_lasts_as_long_as_asked(self, make_store: Maker) -> None:
        """Two leases that begin together end as far apart as they were asked for."""
        with opened(make_store) as store:
            short, long = (store.acquire(name, "me", ttl_s=ttl_s) for name, ttl_s in (("a", 20), ("b", 80)))
            assert abs(long.expires_at - short.expires_at - 60) < self.bound_s

    def test_a_lease_is_extended_by_its_holder(self, make_store: Maker) -> None:
        """Asking again moves the end, so that a slow token call keeps its lease; no sooner does it end."""
        with opened(make_store) as store:
            first = store.acquire("a", "me", ttl_s=_SHORT_S)
            again = store.acquire("a", "me", ttl_s=_LONG_S)
            assert again.holder == "me"
            assert again.expires_at > first.expires_at + _LONG_S / 2
            self.pass_time(2 * _SHORT_S)
            assert store.acquire("a", "you", ttl_s=_LONG_S).holder == "me"

    def test_a_lease_ends_by_itself(self, make_store: Maker) -> None:
        """A holder that died keeps nobody waiting for longer than its lease."""
        with opened(make_store) as store, opened(make_store) as other:
            store.acquire("a", "dead", ttl_s=_SHORT_S)
            self.pass_time(2 * _SHORT_S)
            assert other.holder("a") is None
            assert other.acquire("a", "me", ttl_s=_LONG_S).holder == "me"
            assert store.acquire("a", "dead", ttl_s=_LONG_S).holder == "me"

    def test_only_the_holder_releases(self, make_store: Maker) -> None:
        """One whose lease ended and went to another must not end that other's."""
        with opened(make_store) as store, opened(make_store) as other:
            other.acquire("a", "late", ttl_s=_SHORT_S)
            self.pass_time(2 * _SHORT_S)
            store.acquire("a", "me", ttl_s=_LONG_S)
            other.release("a", "late")
            assert other.acquire("a", "you", ttl_s=_LONG_S).holder == "me"
            other.release("a", "me ")
            other.release("b", "me")
            assert other.acquire("a", "you", ttl_s=_LONG_S).holder == "me"
            store.release("a", "me")
            store.release("a", "me")
            assert store.holder("a") is None
            assert other.acquire("a", "you", ttl_s=_LONG_S).holder == "you"

    def test_a_lease_outlives_save_delete_and_close(self, make_store: Maker) -> None:
        """Records and leases are apart: nothing but its end and its release ends a renewal."""
        with opened(make_store) as store, opened(make_store) as other:
            store.acquire("a", "me", ttl_s=_LONG_S)
            store.save("a", b"1", version=1)
            store.delete("a")
            store.close()
            assert other.acquire("a", "you", ttl_s=_LONG_S).holder == "me"

    def test_any_text_is_a_holder(self, make_store: Maker) -> None:
        """Hosts have odd names too."""
        with opened(make_store) as store:
            for holder in ("host/1a2b/77", "Ümlaut host", "a'b\"%s$1", "日本", "a:b", "1"):
                assert store.acquire("a", holder, ttl_s=_LONG_S).holder == holder
                lease = store.holder("a")
                assert lease is not None
                assert lease.holder == holder
                store.release("a", holder)
                assert store.holder("a") is None
