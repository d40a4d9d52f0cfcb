"""A token store with its key: opened by URL or given, the key found or made when first needed."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from connector.errors import ConnectorError, StoreError
from connector.hookspecs import StoreOpener
from connector.keys import keep, new_key, sealer_for
from connector.seal import Sealer
from connector.store import MemoryStore, SqliteStore
from connector.tokenstore import TokenStore, VersionConflict

# A memory store that is handed to several hosts has one key for all of them.
_given: weakref.WeakKeyDictionary[object, Sealer] = weakref.WeakKeyDictionary()
_given_lock = threading.Lock()


class Vault:
    """A store and, lazily, its sealer: looking at a manifest must not leave a key behind."""

    def __init__(self, store: TokenStore, *, url: str) -> None:
        self.store = store
        self.url = url
        self._sealer: Sealer | None = None
        self._lock = threading.Lock()

    @property
    def key_file(self) -> Path:
        """Where the key is when neither CONNECTOR_KEY nor the OS keyring has it."""
        if isinstance(self.store, SqliteStore):
            return self.store.path.with_name(self.store.path.name + ".key")
        return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "connector" / "key"

    @property
    def sealer(self) -> Sealer:
        """The sealer; finds or makes the key. Raises StoreError."""
        with self._lock:
            if self._sealer is None:
                self._sealer = self._find()
            return self._sealer

    def rotate(self) -> int:
        """Make a new key and seal every record with it; the last one is kept for stragglers.

        Returns the number of records. Safe beside running pipelines: they read the keys again.
        Raises StoreError; with CONNECTOR_KEY, whoever set it puts the new key in front first.
        """
        old = self.sealer
        if old.where == "CONNECTOR_KEY" and len(old.keys) > 1:
            sealer = old
        else:
            sealer = Sealer([new_key(), *old.keys], where=old.where)
            keep(sealer, self.url, self.key_file)
        count = 0
        for account in self.store.accounts():
            while True:
                stored = self.store.load(account)
                if stored is None or sealer.current(stored.sealed):
                    break
                record = sealer.open(account, stored.sealed, version=stored.version)
                version = stored.version + 1
                try:
                    sealed = sealer.seal(account, record, version=version)
                    self.store.save(account, sealed, version=version)
                except VersionConflict:
                    continue
                count += 1
                break
        if old.where != "CONNECTOR_KEY":
            sealer = Sealer(sealer.keys[:2], where=old.where)
            keep(sealer, self.url, self.key_file)
        with self._lock:
            self._sealer = None
        return count

    def _find(self) -> Sealer:
        if isinstance(self.store, MemoryStore):
            with _given_lock:
                return _given.setdefault(self.store, Sealer([new_key()], where="memory"))
        return sealer_for(self.url, self.key_file)


def open_vault(store: str | TokenStore, openers: Mapping[str, StoreOpener], folder: Path) -> Vault:
    """Open a store by URL, or take one. Raises StoreError ``bad_store_url`` for a scheme nobody knows."""
    if not isinstance(store, str):
        return Vault(store, url=f"object:{type(store).__name__}")
    scheme = store.partition(":")[0]
    if scheme not in openers:
        known = ", ".join(sorted(openers))
        raise StoreError(
            f"no token store is known for {scheme}:",
            code="bad_store_url",
            reason=f"known are {known}",
            resolution="write for example sqlite:///tokens.db, or install the plugin that brings it",
        )
    try:
        opened = openers[scheme](store, folder)
    except ConnectorError:
        raise
    except Exception as error:
        raise StoreError(
            f"the token store {shown(store)} cannot be opened",
            code="store_unusable",
            reason=type(error).__name__,
        ) from None
    if isinstance(opened, SqliteStore):
        opened.path = opened.path.resolve()
        return Vault(opened, url=f"sqlite:///{opened.path}")
    return Vault(opened, url=shown(store))


def shown(url: str) -> str:
    """A store URL without the password it may carry."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)
