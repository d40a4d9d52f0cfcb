"""Sealing records: AES-256-GCM, bound to account and version, under a key that outlives the process.

A sealed record moved to another account, or put back after a newer one was saved, does not open. The name of
the key travels with each record, so that keys can be exchanged one record at a time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.errors import StoreError
from connector.record import Record

_FORMAT = b"\x01"
_NAME_BYTES, _NONCE_BYTES = 4, 12


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
    """Seals with the first of its keys, opens with any.

    Args:
        keys: the current one first, then those that older records may still be sealed with.
        where: where the keys came from, for messages (never the keys).
        reload: reads the keys again; asked when a record is sealed with one that is not here, since
            another process may have rotated them.
    """

    def __init__(
        self, keys: Sequence[Key], *, where: str = "", reload: Callable[[], Sequence[Key]] | None = None
    ) -> None:
        self.keys = tuple(keys)
        self.where = where
        self._reload = reload

    def seal(self, account: str, record: Record, *, version: int) -> bytes:
        """Return the record as bytes that only the same key, account and version open."""
        key, nonce = self.keys[0], os.urandom(_NONCE_BYTES)
        body = AESGCM(key.raw).encrypt(nonce, record.to_bytes(), _bound(account, version))
        return _FORMAT + key.name + nonce + body

    def open(self, account: str, sealed: bytes, *, version: int) -> Record:
        """Return the record. Raises StoreError ``wrong_key`` or ``corrupt_record``."""
        if sealed[:1] != _FORMAT or len(sealed) < 1 + _NAME_BYTES + _NONCE_BYTES + 16:
            raise self._corrupt(account, "it is not a sealed record of this version of connector")
        name = sealed[1 : 1 + _NAME_BYTES]
        nonce = sealed[1 + _NAME_BYTES : 1 + _NAME_BYTES + _NONCE_BYTES]
        key = self._key(name)
        if key is None:
            raise StoreError(
                f"the token of account {account!r} cannot be opened",
                code="wrong_key",
                reason=f"it is sealed with key {name.hex()}, which is not in {self.where or 'the key ring'}",
                resolution="bring that key back (CONNECTOR_KEY), or authorize the account again",
            )
        try:
            plain = AESGCM(key.raw).decrypt(
                nonce, sealed[1 + _NAME_BYTES + _NONCE_BYTES :], _bound(account, version)
            )
            return Record.from_bytes(plain, version=version)
        except (InvalidTag, ValueError, KeyError, TypeError):
            raise self._corrupt(account, "its bytes were changed, or moved from another account") from None

    def _key(self, name: bytes) -> Key | None:
        found = next((key for key in self.keys if key.name == name), None)
        if found is None and self._reload is not None:
            self.keys = tuple(self._reload())
            found = next((key for key in self.keys if key.name == name), None)
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
