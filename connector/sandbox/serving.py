"""Applications on loopback ports, in a thread with its own event loop: quick to start, clean to stop.

Rules of this room: nothing here knows a persona. No signal handlers, no lines on a terminal; the program that
starts a `Listening` may be running any event loop, or none.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_START_S = 10.0
_STOP_S = 5.0
_quiet = logging.getLogger("connector.sandbox.http")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False
# A level must be set: uvicorn takes none at all for "tell everything".
_quiet.setLevel(logging.CRITICAL + 1)


class _QuietProtocol(H11Protocol):
    """HTTP/1.1 that does not report the answers which the sandbox cuts off on purpose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.access_logger = _quiet
        self.access_log = False


class Listening:
    """Some applications, each on its own socket, all served by one thread."""

    def __init__(self, served: list[tuple[socket.socket, ASGIApp]]) -> None:
        """Start serving; returns when every application answers. The sockets are closed by `close`."""
        self._served = served
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="connector-sandbox", daemon=True)
        self._thread.start()
        started = self._ready.wait(_START_S)
        if self._failure is not None or not started:
            self.close()
            raise RuntimeError("the sandbox did not start") from self._failure

    def close(self) -> None:
        """Stop serving: open connections are closed, unfinished answers are given up. Safe to call twice."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(stop.set)
            except RuntimeError:  # it closed in between
                return
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        servers = [uvicorn.Server(_config(app)) for _, app in self._served]
        running = {
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, (listener, _) in zip(servers, self._served, strict=True)
        }
        while not all(server.started for server in servers) and not any(task.done() for task in running):
            await asyncio.sleep(0.001)
        self._ready.set()
        await self._stop.wait()
        while running:
            for server in servers:
                server.should_exit = True
                for unfinished in list(server.server_state.tasks):
                    unfinished.cancel()
            finished, running = await asyncio.wait(running, timeout=0.05)
            for task in finished:
                task.result()


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens already, so that nobody who connects early is turned away.

    `port` 0 takes a free one. Raises OSError when the port is taken.
    """
    # The protocol is named because asyncio switches Nagle's algorithm off only where it says TCP: otherwise
    # each answer waits 40 ms for an acknowledgement.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(512)
    except BaseException:
        made.close()
        raise
    return made


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_QuietProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Longer than a client's pool keeps a connection: the sandbox is never the one that drops it first.
        timeout_keep_alive=75,
    )
