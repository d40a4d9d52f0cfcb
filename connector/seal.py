"""Sealing records: AES-256-GCM, bound to account and version, under a key that outlives the process.

A sealed record moved to another account, or put back after a newer one was saved, does not open. The name of
the key travels with each record, so that keys can be exchanged one record at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.errors import StoreError
from connector.record import Record

_FORMAT = b"\x01"
_NAME_BYTES, _NONCE_BYTES, _TAG_BYTES = 4, 12, 16
_HEAD_BYTES = len(_FORMAT) + _NAME_BYTES + _NONCE_BYTES


@dataclass(frozen=True, slots=True)
class Key:
    """A 256-bit key; prints as its name, which is public."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise StoreError(
                "the encryption key has the wrong length",
                code="bad_key",
                reason=f"it has {len(self.raw)} bytes, not 32",
                resolution="make one with `connector key new`",
            )

    @property
    def name(self) -> bytes:
        """Four bytes that tell keys apart and say nothing about them."""
        return hashlib.sha256(b"connector key name\0" + self.raw).digest()[:_NAME_BYTES]


class Sealer:
    """Seals with the first of its keys, opens with any. Safe from any thread.

    Args:
        keys: the current one first, then those that older records may still be sealed with. None yet:
            they are read when first needed, so that looking at an empty store makes no key.
        where: where the keys came from, for messages (never the keys).
        reload: reads the keys again, since another process may have made or rotated them.
    """

    def __init__(
        self, keys: Sequence[Key], *, where: str = "", reload: Callable[[], Sequence[Key]] | None = None
    ) -> None:
        if not keys and reload is None:
            raise ValueError("a Sealer needs a key, or a way to get one")
        self._keys = tuple(keys)
        self.where = where
        self._reload = reload

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys as last read. Raises StoreError when they are read for the first time."""
        return self._keys or self.read_again()

    def read_again(self) -> tuple[Key, ...]:
        """Read the keys from where they are kept. Raises StoreError."""
        if self._reload is not None:
            self._keys = tuple(self._reload())
        return self._keys

    def seal(self, account: str, record: Record, *, version: int) -> bytes:
        """Return the record as bytes that only the same key, account and version open.

        Raises StoreError when there is no key yet and none can be made.
        """
        key, nonce = self._newest(), os.urandom(_NONCE_BYTES)
        body = AESGCM(key.raw).encrypt(nonce, record.to_bytes(), _bound(account, version))
        return _FORMAT + key.name + nonce + body

    def open(self, account: str, sealed: bytes, *, version: int) -> Record:
        """Return the record. Raises StoreError ``wrong_key`` or ``corrupt_record``."""
        if sealed[:1] != _FORMAT or len(sealed) < _HEAD_BYTES + _TAG_BYTES:
            raise self._corrupt(account, "it is not a sealed record of this version of connector")
        name = sealed[1 : 1 + _NAME_BYTES]
        key = self._key(name)
        if key is None:
            raise StoreError(
                f"the token of account {account!r} cannot be opened",
                code="wrong_key",
                reason=f"it is sealed with key {name.hex()}, which is not in {self.where or 'the key ring'}",
                resolution="bring that key back (CONNECTOR_KEY), or authorize the account again",
            )
        nonce, body = sealed[1 + _NAME_BYTES : _HEAD_BYTES], sealed[_HEAD_BYTES:]
        try:
            plain = AESGCM(key.raw).decrypt(nonce, body, _bound(account, version))
        except (InvalidTag, ValueError, OverflowError):
            raise self._corrupt(
                account, "its bytes were changed, or moved from another account or version"
            ) from None
        try:
            return Record.from_bytes(plain, version=version)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            # What is chained here would show the opened record.
            raise self._corrupt(
                account, "it has a shape that this version of connector cannot read"
            ) from None

    def _newest(self) -> Key:
        """The key to seal with: asked for anew, so that nothing is sealed with a key rotated away."""
        # The keys at hand still do when they cannot be read just now: a rotated refresh token
        # exists once in the world, and losing it is worse than sealing it with yesterday's key.
        if self._keys:
            with contextlib.suppress(StoreError):
                self.read_again()
        return self.keys[0]

    def _key(self, name: bytes) -> Key | None:
        found = next((key for key in self.keys if key.name == name), None)
        if found is None:
            found = next((key for key in self.read_again() if key.name == name), None)
        return found

    def current(self, sealed: bytes) -> bool:
        """Whether a sealed record is under the current key."""
        return sealed[1 : 1 + _NAME_BYTES] == self.keys[0].name

    @staticmethod
    def _corrupt(account: str, reason: str) -> StoreError:
        return StoreError(
            f"the stored token of account {account!r} is damaged",
            code="corrupt_record",
            reason=reason,
            resolution=f"authorize it again: `connector adopt {account}`",
        )


def _bound(account: str, version: int) -> bytes:
    return b"connector record\0" + version.to_bytes(8, "big") + account.encode()
