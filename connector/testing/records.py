"""The contract for records: bytes come back as they went in, and nobody overwrites what he has not seen."""

from __future__ import annotations

import os

from connector.testing.doing import Bare, Gate, Maker, bounded, in_threads, opened, refused
from connector.tokenstore import Stored, VersionConflict

# An account's name is data, never part of a query, a path, a pattern or a URL.
NAMES = (
    "plain",
    "a",
    "A",
    "mit Ümlaut",
    "u\u0308",  # the same letter as the next to the eye only
    "ü",
    "日本",
    "🔑",
    "a'b\"c--;",
    "#1",
    "x" * 300,
    "a/b\\c%",
    "a*",
    "a?[b]",
    "../a",
    " a ",
    "a\nb\tc",
    "{a}:b:c",
    "%(account)s $1 :x",
)

# More than the page of any server that lists in pages of 100, 250, or 1000.
_MANY = 1001


@bounded
class RecordContract(Bare):
    """`load`, `save`, `delete`, `accounts` and `close`."""

    def test_an_empty_store_knows_nothing(self, make_store: Maker) -> None:
        """Looking at what is not there is no error."""
        with opened(make_store) as store:
            assert store.load("a") is None
            assert list(store.accounts()) == []
            assert store.holder("a") is None
            store.delete("a")
            store.release("a", "nobody")

    def test_what_is_saved_is_loaded(self, make_store: Maker) -> None:
        """Bytes come back as they went in, with their version, also to another who opens the store."""
        with opened(make_store) as store, opened(make_store) as other:
            store.save("a", bytes(range(256)), version=1)
            for each in (store, other):
                assert each.load("a") == Stored(version=1, sealed=bytes(range(256)))
                assert each.load("b") is None

    def test_any_bytes_are_a_record(self, make_store: Maker) -> None:
        """None, zeros, what looks like text or a number, and up to 1 MiB."""
        records = [b"", b"\0", b"\0\xff" * 9, b"1:2", b"\\x00", "ü".encode("latin-1"), os.urandom(1 << 20)]
        with opened(make_store) as store:
            for version, sealed in enumerate(records, 1):
                store.save("a", sealed, version=version)
                found = store.load("a")
                assert found is not None
                assert found.version == version
                assert found.sealed == sealed, f"{len(sealed)} bytes did not come back as they went in"

    def test_any_name_is_a_name(self, make_store: Maker) -> None:
        """Odd names are kept apart, and listed as they are."""
        with opened(make_store) as store:
            for name in NAMES:
                store.save(name, name.encode(), version=1)
                assert store.acquire(name, f"holder of {name}", ttl_s=60).holder == f"holder of {name}"
            assert sorted(store.accounts()) == sorted(NAMES)
            for name in NAMES:
                assert store.load(name) == Stored(version=1, sealed=name.encode()), name
                lease = store.holder(name)
                assert lease is not None
                assert (lease.account, lease.holder) == (name, f"holder of {name}")
            for name in NAMES:
                store.delete(name)
                assert name not in list(store.accounts())

    def test_save_goes_on_from_the_version_before(self, make_store: Maker) -> None:
        """Each save adds exactly one to the version."""
        with opened(make_store) as store:
            for version in (1, 2, 3):
                store.save("a", b"%d" % version, version=version)
            assert store.load("a") == Stored(version=3, sealed=b"3")

    def test_versions_go_on_as_far_as_they_like(self, make_store: Maker) -> None:
        """An account renewed every hour comes to thousands; 260 is more than a byte or two digits hold."""
        with opened(make_store) as store:
            for version in range(1, 261):
                store.save("a", b"%d" % version, version=version)
                if version % 20 == 0:
                    assert store.load("a") == Stored(version=version, sealed=b"%d" % version)
            assert refused(store, "a", b"late", 100), "version 100 overwrote version 260"

    def test_a_save_on_another_version_is_refused(self, make_store: Maker) -> None:
        """Whoever worked from an older record, or from none, cannot overwrite a newer one."""
        with opened(make_store) as store:
            store.save("a", b"1", version=1)
            store.save("a", b"2", version=2)
            for version in (-1, 0, 1, 2, 4, 2**40):
                assert refused(store, "a", b"late", version), f"version {version} overwrote version 2"
                assert store.load("a") == Stored(version=2, sealed=b"2")
            assert refused(store, "a", b"2", 2), "the same bytes are no reason to save a version twice"

    def test_the_refusal_is_a_version_conflict(self, make_store: Maker) -> None:
        """With the code that callers branch on, and none of the bytes."""
        with opened(make_store) as store:
            store.save("a", b"1", version=1)
            caught: VersionConflict | None = None
            try:
                store.save("a", b"CANARY", version=1)
            except VersionConflict as conflict:
                caught = conflict
            assert caught is not None, "the second save of version 1 went through"
            assert caught.code == "version_conflict"
            assert "CANARY" not in f"{caught} {caught!r}"

    def test_the_first_version_is_one(self, make_store: Maker) -> None:
        """A record that was deleted meanwhile is not brought back by a save that goes on from it."""
        with opened(make_store) as store:
            for version in (-1, 0, 2, 7):
                assert refused(store, "a", b"x", version), f"version {version} was saved on nothing"
                assert store.load("a") is None

    def test_delete_forgets_the_record(self, make_store: Maker) -> None:
        """After a delete the account begins again at version 1; others stay."""
        with opened(make_store) as store:
            store.save("a", b"1", version=1)
            store.save("b", b"1", version=1)
            store.delete("a")
            store.delete("a")
            assert store.load("a") is None
            assert list(store.accounts()) == ["b"]
            store.save("a", b"again", version=1)
            assert store.load("a") == Stored(version=1, sealed=b"again")

    def test_accounts_lists_records_not_leases(self, make_store: Maker) -> None:
        """A lease alone makes no account."""
        with opened(make_store) as store:
            store.acquire("only leased", "me", ttl_s=60)
            assert list(store.accounts()) == []
            store.save("a", b"1", version=1)
            assert list(store.accounts()) == ["a"]

    def test_accounts_lists_all(self, make_store: Maker) -> None:
        """However many there are: what pages or has a limit must not end with its first page."""
        names = [f"account {number}" for number in range(_MANY)]
        with opened(make_store) as store:

            def one(number: int, gate: Gate) -> None:
                for name in names[number::8]:
                    store.save(name, b"1", version=1)

            in_threads(8, one, self.part_s)
            listed = list(store.accounts())
            assert len(listed) == len(names), f"of {len(names)} accounts {len(listed)} were listed"
            assert set(listed) == set(names)

    def test_closing_is_not_forgetting(self, make_store: Maker) -> None:
        """After a close the records are still there, closing twice is fine, and so is going on."""
        with opened(make_store) as store:
            store.save("a", b"1", version=1)
            store.close()
            store.close()
            assert store.load("a") == Stored(version=1, sealed=b"1")
            store.save("a", b"2", version=2)
            assert store.acquire("a", "me", ttl_s=60).holder == "me"
