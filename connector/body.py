"""Whether the body of a request can be sent a second time, and how.

httpx hides what a body was made of, and one of its answers is wrong for us: an open file is "replayed" from
where the first reading left it, which is the end. So this room looks inside: bytes can be sent again, files
that seek are wound back to where they stood, multipart fields likewise; anything else is sent once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import httpx

Rewind = Callable[[], None]


def _nothing() -> None:
    """Bytes need no winding back."""


def rewinder(request: httpx.Request) -> Rewind | None:
    """What makes the body ready to be sent again; None: it can be sent only once.

    Call this before the first sending: it remembers where files stand.
    """
    stream: Any = request.stream
    if isinstance(stream, httpx.ByteStream):
        return _nothing
    fields = getattr(stream, "fields", None)
    if fields is not None:  # multipart
        rewinds = [_file(field.file) for field in fields if hasattr(field, "file")]
        found = [rewind for rewind in rewinds if rewind is not None]
        return _each(found) if len(found) == len(rewinds) else None
    return _file(getattr(stream, "_stream", None))


def _file(file: Any) -> Rewind | None:
    if isinstance(file, (bytes, str)):
        return _nothing
    if not (hasattr(file, "read") and hasattr(file, "seek") and hasattr(file, "tell")):
        return None
    with contextlib.suppress(Exception):
        if hasattr(file, "seekable") and not file.seekable():
            return None
        position = file.tell()
        if isinstance(position, int):  # an asynchronous file answers with a coroutine
            return lambda: _seek(file, position)
    return None


def _seek(file: Any, position: int) -> None:
    file.seek(position)


def _each(rewinds: list[Rewind]) -> Rewind:
    def rewind() -> None:
        for one in rewinds:
            one()

    return rewind
