"""What the other processes of the store's tests do. Run as ``python store_worker.py TASK PATH ...``.

Starts when a line comes in on standard input, so that all begin in the same moment; prints one JSON value.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from connector.errors import StoreError
from connector.record import Record
from connector.secret import Secret
from connector.store import SqliteStore
from connector.token import Token
from connector.tokenstore import Lease, Stored
from connector.vault import Vault


class Elsewhere:
    """A store that is not ours to put a key file beside, as a server's: a `SqliteStore` behind another name."""

    def __init__(self, path: Path) -> None:
        self._inner = SqliteStore(path)

    def load(self, account: str) -> Stored | None:
        return self._inner.load(account)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        self._inner.save(account, sealed, version=version)

    def delete(self, account: str) -> None:
        self._inner.delete(account)

    def accounts(self) -> Iterable[str]:
        return self._inner.accounts()

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        return self._inner.acquire(account, holder, ttl_s=ttl_s)

    def holder(self, account: str) -> Lease | None:
        return self._inner.holder(account)

    def release(self, account: str, holder: str) -> None:
        self._inner.release(account, holder)

    def close(self) -> None:
        self._inner.close()


def lease(path: Path) -> str:
    """Ask for the lease; return its holder."""
    return SqliteStore(path).acquire("a", f"holder {os.getpid()}", ttl_s=60).holder


def key(path: Path) -> str:
    """Find or make the key; return its name."""
    return Vault(SqliteStore(path), url="u", environ={}, keyring=None).sealer.keys[0].name.hex()


def rotate(home: Path) -> list[str]:
    """Rotate the shared key of a store of one's own, again and again; return the names of the keys made."""
    store = Elsewhere(home / f"{os.getpid()}.db")
    vault = Vault(store, url="u", environ={"XDG_DATA_HOME": str(home)}, keyring=None)
    store.save("a", vault.sealer.seal("a", Record(), version=1), version=1)
    made = []
    for _ in range(20):
        vault.rotate()
        stored = store.load("a")
        assert stored is not None
        made.append(stored.sealed[1:5].hex())
    return made


def keep_renewing(path: Path, account: str) -> int:
    """Renew under the lease as a pipeline does until the file ``stop`` is there; return the last number."""
    vault = Vault(SqliteStore(path), url="u", environ={}, keyring=None)
    store, me, number = vault.store, f"holder {os.getpid()}", 0
    while not path.with_name("stop").exists():
        if store.acquire(account, me, ttl_s=60).holder != me:
            continue
        stored = store.load(account)
        version = stored.version if stored else 0
        if stored:
            before = vault.sealer.open(account, stored.sealed, version=version)
            assert before.token is not None
            assert before.token.access_token.reveal() == f"{account}/{number}", "a renewal was lost"
        number += 1
        record = Record(token=Token(access_token=Secret(f"{account}/{number}"), obtained_at=1.0))
        sealed = vault.sealer.seal(account, record, version=version + 1)
        store.save(account, sealed, version=version + 1)
        store.release(account, me)
        path.with_name(f"number.{account}").write_text(str(number))
    return number


def save_until_full(path: Path, size: str) -> str:
    """Save under a limit of file size; return the code of the error that comes of it."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    try:
        SqliteStore(path).save("big", b"x" * (2 * int(size)), version=1)
    except StoreError as error:
        return f"{error.code}: {error}"
    return "saved"


def look_and_save(path: Path, uid: str) -> list[str]:
    """Load and save as a user who may not write there; return what came of each."""
    if os.geteuid() == 0:
        os.setuid(int(uid))  # root may write anywhere
    store, seen = SqliteStore(path), []
    actions: list[Callable[[], object]] = [
        lambda: store.load("a"),
        lambda: store.save("b", b"1", version=1),
        lambda: store.acquire("a", "me", ttl_s=1),
    ]
    for action in actions:
        try:
            action()
            seen.append("fine")
        except StoreError as error:
            seen.append(f"{error.code}: {error}")
    return seen


if __name__ == "__main__":
    task, path, *rest = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(globals()[task](Path(path), *rest)), flush=True)
