"""A proxy as companies have them: CONNECT with a password, and what goes through is not looked at."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading

_BOUND_S = 20


class ConnectProxy:
    """Listens on loopback.

    Attributes:
        asked: where each connection wanted to go, ``host:port``.
    """

    def __init__(self, user: str, password: str) -> None:
        self.asked: list[str] = []
        pair = base64.b64encode(f"{user}:{password}".encode())
        self._wanted = b"proxy-authorization: basic " + pair.lower() + b"\r\n"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> ConnectProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self._listening.getsockname(), 1).close()
        self._threads[0].join(_BOUND_S)
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_BOUND_S)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listening.accept()
            if self._ending.is_set():
                client.close()
                return
            self._open.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        with client:
            while not head.endswith(b"\r\n\r\n") and (more := client.recv(1)):
                head += more
            words = head.split()
            if len(words) < 2 or words[0] != b"CONNECT" or self._wanted not in head.lower():
                client.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = words[1].decode().rpartition(":")
            self.asked.append(words[1].decode())
            with socket.create_connection((host, int(port)), _BOUND_S) as server:
                self._open.append(server)
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pour, args=(server, client))
                back.start()
                _pour(client, server)
                back.join(_BOUND_S)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
