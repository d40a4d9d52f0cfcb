"""The contract finds what is wrong with a store; else it would promise nothing."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from wrong_stores import failure

from connector.store import MemoryStore, SqliteStore
from connector.testing import TokenStoreContract
from connector.tokenstore import Lease, Stored, TokenStore

ROOT = Path(__file__).parents[2]


class Overwrites(MemoryStore):
    """Saves whatever version."""

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        self.delete(account)
        self._records[account] = Stored(version=version, sealed=sealed)


class Strips(MemoryStore):
    """Takes bytes for text."""

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        super().save(account, sealed.rstrip(b"\0"), version=version)


class Folds(MemoryStore):
    """Takes names without their case."""

    def load(self, account: str) -> Stored | None:
        return super().load(account.lower())

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        super().save(account.lower(), sealed, version=version)


class ListsLeases(MemoryStore):
    """Takes a lease for an account."""

    def accounts(self) -> Iterable[str]:
        return sorted({*super().accounts(), *self._leases})


class Everlasting(MemoryStore):
    """Its leases have no end."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        return super().acquire(account, holder, ttl_s=ttl_s + 1000)


class Generous(MemoryStore):
    """Gives the lease to whoever asks."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        self._leases.pop(account, None)
        return super().acquire(account, holder, ttl_s=ttl_s)


class AnybodyReleases(MemoryStore):
    """Ends a lease whoever has it."""

    def release(self, account: str, holder: str) -> None:
        self._leases.pop(account, None)


class Sleepy(MemoryStore):
    """Wakes nobody."""

    def _tell(self, account: str) -> None:
        self._told[account] += 1


class Deaf(MemoryStore):
    """Wakes only those who wait just then."""

    def wait(self, account: str, timeout_s: float) -> None:
        self._seen.__dict__.clear()
        super().wait(account, timeout_s)


class Forgets(MemoryStore):
    """Takes a close for the end."""

    def close(self) -> None:
        self._records.clear()


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Overwrites, "test_a_save_on_another_version_is_refused"),
        (Overwrites, "test_the_first_version_is_one"),
        (Overwrites, "test_of_many_threads_one_saves_each_version"),
        (Strips, "test_any_bytes_are_a_record"),
        (Folds, "test_any_name_is_a_name"),
        (ListsLeases, "test_accounts_lists_records_not_leases"),
        (Everlasting, "test_a_lease_ends_by_itself"),
        (Generous, "test_a_lease_has_one_holder"),
        (Generous, "test_of_many_threads_one_gets_the_lease"),
        (AnybodyReleases, "test_only_the_holder_releases"),
        (Sleepy, "test_waiters_are_woken"),
        (Deaf, "test_what_happens_between_two_waits_is_not_missed"),
        (Forgets, "test_closing_is_not_forgetting"),
        (SqliteStore, "test_waiters_are_woken"),
    ],
)
def test_it_finds_what_is_wrong(kind: Callable[..., TokenStore], test: str, tmp_path: Path) -> None:
    """Each store breaks one promise, and the test of that promise fails."""
    store = kind(tmp_path / "tokens.db") if kind is SqliteStore else kind()
    failure(test, store)


class ByItself(SqliteStore):
    """Keeps leases of each process apart."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._own = MemoryStore()

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        return self._own.acquire(account, holder, ttl_s=ttl_s)

    def release(self, account: str, holder: str) -> None:
        self._own.release(account, holder)


def test_it_finds_leases_that_other_processes_do_not_see(tmp_path: Path) -> None:
    """Each process believes that it alone counts, and the sum tells."""
    with pytest.raises(AssertionError):
        TokenStoreContract().test_processes_share_it(functools.partial(ByItself, tmp_path / "tokens.db"))


def test_every_test_says_what_it_is_for() -> None:
    """Its reader is whoever wrote the store that fails it."""
    tests = [
        getattr(TokenStoreContract, name) for name in dir(TokenStoreContract) if name.startswith("test_")
    ]
    assert len(tests) >= 25
    assert all(test.__doc__ for test in tests)


@pytest.mark.parametrize(
    ("module", "extra", "urls"),
    [
        ("psycopg", "postgresql", ["postgresql://u:CANARY@host/db", "postgres://u:CANARY@host/db"]),
        ("redis", "redis", ["redis://:CANARY@host/0", "rediss://:CANARY@host/0", "redis+unix://:CANARY@/s"]),
    ],
)
def test_a_driver_that_is_not_installed(module: str, extra: str, urls: list[str]) -> None:
    """The other stores work without it; this one says what to install, and nothing of its URL's password."""
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "import pathlib\n"
        "from connector.errors import StoreError\n"
        "from connector.registry import collect\n"
        "from connector.vault import open_vault\n"
        "openers = collect().stores\n"
        "open_vault('memory://', openers, pathlib.Path())\n"
        f"for url in {urls!r}:\n"
        "    try: open_vault(url, openers, pathlib.Path())\n"
        "    except StoreError as error: print(error.code, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tempfile.gettempdir(), capture_output=True, text=True, check=True
    )
    words = done.stdout.splitlines()
    assert len(words) == len(urls)
    for line in words:
        assert line.startswith("driver_missing ")
        assert f"pip install 'connector[{extra}]'" in line
        assert "CANARY" not in line
