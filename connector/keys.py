"""Where the encryption key of a token store lives: CONNECTOR_KEY, the OS keyring, or a file beside the store.

Rules of this room: the first place that has a key wins and stays; a new one is made only where there is none.
A pipeline at 3 a.m. may run where no keyring is unlocked: then the error says so, and no second key is made.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.errors import StoreError
from connector.seal import Key, Sealer

_SERVICE = "connector"


def sealer_for(
    url: str, key_file: Path, *, environ: Mapping[str, str] = os.environ, keyring: Any = "system"
) -> Sealer:
    """Return the sealer of the store at `url`, making a key where there is none.

    Args:
        url: of the store; the name of its key in the OS keyring.
        key_file: where the key is, or is made, when there is no keyring.
        keyring: the OS keyring (``system``), another object with its two methods, or None for none.
    """
    text = environ.get("CONNECTOR_KEY", "")
    if text.strip():
        return Sealer(parse_keys(text, where="CONNECTOR_KEY"), where="CONNECTOR_KEY")
    if key_file.exists():
        return _of_file(key_file)
    ring = _system_keyring() if keyring == "system" else keyring
    if ring is not None:
        found = _from_ring(ring, url)
        if found:
            return _of_ring(ring, url, found)
        made = encode([new_key()])
        try:
            ring.set_password(_SERVICE, url, made)
            # Read it back: of two processes that make one at once, the last to write wins for both.
            return _of_ring(ring, url, ring.get_password(_SERVICE, url) or made)
        except Exception:
            ring = None  # a keyring that refuses to keep things is no keyring
    _write(key_file, [new_key()], replace=False)
    return _of_file(key_file)


def _of_file(path: Path) -> Sealer:
    return Sealer(_read(path), where=str(path), reload=lambda: _read(path))


def _of_ring(ring: Any, url: str, text: str) -> Sealer:
    where = "the OS keyring"
    return Sealer(
        parse_keys(text, where=where),
        where=where,
        reload=lambda: parse_keys(_from_ring(ring, url) or text, where=where),
    )


def keep(sealer: Sealer, url: str, key_file: Path, *, keyring: Any = "system") -> None:
    """Write the keys of `sealer` back to where they came from (key rotation). Raises StoreError."""
    if sealer.where == "CONNECTOR_KEY":
        raise StoreError(
            "the key comes from CONNECTOR_KEY, which only you can change",
            code="key_in_environment",
            resolution="put the new key in front: CONNECTOR_KEY='new old', then run this again",
        )
    if sealer.where == "the OS keyring":
        ring = _system_keyring() if keyring == "system" else keyring
        ring.set_password(_SERVICE, url, encode(sealer.keys))
    else:
        _write(key_file, list(sealer.keys), replace=True)


def new_key() -> Key:
    """A fresh random key."""
    return Key(secrets.token_bytes(32))


def encode(keys: Any) -> str:
    """Keys as the text that CONNECTOR_KEY and a key file hold: base64, current one first."""
    return " ".join(base64.urlsafe_b64encode(key.raw).decode() for key in keys)


def parse_keys(text: str, *, where: str) -> tuple[Key, ...]:
    """The opposite of `encode`; commas and new lines separate as well. Raises StoreError ``bad_key``."""
    keys = []
    for word in text.replace(",", " ").split():
        try:
            keys.append(Key(base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)))
        except (binascii.Error, ValueError):
            raise StoreError(
                f"what {where} holds is no encryption key",
                code="bad_key",
                reason="it is not base64",
                resolution="make one with `connector key new`",
            ) from None
    if not keys:
        raise StoreError(
            f"{where} is empty", code="bad_key", resolution="make a key with `connector key new`"
        )
    return tuple(keys)


def _read(path: Path) -> tuple[Key, ...]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("ascii", "replace")
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be read", code="bad_key", reason=str(error)) from None
    if os.name == "posix" and mode & 0o077:
        raise StoreError(
            f"the key file {path} can be read by others",
            code="key_exposed",
            reason=f"its mode is {mode:04o}",
            resolution=f"run `chmod 600 {path}`; if others had access, run `connector key rotate` after it",
        )
    return parse_keys(text, where=str(path))


def _write(path: Path, keys: list[Key], *, replace: bool) -> None:
    """Write whole or not at all; without `replace`, whoever comes first wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(encode(keys) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(part, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(part, path)
    except OSError as error:
        raise StoreError(
            f"the key file {path} cannot be written", code="bad_key", reason=str(error)
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _system_keyring() -> Any:
    """The OS keyring, or None where there is none that keeps secrets."""
    try:
        import keyring
        import keyring.backends.chainer
        import keyring.backends.fail
        import keyring.backends.null

        backend = keyring.get_keyring()
        nothing = (keyring.backends.fail.Keyring, keyring.backends.null.Keyring)
        if isinstance(backend, keyring.backends.chainer.ChainerBackend) and not backend.backends:
            return None
        return (
            None if isinstance(backend, nothing) or "plaintext" in type(backend).__name__.lower() else backend
        )
    except Exception:
        return None


def _from_ring(ring: Any, url: str) -> str:
    try:
        return ring.get_password(_SERVICE, url) or ""
    except Exception as error:
        raise StoreError(
            "the OS keyring does not answer",
            code="keyring_locked",
            reason=type(error).__name__,
            resolution="unlock it, or give the key in CONNECTOR_KEY where nobody can",
        ) from None
