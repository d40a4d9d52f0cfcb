"""Sealing: what is sealed opens for the same key, account and version only, and fails in two known ways."""

from __future__ import annotations

import os
import pickle
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import StoreError
from connector.keys import new_key
from connector.record import Record
from connector.seal import Key, Sealer
from connector.secret import Secret
from connector.token import Token

CANARY = "canary-4f1d-access"
RECORD = Record(version=3, token=Token(access_token=Secret(CANARY), obtained_at=1.0, expires_at=2.0))
KEY = Key(bytes(range(32)))
SEALER = Sealer([KEY], where="a test")
SEALED = SEALER.seal("a#1", RECORD, version=3)


def opening(account: str, sealed: bytes, version: int) -> str:
    """The code of the error that opening ends in; empty when it opens."""
    try:
        SEALER.open(account, sealed, version=version)
    except StoreError as error:
        return "shows the token" if CANARY in "".join(traceback.format_exception(error)) else error.code
    return ""


def test_what_is_sealed_opens() -> None:
    """The record comes back as it was, under its version."""
    assert SEALER.open("a#1", SEALED, version=3) == RECORD


def test_nothing_shows() -> None:
    """Neither the token nor the key stands in the sealed bytes, and two sealings have nothing in common."""
    assert CANARY.encode() not in SEALED
    assert KEY.raw not in SEALED
    again = SEALER.seal("a#1", RECORD, version=3)
    assert SEALED[:5] == again[:5]
    assert SEALED[5:17] != again[5:17]
    assert SEALED[17:33] != again[17:33]


@given(st.text(), st.integers(-(2**70), 2**70))
def test_it_is_bound_to_account_and_version(account: str, version: int) -> None:
    """A record moved to another account, or put back as another version, is corrupt, whatever the numbers."""
    expected = "" if (account, version) == ("a#1", 3) else "corrupt_record"
    assert opening(account, SEALED, version) == expected


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_noticed(byte: int, bit: int) -> None:
    """At any position: in the key's name it looks like another key, anywhere else like damage."""
    changed = bytearray(SEALED)
    changed[byte] ^= 1 << bit
    expected = "wrong_key" if 1 <= byte <= 4 else "corrupt_record"
    assert opening("a#1", bytes(changed), 3) == expected


@given(st.integers(0, len(SEALED) - 1))
def test_a_truncated_record_is_noticed(length: int) -> None:
    """Cut anywhere, to nothing included."""
    assert opening("a#1", SEALED[:length], 3) == "corrupt_record"


@given(st.binary(max_size=200))
def test_any_bytes_at_all(junk: bytes) -> None:
    """Whatever a store hands back ends in one of the two errors."""
    assert opening("a#1", junk, 3) in ("corrupt_record", "wrong_key")
    assert opening("a#1", SEALED + junk, 3) == ("corrupt_record" if junk else "")


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'{"token": 5}',
        b'{"token": {"captured": 3}}',
        b'{"failures": 1e999}',
        b'{"retry_at": {}}',
        b'{"spending": [1]}',
        b'{"token": {"obtained_at": "x"}}',
        b"\xff\xfe",
    ],
)
def test_a_strange_shape_under_the_right_key(plain: bytes) -> None:
    """What another program sealed with our key is corrupt, and its text does not come up in the error."""
    nonce = os.urandom(12)
    bound = b"connector record\0" + (3).to_bytes(8, "big") + b"a#1"
    sealed = b"\x01" + KEY.name + nonce + AESGCM(KEY.raw).encrypt(nonce, plain, bound)
    assert opening("a#1", sealed, 3) == "corrupt_record"


def test_the_message_names_the_key_and_the_place() -> None:
    """A wrong key is told by its public name, with what to do."""
    other = Sealer([new_key()], where="/run/key")
    with pytest.raises(StoreError) as caught:
        other.open("a#1", SEALED, version=3)
    assert caught.value.code == "wrong_key"
    assert KEY.name.hex() in str(caught.value)
    assert "/run/key" in str(caught.value)
    assert "CONNECTOR_KEY" in caught.value.resolution
    assert pickle.loads(pickle.dumps(caught.value)).code == "wrong_key"


def test_a_key_prints_its_type_only() -> None:
    """No part of a key in its repr; its name is public and four bytes long."""
    assert repr(KEY) == "Key()"
    assert len(KEY.name) == 4
    assert KEY.name not in KEY.raw


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    """AES-256 and nothing less."""
    with pytest.raises(StoreError) as caught:
        Key(b"k" * length)
    assert caught.value.code == "bad_key"


def test_older_keys_open_and_the_first_seals() -> None:
    """After a rotation, what the old key sealed still opens; new records are under the new one."""
    old, new = KEY, new_key()
    both = Sealer([new, old])
    assert both.open("a#1", SEALED, version=3) == RECORD
    assert not both.current(SEALED)
    assert both.current(both.seal("a#1", RECORD, version=4))


def test_an_unknown_key_is_looked_for_again() -> None:
    """Another process rotated the key: the keys are read again before anything is called wrong."""
    kept = [[KEY]]
    sealer = Sealer(kept[0], reload=lambda: kept[0])
    newer = new_key()
    sealed = Sealer([newer]).seal("a#1", RECORD, version=3)
    with pytest.raises(StoreError):
        sealer.open("a#1", sealed, version=3)
    kept[0] = [newer, KEY]
    assert sealer.open("a#1", sealed, version=3) == RECORD
    assert sealer.keys == (newer, KEY)


def test_nothing_is_sealed_with_a_key_rotated_away() -> None:
    """The keys are read before each sealing, so that a process that only writes follows a rotation too."""
    newer = new_key()
    sealer = Sealer([KEY], reload=lambda: [newer, KEY])
    assert Sealer([newer]).open("a#1", sealer.seal("a#1", RECORD, version=3), version=3) == RECORD


def test_a_place_that_does_not_answer_costs_no_token() -> None:
    """A rotated refresh token is sealed with the key at hand when the keys cannot be read just now."""

    def locked() -> Any:
        raise StoreError("the keyring is locked", code="keyring_locked")

    sealer = Sealer([KEY], reload=locked)
    assert SEALER.open("a#1", sealer.seal("a#1", RECORD, version=3), version=3) == RECORD


def test_a_sealer_needs_keys_or_a_way_to_them() -> None:
    """Built without keys, it reads them when it first needs them; without a way to read, it is a mistake."""
    with pytest.raises(ValueError, match="needs a key"):
        Sealer([])
    asked: list[int] = []
    lazy = Sealer([], reload=lambda: asked.append(1) or [KEY])  # type: ignore[func-returns-value]
    assert not asked
    assert lazy.open("a#1", SEALED, version=3) == RECORD
    assert asked == [1]
