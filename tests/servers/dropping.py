"""A TCP proxy that now and then loses an answer: the server has done its work, and nobody hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading

_BOUND_S = 20


class Dropping:
    """Listens on loopback before another port; one connection, one call.

    Attributes:
        lose: how many of the next answers are lost.
        lost: how many were.
    """

    def __init__(self, port: int) -> None:
        self.lose = 0
        self.lost = 0
        self._behind = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self._ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Dropping:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending.set()
        # Closing alone does not wake the thread that waits in accept.
        with contextlib.suppress(OSError):
            socket.create_connection(self._listening.getsockname(), 1).close()
        self._thread.join(_BOUND_S)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self._ending.is_set():
                connection.close()
                return
            with connection, socket.create_connection(("127.0.0.1", self._behind), _BOUND_S) as server:
                connection.settimeout(_BOUND_S)
                self._pass_on(connection, server)

    def _pass_on(self, connection: socket.socket, server: socket.socket) -> None:
        upwards = threading.Thread(target=_copy, args=(connection, server))
        upwards.start()
        # The server closes after its answer, since the call asks for that.
        answer = b""
        while piece := server.recv(65536):
            answer += piece
        if self.lose:
            self.lose -= 1
            self.lost += 1
        else:
            with contextlib.suppress(OSError):
                connection.sendall(answer)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        upwards.join(_BOUND_S)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
