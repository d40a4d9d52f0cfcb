"""Where tokens outlive the process: the protocol every store speaks, and the values it speaks in.

Rules of this room: a store moves sealed bytes. It never sees a token, so no store can leak one, and one
written by a stranger is as safe as ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from connector.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a store holds for one account.

    Attributes:
        version: generation of the record, counted from 1; each save adds one.
        sealed: encrypted bytes, opaque to the store.
    """

    version: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A short promise that one holder may renew.

    Attributes:
        account: key of the account.
        holder: who has it (host, process and a random part, fit for a message), told from others to the last
            character.
        expires_at: when it ends by itself, seconds since the epoch by the store's clock; nobody else gets it
            before. connector tells that clock from a lease just given: ``expires_at - ttl_s`` is now.
    """

    account: str
    holder: str
    expires_at: float


class VersionConflict(StoreError):
    """Another holder saved first; load again."""

    code = "version_conflict"


class TokenStore(Protocol):
    """Keeps one sealed record per account, with save-if-version and a lease. Safe from any thread.

    Every method may raise StoreError; none may wait for longer than a few seconds.
    """

    def load(self, account: str) -> Stored | None:
        """Return the record, or None when there is none."""

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        """Save as `version`, if and only if the stored version is ``version - 1`` (0: no record).

        On return the record survives a crash of this machine. Raises VersionConflict.
        """

    def delete(self, account: str) -> None:
        """Forget the record; nothing happens when there is none."""

    def accounts(self) -> Iterable[str]:
        """Keys of all records."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        """Take the lease, or extend it if `holder` has it; either way it ends `ttl_s` from now.

        Returns the lease in force afterwards: ``lease.holder != holder`` means that somebody else has it.
        """

    def holder(self, account: str) -> Lease | None:
        """Who has the lease now, None when nobody."""

    def release(self, account: str, holder: str) -> None:
        """Give the lease back; nothing happens when `holder` does not have it."""

    def close(self) -> None:
        """Let go of files and connections. Further calls may open them again."""


@runtime_checkable
class Waking(TokenStore, Protocol):
    """A `TokenStore` that wakes those who wait for an account; without it they look again and again."""

    def wait(self, account: str, timeout_s: float) -> None:
        """Return when the account's record was saved or its lease released, at the latest after `timeout_s`.

        By anybody, here or elsewhere; also when that happened since the last `wait` of this thread for this
        account. It wakes all who wait, in whatever thread or process. It may return early for no reason now
        and then, not always: its caller looks and waits again, and must not do so without pause. It raises
        nothing: whoever is woken looks for himself.
        """
