"""A token store with its key: opened by URL or given, the key found or made when first needed."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from connector.errors import ConnectorError, StoreError
from connector.hookspecs import StoreOpener
from connector.keys import keep, new_key, sealer_for
from connector.lives import forks
from connector.seal import Key, Sealer
from connector.store import MemoryStore, SqliteStore
from connector.tokenstore import TokenStore, VersionConflict

# A memory store that is handed to several hosts has one key for all of them.
_given: weakref.WeakKeyDictionary[object, Sealer] = weakref.WeakKeyDictionary()


class _Given:
    """The lock of the above, new in the child of a fork."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    after_fork = __init__


_guard = forks(_Given())

# Not a name that an account can have, so its lease never meets an account's.
_ROTATION = "#rotation of the key"
_ROTATION_S = 60.0


class Vault:
    """A store and, lazily, its sealer: looking at a manifest must not leave a key behind.

    Args:
        url: of the store, without a password; names its key in the OS keyring.
        environ: where CONNECTOR_KEY is looked for.
        keyring: the OS keyring (``system``), another object with its two methods, or None for none.
        sleep: lets a rotation wait for a renewal under way.
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        url: str,
        environ: Mapping[str, str] = os.environ,
        keyring: Any = "system",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.url = url
        self._environ = environ
        self._keyring = keyring
        self._sleep = sleep
        self._lock = threading.RLock()
        self._found: Sealer | None = None
        self._sealer = Sealer((), reload=self._keys)
        forks(self)

    def after_fork(self) -> None:
        """In the child: a lock that another thread held is held by nobody here."""
        self._lock = threading.RLock()

    @property
    def key_file(self) -> Path:
        """Where the key is when neither CONNECTOR_KEY nor the OS keyring has it."""
        if isinstance(self.store, SqliteStore):
            return self.store.path.with_name(self.store.path.name + ".key")
        home = self._environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(home).expanduser() / "connector" / "key"

    @property
    def shares_key(self) -> bool:
        """Whether the place of the key may be that of other stores too; then no key is ever forgotten.

        Only a SQLite store's own goes by its absolute path. All others share one key file, and a URL that
        a plugin takes for relative is one name in the OS keyring for as many stores as there are folders.
        """
        return not isinstance(self.store, (SqliteStore, MemoryStore))

    @property
    def sealer(self) -> Sealer:
        """The sealer; it finds or makes its key when it first seals or opens something."""
        return self._sealer

    def rotate(self) -> int:
        """Make a new key and seal every record with it; the last one is kept for stragglers.

        Where other stores may have their key in the same place (`shares_key`), all of them are kept: the
        records of those stores are not at hand. Returns the number of records sealed anew. Safe beside
        running pipelines: they read the keys again, and each record is sealed under its account's lease,
        between two renewals. Raises StoreError: ``rotation_running`` when somebody else is at it,
        ``key_in_environment`` when CONNECTOR_KEY holds one key only (whoever set it puts the new one in
        front first).
        """
        holder = f"rotation/{os.getpid()}/{secrets.token_hex(4)}"
        self._hold(holder)
        try:
            return self._rotate(holder)
        finally:
            self.store.release(_ROTATION, holder)

    def _hold(self, holder: str) -> None:
        """Take or keep the lease: of two at once, one might forget what the other still needs."""
        lease = self.store.acquire(_ROTATION, holder, ttl_s=_ROTATION_S)
        if lease.holder != holder:
            raise StoreError(
                "the key is being rotated by another process",
                code="rotation_running",
                reason=f"{lease.holder} has begun and not yet ended",
                resolution=f"try again later; what a crashed one left ends by itself in {_ROTATION_S:.0f} s",
            )

    def _rotate(self, holder: str) -> int:
        keys, where = self.sealer.read_again(), self.sealer.where
        chosen_by_us = where != "CONNECTOR_KEY" or len(keys) == 1
        if chosen_by_us:
            new = new_key()
            keys = self._change(lambda kept: (new, *kept))
        sealer = Sealer(keys, where=where, reload=lambda: self._at_least(keys))
        count = 0
        for account in self.store.accounts():
            self._hold(holder)
            count += self._seal_anew(account, holder, sealer)
        if chosen_by_us and not self.shares_key:
            # Only now, with nothing left under it, may a key be forgotten.
            self._change(lambda kept: kept[:2] if kept[0] == new else kept)
        self.sealer.read_again()
        return count

    def _at_least(self, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """The keys as they are now, which another project may have added to.

        An older list must not come back between two records.
        """
        found = self.sealer.read_again()
        return found if set(keys) <= set(found) else keys

    def _seal_anew(self, account: str, holder: str, sealer: Sealer) -> bool:
        """Seal one record with the current key, under its lease: no renewal finds its record gone on."""
        deadline = 120
        while self.store.acquire(account, holder, ttl_s=20.0).holder != holder and deadline:
            self._sleep(0.5)
            deadline -= 1
        try:
            while True:
                stored = self.store.load(account)
                if stored is None or sealer.current(stored.sealed):
                    return False
                record = sealer.open(account, stored.sealed, version=stored.version)
                version = stored.version + 1
                sealed = sealer.seal(account, replace(record, version=version), version=version)
                try:
                    self.store.save(account, sealed, version=version)
                except VersionConflict:
                    continue  # a person brought a login just now: theirs is sealed anew instead
                return True
        finally:
            self.store.release(account, holder)

    def _change(self, change: Callable[[tuple[Key, ...]], Iterable[Key]]) -> tuple[Key, ...]:
        """Replace the keys where they are kept; returns those that are kept there now."""
        if isinstance(self.store, MemoryStore):
            with _guard.lock:
                kept = _given[self.store] = Sealer(tuple(change(_given[self.store].keys)), where="memory")
            return kept.keys
        assert self._found is not None, "the keys are read before they are changed"
        return keep(self._found, change, self.url, self.key_file, keyring=self._keyring)

    def _keys(self) -> Sequence[Key]:
        if isinstance(self.store, MemoryStore):
            with _guard.lock:
                found = _given.setdefault(self.store, Sealer([new_key()], where="memory"))
            self._sealer.where = found.where
            return found.keys
        if self._found is not None:
            return self._found.read_again()
        # Not under the lock, since a keyring may ask its person: two who look find the same.
        found = sealer_for(
            self.url,
            self.key_file,
            environ=self._environ,
            keyring=self._keyring,
            may_make=lambda: not any(True for _ in self.store.accounts()),
        )
        with self._lock:
            self._found = self._found or found
        self._sealer.where = self._found.where
        return self._found.keys


def open_vault(store: str | TokenStore, openers: Mapping[str, StoreOpener], folder: Path) -> Vault:
    """Open a store by URL, or take one. Raises StoreError ``bad_store_url`` for a scheme nobody knows."""
    if not isinstance(store, str):
        return Vault(store, url=_url_of(store, f"object:{type(store).__name__}"))
    scheme = store.partition(":")[0]
    if scheme not in openers:
        known = ", ".join(sorted(openers))
        raise StoreError(
            f"no token store is known for {scheme}:" if ":" in store else "the store is no URL",
            code="bad_store_url",
            reason=f"known are {known}",
            resolution="write for example sqlite:///tokens.db, or install the plugin that brings it",
        )
    try:
        opened = openers[scheme](store, folder)
    except ConnectorError:
        raise
    except Exception as error:
        # Its text may hold the URL, and that a password.
        raise StoreError(
            f"the token store {shown(store)} cannot be opened",
            code="store_unusable",
            reason=type(error).__name__,
            resolution="check its URL, and that what it names is running",
        ) from None
    if isinstance(opened, SqliteStore):
        opened.path = opened.path.resolve()
    return Vault(opened, url=_url_of(opened, shown(store)))


def _url_of(store: TokenStore, otherwise: str) -> str:
    """One name for one file, however it was opened: the key in the OS keyring goes by it."""
    return f"sqlite:///{store.path.resolve()}" if isinstance(store, SqliteStore) else otherwise


def shown(url: str) -> str:
    """A store URL without the password it may carry, as user info or as a parameter."""
    url = re.sub(r"(?<=://)([^/?#]*):[^/?#]*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&#]*(?:password|passwd|secret|token)[^=&#]*=)[^&#]*", r"\1***", url)
