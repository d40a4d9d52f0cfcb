"""Why PostgreSQL lets nobody in: its code rather than its words, which may be in any language.

libpq keeps the SQLSTATE of an error to itself while a connection is made. Its trace has it: so a connection
that failed for reasons unknown is tried once more, traced into memory.
"""

from __future__ import annotations

import os
import re
import selectors
import time
from typing import Any

from psycopg import conninfo, pq

# In a trace: each field of the server's error as its letter and text (protocol "ErrorResponse", field C).
_CODE = re.compile(rb'ErrorResponse\t.*? C "([0-9A-Z]{5})"')
# The one that opens nothing itself, so that a process without files left can still use a connection.
SELECTOR: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.DefaultSelector)
_WAITS: dict[int, int] = {
    pq.PollingStatus.READING: selectors.EVENT_READ,
    pq.PollingStatus.WRITING: selectors.EVENT_WRITE,
}


def state_at_the_door(parts: dict[str, Any], ends: float) -> str:
    """Return the SQLSTATE with which the server ends a connection; empty where that cannot be found out.

    Args:
        parts: of the connection, as libpq names them.
        ends: when to give up, a moment of `time.monotonic`.
    """
    memory = getattr(os, "memfd_create", None)
    if memory is None:
        return ""
    try:
        # A trace holds what is exchanged, so it must never be on a disk.
        trace: int = memory("connector")
    except OSError:
        return ""
    try:
        made = pq.PGconn.connect_start(conninfo.make_conninfo("", **parts).encode())
        try:
            made.trace(trace)
            _poll(made, ends)
            made.untrace()
        finally:
            made.finish()
        found = _CODE.findall(os.pread(trace, 1 << 20, 0))
    except Exception:  # what psycopg cannot do here; the caller knows of an error already
        return ""
    finally:
        os.close(trace)
    return found[-1].decode() if found else ""


def _poll(made: pq.abc.PGconn, ends: float) -> None:
    """Drive the connection to its end, good or bad."""
    while (wanted := _WAITS.get(made.connect_poll())) is not None:
        with SELECTOR() as selector:
            selector.register(made.socket, wanted)
            if not selector.select(max(0.0, ends - time.monotonic())):
                return
