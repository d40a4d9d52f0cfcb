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
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from connector.errors import StoreError
from connector.seal import Key, Sealer
from connector.secret import Secret

_SERVICE = "connector"
_IN_ENVIRONMENT, _IN_KEYRING = "CONNECTOR_KEY", "the OS keyring"
_ELSEWHERE = "give the key in CONNECTOR_KEY"


def sealer_for(
    url: str,
    key_file: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    keyring: Any = "system",
    may_make: Callable[[], bool] = lambda: True,
) -> Sealer:
    """Return the sealer of the store at `url`, making a key where there is none.

    Args:
        url: of the store; the name of its key in the OS keyring.
        key_file: where the key is, or is made, when there is no keyring.
        keyring: the OS keyring (``system``), another object with its two methods, or None for none.
        may_make: asked before a new key is made; False: the store holds records, so one is missing.

    Raises StoreError ``bad_key``, ``key_exposed``, ``key_missing`` or ``keyring_locked``.
    """
    text = Secret(environ.get(_IN_ENVIRONMENT, "").strip())
    del environ  # from here on an error's frames may be shown, and an environment is full of secrets
    if text:
        return Sealer(parse_keys(text, where=_IN_ENVIRONMENT), where=_IN_ENVIRONMENT)
    ring = _system_keyring() if keyring == "system" else keyring
    found = _existing(ring, url, key_file)
    if found is not None:
        return found
    if not may_make():
        raise StoreError(
            "the key of the token store is missing",
            code="key_missing",
            reason=f"it holds records, but there is no key in {key_file}"
            + (", nor in the OS keyring" if ring is not None else ", and there is no OS keyring here"),
            resolution=f"bring the key back or {_ELSEWHERE};"
            " if it is lost, delete the token store and authorize the accounts again",
        )
    with _one_at_a_time(key_file.parent):
        return _existing(ring, url, key_file) or _made(ring, url, key_file)


def _existing(ring: Any, url: str, key_file: Path) -> Sealer | None:
    # lexists: a link that leads nowhere is a key that is missing, not an invitation to make one.
    if os.path.lexists(key_file):
        return _of_file(key_file)
    text = Secret(_from_ring(ring, url) if ring is not None else "")
    return _of_ring(ring, url, text) if text else None


def _made(ring: Any, url: str, key_file: Path) -> Sealer:
    if ring is not None:
        made = encode([new_key()])
        # A keyring that refuses to keep things is no keyring.
        with contextlib.suppress(Exception):
            ring.set_password(_SERVICE, url, made)
            # Read back: where the lock is of no use, of two that make a key the last wins for both.
            return _of_ring(ring, url, Secret(ring.get_password(_SERVICE, url) or made))
    _write(key_file, [new_key()], replace=False)
    return _of_file(key_file)


def _of_file(path: Path) -> Sealer:
    return Sealer(_read(path), where=str(path), reload=lambda: _read(path))


def _of_ring(ring: Any, url: str, text: Secret) -> Sealer:
    return Sealer(
        parse_keys(text, where=_IN_KEYRING),
        where=_IN_KEYRING,
        reload=lambda: parse_keys(Secret(_from_ring(ring, url)) or text, where=_IN_KEYRING),
    )


def keep(
    sealer: Sealer,
    change: Callable[[tuple[Key, ...]], Iterable[Key]],
    url: str,
    key_file: Path,
    *,
    keyring: Any = "system",
) -> tuple[Key, ...]:
    """Replace the keys of `sealer`, where they came from, by what `change` makes of them (key rotation).

    They are read again under the lock: the place may be that of other stores too, and whoever else
    changes them at the same moment loses nothing. Returns the keys that are kept. Raises StoreError.
    """
    if sealer.where == _IN_ENVIRONMENT:
        raise StoreError(
            "the key comes from CONNECTOR_KEY, which only you can change",
            code="key_in_environment",
            resolution="put the new key in front: CONNECTOR_KEY='new old', then run this again",
        )
    with _one_at_a_time(key_file.parent):
        keys = tuple(change(sealer.read_again()))
        if sealer.where == _IN_KEYRING:
            _to_ring(_system_keyring() if keyring == "system" else keyring, url, keys)
        else:
            _write(key_file, keys, replace=True)
    return keys


def new_key() -> Key:
    """A fresh random key."""
    return Key(secrets.token_bytes(32))


def encode(keys: Iterable[Key]) -> str:
    """Keys as the text that CONNECTOR_KEY and a key file hold: base64, current one first."""
    return " ".join(base64.urlsafe_b64encode(key.raw).decode() for key in keys)


def parse_keys(text: Secret, *, where: str) -> tuple[Key, ...]:
    """The opposite of `encode`; commas and new lines separate as well. Raises StoreError ``bad_key``."""
    keys = _decoded(text)
    if keys is None:
        raise StoreError(
            f"what {where} holds is no encryption key",
            code="bad_key",
            reason="it is not base64",
            resolution="make one with `connector key new`",
        )
    if not keys:
        raise StoreError(
            f"{where} is empty", code="bad_key", resolution="make a key with `connector key new`"
        )
    return keys


def _decoded(text: Secret) -> tuple[Key, ...] | None:
    """None: it is no key. Not an error: its frames would hold what was meant to be one."""
    words = text.reveal().replace(",", " ").replace("-", "+").replace("_", "/").split()
    try:
        return tuple(Key(base64.b64decode(word, validate=True)) for word in words)
    except (binascii.Error, ValueError):
        return None


def _read(path: Path) -> tuple[Key, ...]:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = Secret(file.read(65536))
    except OSError as error:
        raise StoreError(
            f"the key file {path} cannot be read",
            code="bad_key",
            reason=error.strerror or type(error).__name__,
            resolution=f"let its owner run this, or {_ELSEWHERE}",
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise StoreError(
            f"the key file {path} can be read by others",
            code="key_exposed",
            reason=f"its mode is {mode:04o}",
            resolution=f"run `chmod 600 {path}`; if others had access, run `connector key rotate` after it",
        )
    return parse_keys(text, where=str(path))


def _write(path: Path, keys: Iterable[Key], *, replace: bool) -> None:
    """Write whole or not at all; without `replace`, whoever comes first wins."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"the key file {path} cannot be written",
            code="bad_key",
            reason=error.strerror or type(error).__name__,
            resolution=f"check disk and permissions of {path.parent}, or {_ELSEWHERE}",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file survive a power cut: records sealed with its key do."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Between processes; best effort, since not every file system locks a folder. Leaves no file behind."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = -1
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        for _ in range(500):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)


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
        raise _locked(error) from None


def _to_ring(ring: Any, url: str, keys: Iterable[Key]) -> None:
    try:
        ring.set_password(_SERVICE, url, encode(keys))
    except Exception as error:
        raise _locked(error) from None


def _locked(error: Exception) -> StoreError:
    return StoreError(
        "the OS keyring does not answer",
        code="keyring_locked",
        reason=type(error).__name__,
        resolution="unlock it, or give the key in CONNECTOR_KEY where nobody can",
    )
