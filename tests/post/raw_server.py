"""A loopback server that reads one request of a connection and does with the socket what a test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from connector.effects import NoReply
from connector.grants import TokenRequest
from connector.post import Poster
from connector.reply import Reply
from connector.secret import Secret

BOUND_S = 10.0
SECRET = "hunter2"
Answer = Callable[[socket.socket], None]


def reply(body: bytes = b"{}", *headers: str, status: str = "200 OK", length: int | None = None) -> Answer:
    """An answer with a body; `length`: what Content-Length claims."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers, "", ""]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + body)


class RawServer:
    """Answers each connection with `answer`, and closes it.

    Attributes:
        requests: what arrived, headers and body, one entry a connection.
        ending: set when the server is being closed, so that answers that wait need not.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Answer = reply()
        self.requests: list[bytes] = []
        self.ending = threading.Event()
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> RawServer:
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ending.set()
        with contextlib.suppress(OSError):
            # Closing alone does not wake the thread that waits in accept.
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        for thread in self._threads:
            thread.join(BOUND_S)
        self._listening.close()

    def _accept(self) -> None:
        while not self.ending.is_set():
            connection, _ = self._listening.accept()
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as closing:
            closing.enter_context(connection)
            connection.settimeout(BOUND_S)
            if self._tls:
                connection = closing.enter_context(self._tls.wrap_socket(connection, server_side=True))
            request = _read(connection)
            if not request:
                return
            self.requests.append(request)
            self.answer(connection)


def _read(connection: socket.socket) -> bytes:
    """A whole request, or whatever came before the other side stopped or spoke something else."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        data += more
        if not more or not data[:1].isalpha():
            return data
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def token_request(
    url: str, *headers: tuple[str, str], method: str = "POST", body: bytes = b"a=b"
) -> TokenRequest:
    """A token request that knows of one secret."""
    return TokenRequest(method=method, url=url, headers=headers, body=body, secrets=(Secret(SECRET),))


def posted(url: str, **options: Any) -> Reply | NoReply:
    """Make a call with a poster of its own."""
    return Poster(**options).post(token_request(url))


def answered(url: str) -> Reply:
    """The reply to a call that gets one."""
    outcome = posted(url)
    assert isinstance(outcome, Reply), outcome
    return outcome
