"""A store with few operations under way at a time, whatever the number of accounts that fall due together.

Five hundred that renew in the same second would otherwise take every connection that a server has, and then
the answers of token endpoints could not be saved. So looking has a lane, and saving has one of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from connector.errors import StoreError
from connector.landing import copied
from connector.lives import forks
from connector.tokenstore import Lease, Stored, TokenStore, VersionConflict, Waking

MOST = 4  # operations of each kind at a time; so many connections twice a host has at most


class Lanes:
    """`TokenStore` before another one."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._looks, self._saves = _Lane(patient=False), _Lane(patient=True)

    def load(self, account: str) -> Stored | None:
        """See `TokenStore.load`."""
        with self._looks.taken():
            return self._store.load(account)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        """See `TokenStore.save`."""
        with self._saves.taken():
            self._store.save(account, sealed, version=version)

    def delete(self, account: str) -> None:
        """See `TokenStore.delete`."""
        with self._saves.taken():
            self._store.delete(account)

    def accounts(self) -> Iterable[str]:
        """See `TokenStore.accounts`."""
        with self._looks.taken():
            return self._store.accounts()

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        """See `TokenStore.acquire`."""
        with self._looks.taken():
            return self._store.acquire(account, holder, ttl_s=ttl_s)

    def holder(self, account: str) -> Lease | None:
        """See `TokenStore.holder`."""
        with self._looks.taken():
            return self._store.holder(account)

    def release(self, account: str, holder: str) -> None:
        """See `TokenStore.release`."""
        with self._saves.taken():
            self._store.release(account, holder)

    def close(self) -> None:
        """See `TokenStore.close`."""
        self._store.close()


class _Waking(Lanes):
    """One that wakes those who wait; waiting is no operation, and any number may."""

    def __init__(self, store: Waking) -> None:
        super().__init__(store)
        self.wait = store.wait


def laned(store: TokenStore) -> TokenStore:
    """The same store, with lanes before it."""
    return _Waking(store) if isinstance(store, Waking) else Lanes(store)


class _Lane:
    """So many at a time.

    Args:
        patient: each tries for itself; else those who have waited while another found the store away are told
            the same, and do not find it out one after the other, each for some seconds.
    """

    def __init__(self, *, patient: bool) -> None:
        self._patient = patient
        self._failures = 0
        self._error: StoreError | None = None
        self._slots = threading.Semaphore(MOST)
        forks(self)

    def after_fork(self) -> None:
        """In the child: those who were in it are not here."""
        self._slots = threading.Semaphore(MOST)

    @contextmanager
    def taken(self) -> Iterator[None]:
        slots, before = self._slots, self._failures
        waited = not slots.acquire(blocking=False)
        if waited:
            slots.acquire()
        try:
            if waited and self._failures != before and self._error is not None and not self._patient:
                raise copied(self._error)
            yield
        except VersionConflict:
            raise
        except StoreError as error:
            self._fails(error)
            raise
        finally:
            slots.release()

    def _fails(self, error: StoreError) -> None:
        told: Any = copied(error)
        self._error = told
        self._failures += 1
