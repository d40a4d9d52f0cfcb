"""A store that lives and dies with the process: for tests, and for endpoints that do the same."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from connector.lives import forks
from connector.moment import steady_beside
from connector.tokenstore import Lease, Stored, VersionConflict


class MemoryStore:
    """`TokenStore` in a dictionary. Shared by threads, not by processes.

    Args:
        clock: the wall clock, which ends of leases are told by.
        steady: the clock by which they end; None: the one that belongs to `clock`.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, steady: Callable[[], float] | None = None
    ) -> None:
        self._clock = clock
        self._steady = steady or steady_beside(clock)
        self._records: dict[str, Stored] = {}
        self._leases: dict[str, tuple[str, float]] = {}  # holder, and end by the steady clock
        self.after_fork()
        forks(self)
        self._told: Counter[str] = Counter()  # how often each account changed
        self._seen = threading.local()  # the same as each thread saw it when it last waited

    def after_fork(self) -> None:
        """In the child, which goes on with a copy: what another thread held is held by nobody here."""
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)

    def __repr__(self) -> str:
        return f"<MemoryStore, {len(self._records)} records>"

    def load(self, account: str) -> Stored | None:
        """See `TokenStore.load`."""
        return self._records.get(account)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        """See `TokenStore.save`."""
        with self._lock:
            found = self._records.get(account)
            if (found.version if found else 0) != version - 1:
                raise VersionConflict(f"the record of account {account!r} was saved by another holder")
            self._records[account] = Stored(version=version, sealed=bytes(sealed))
            self._tell(account)

    def delete(self, account: str) -> None:
        """See `TokenStore.delete`."""
        with self._lock:
            self._records.pop(account, None)

    def accounts(self) -> Iterable[str]:
        """See `TokenStore.accounts`."""
        with self._lock:
            return sorted(self._records)

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        """See `TokenStore.acquire`."""
        with self._lock:
            now, found = self._steady(), self._leases.get(account)
            if found is None or found[0] == holder or found[1] <= now:
                found = self._leases[account] = (holder, now + ttl_s)
            return self._told_of(account, found, now)

    def holder(self, account: str) -> Lease | None:
        """See `TokenStore.holder`."""
        now, found = self._steady(), self._leases.get(account)
        return self._told_of(account, found, now) if found and found[1] > now else None

    def _told_of(self, account: str, found: tuple[str, float], now: float) -> Lease:
        return Lease(account=account, holder=found[0], expires_at=self._clock() + (found[1] - now))

    def release(self, account: str, holder: str) -> None:
        """See `TokenStore.release`."""
        with self._lock:
            found = self._leases.get(account)
            if found and found[0] == holder:
                del self._leases[account]
                self._tell(account)

    def wait(self, account: str, timeout_s: float) -> None:
        """See `connector.tokenstore.Waking`."""
        seen: dict[str, int] = self._seen.__dict__
        with self._lock:
            before = seen.get(account, self._told[account])
            self._news.wait_for(lambda: self._told[account] != before, timeout_s)
            seen[account] = self._told[account]

    def _tell(self, account: str) -> None:
        self._told[account] += 1
        self._news.notify_all()

    def close(self) -> None:
        """Nothing to let go of: the records stay, as the protocol says."""
