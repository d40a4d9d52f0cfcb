"""The contract for leases: one holder at a time, an end by itself, and only the holder gives one back."""

from __future__ import annotations

import time
from collections.abc import Callable

from connector.testing.doing import Bare, Maker, bounded, opened
from connector.tokenstore import TokenStore

_SHORT_S, _LONG_S = 0.15, 60.0
# Looks at a watched lease: one that ends earlier by this part of its time is seen to do so.
_LOOKS = 30
# How exactly a store must tell its clock.
_EXACT_S = 0.1

# Host, process and a random part make a long name, whose end tells one from another.
_ALIKE = (
    ("host/" * 60 + "1", "host/" * 60 + "2"),
    ("host/1a2b/ab", "host/1a2b/AB"),
    ("host/1a2b/7", "host/1a2b/77"),
    ("host/1a2b/77", "host/1a2b/7"),
    ("host/1a2b", "host/1a2b "),
    ("host_1", "host%1"),
    ("1", "01"),
    ("\u00fc", "u\u0308"),  # the same letter to the eye only
)


@bounded
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

    def test_a_lease_lasts_to_its_end(self, make_store: Maker) -> None:
        """Nobody gets it before, however often he asks: no refresh token is shown twice because of this."""
        with opened(make_store) as store, opened(make_store) as other:
            lasts_s = {
                "long": max(45.0, 2 * self.watched_s),
                "whole": self.watched_s,
                "third": self.watched_s / 3,
                "extended": self.watched_s,
            }
            began, passed = time.monotonic(), 0.0
            store.acquire("extended", "me", ttl_s=self.watched_s / 3)
            for account, ttl_s in lasts_s.items():
                assert store.acquire(account, "me", ttl_s=ttl_s).holder == "me"
            while passed < self.watched_s:
                for account, ttl_s in lasts_s.items():
                    for lease in (other.holder(account), other.acquire(account, "you", ttl_s=_SHORT_S)):
                        # By the clock that says more: on a machine under load the answer may be late.
                        gone_s = max(passed, time.monotonic() - began)
                        if gone_s < ttl_s:
                            assert lease is not None, f"a lease of {ttl_s:g} s had ended after {gone_s:.1f} s"
                            whose = f"after {gone_s:.1f} of {ttl_s:g} s {lease.holder!r} had the lease"
                            assert lease.holder == "me", whose
                self.pass_time(self.watched_s / _LOOKS)
                passed += self.watched_s / _LOOKS

    def test_a_lease_tells_the_clock_of_the_store(self, make_store: Maker) -> None:
        """Taken or extended, longer or shorter: it ends `ttl_s` from now, so all who ask know one clock."""
        with opened(make_store) as store, opened(make_store) as other:
            began, clocks = time.monotonic(), []

            def ask(each: TokenStore, account: str, ttl_s: float) -> None:
                clocks.append(each.acquire(account, "me", ttl_s=ttl_s).expires_at - ttl_s)

            for ttl_s in (20.0, 80.0, 50.0):
                for account in ("a", "a", "b", f"of {ttl_s} s"):
                    ask(store, account, ttl_s)
                    ask(other, account, ttl_s)
            lease = other.holder("a")
            assert lease is not None
            clocks.append(lease.expires_at - 50)
            took = time.monotonic() - began
            assert max(clocks) - min(clocks) < took + _EXACT_S, f"it tells one moment as {clocks}"
            self.pass_time(3 * _EXACT_S)
            ask(store, "a", 50)
            assert clocks[-1] - clocks[-2] > _EXACT_S, "an extended lease does not begin anew"

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

    def test_nobody_is_kept_waiting(self, make_store: Maker) -> None:
        """No call waits until the lease is free: who asks in vain is told so, and waits as he likes."""
        with opened(make_store) as store, opened(make_store) as other:
            store.save("a", b"1", version=1)
            store.acquire("a", "me", ttl_s=_LONG_S)
            calls: dict[str, Callable[[], object]] = {
                "acquire in vain": lambda: other.acquire("a", "you", ttl_s=_LONG_S),
                "acquire by the holder": lambda: other.acquire("a", "me", ttl_s=_LONG_S),
                "holder": lambda: other.holder("a"),
                "load": lambda: other.load("a"),
                "accounts": lambda: list(other.accounts()),
                "save": lambda: other.save("a", b"2", version=2),
                "delete": lambda: other.delete("a"),
                "release in vain": lambda: other.release("a", "you"),
            }
            for name, call in calls.items():
                began = time.monotonic()
                call()
                took = time.monotonic() - began
                assert took < self.bound_s, f"{name} took {took:.1f} s while the lease was held"

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

    def test_holders_are_told_apart(self, make_store: Maker) -> None:
        """To the last character and by case: else two processes would both believe to have the lease."""
        with opened(make_store) as store, opened(make_store) as other:
            for number, (mine, alike) in enumerate(_ALIKE):
                account = str(number)
                assert store.acquire(account, mine, ttl_s=_LONG_S).holder == mine
                theirs = other.acquire(account, alike, ttl_s=_LONG_S)
                assert theirs.holder == mine, f"{alike!r} passed for {mine!r}"
                other.release(account, alike)
                lease = other.holder(account)
                assert lease is not None, f"{alike!r} released what {mine!r} has"
                assert lease.holder == mine
                other.release(account, mine)
                assert store.holder(account) is None
