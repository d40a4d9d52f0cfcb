"""Where documents are written to: a file that appears when it is whole, one that grows, standard output."""

from __future__ import annotations

import glob
import gzip
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from connector.errors import SnapError
from connector.snap import Context

try:
    import fcntl
except ImportError:  # Windows, where a file that somebody writes cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_STARTED = time.time()
# No path, but what messages call it.
STDOUT = Path("standard output")


@contextmanager
def standard_output(context: Context) -> Iterator[tuple[Any, bool]]:
    """As `target`, for the standard output of a run: each line leaves at once, for whoever waits for it."""
    try:
        yield _Prompt(context.stdout), False
    except OSError as error:
        raise trouble("write", STDOUT, error) from error


class _Prompt:
    """A stream of bytes that keeps nothing back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()


@contextmanager
def target(file: Path, *, append: bool) -> Iterator[tuple[Any, bool]]:
    """Open what is written to; the flag says whether there is something in it already."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file = file.resolve()
        begun = append and file.is_file() and file.stat().st_size > 0
        # A pipe or a device cannot be replaced, only written to.
        direct = append or (file.exists() and not file.is_file())
        part = file if direct else file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
        raw = part.open("ab" if append else "wb" if direct else "xb")
        if not direct:
            _lock(raw)
            _sweep(file)
    except OSError as error:
        raise trouble("write", file, error) from error
    try:
        with raw:
            packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if file.suffix == ".gz" else None
            with packed or raw as stream:
                yield stream, begun
            if packed:
                raw.flush()
            if not direct and not raw.closed:
                os.fsync(raw.fileno())
        if not direct:
            if file.exists():
                shutil.copymode(file, part)
            part.replace(file)
    except OSError as error:
        raise trouble("write", file, error) from error
    finally:
        if not direct:
            part.unlink(missing_ok=True)


def _lock(raw: Any) -> None:
    """Show that somebody writes this part; the system forgets it with the process, however that ends."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sweep(file: Path) -> None:
    """Remove the parts of this file that killed processes left behind.

    Only those from before this process began: a younger one may be about to be locked.
    """
    name = re.compile(re.escape(f".{file.name}.") + "[0-9a-f]{8}[.]part")
    for part in file.parent.glob(f".{glob.escape(file.name)}.*.part"):
        with suppress(OSError):  # somebody writes it, or has removed it meanwhile
            if not name.fullmatch(part.name) or part.stat().st_mtime >= _STARTED:
                continue
            with part.open("rb") as raw:
                if fcntl is not None:
                    fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def trouble(verb: str, file: Path, error: Exception) -> SnapError:
    """The error for a file that cannot be read or written, in the words of the system."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SnapError(f"{file} cannot be {'read' if verb == 'read' else 'written'}", code="file", reason=why)
