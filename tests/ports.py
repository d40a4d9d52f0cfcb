"""Ports for servers that must be told theirs before they listen."""

from __future__ import annotations

import contextlib
import secrets
import socket

# Below those that kernels give out by themselves (Linux: from 32768, others: from 49152).
_OURS = range(20_000, 32_768)


def port_ahead() -> int:
    """A port of loopback that is free, and that nobody is given by chance before its server listens there.

    One that the kernel picked (port 0) and that was closed again is given to whoever asks next, be it for the near
    end of a connection: with tests running side by side that happens.
    """
    for _ in range(100):
        port = secrets.choice(_OURS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError(f"no port of {_OURS} is free")
