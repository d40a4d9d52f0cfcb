"""Token calls over real sockets: what is sent, what is read, and how long anybody waits."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable

import httpx
import pytest
from raw_server import Answer, RawServer, answered, posted, reply, token_request

from connector.effects import NoReply
from connector.post import SIZE_LIMIT, Poster
from connector.reply import Reply


def test_what_is_on_the_wire(server: RawServer) -> None:
    """The request's own headers and body, a connection that is closed, and no compression asked for."""
    server.answer = reply(b'{"access_token": "x"}', "Content-Type: application/json")
    poster = Poster(clock=lambda: 1234.5)
    asked = token_request(
        server.url + "/token?v=1", ("Accept", "application/json"), ("Authorization", "Basic eA==")
    )
    outcome = poster.post(asked)
    assert isinstance(outcome, Reply)
    assert (outcome.status, outcome.body) == (200, b'{"access_token": "x"}')
    assert outcome.headers["content-type"] == "application/json"
    assert outcome.received_at == 1234.5
    [seen] = server.requests
    head, _, body = seen.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    assert first == "POST /token?v=1 HTTP/1.1"
    assert sorted(line.lower() for line in lines) == [
        "accept-encoding: identity",
        "accept: application/json",
        "authorization: basic ea==",
        "connection: close",
        "content-length: 3",
        f"host: 127.0.0.1:{server.port}",
        "user-agent: connector",
    ]
    assert body == "a=b"


def test_a_call_without_a_body(server: RawServer) -> None:
    """GET sends nothing after its headers, and claims nothing."""
    Poster().post(token_request(server.url, method="GET", body=b""))
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"\r\n\r\n")
    assert b"content-length" not in server.requests[0].lower()


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_redirects_are_not_followed(server: RawServer, status: str) -> None:
    """The redirect itself is the reply; what was sent goes nowhere else."""
    server.answer = reply(b"", f"Location: {server.url}/elsewhere", status=status)
    assert answered(server.url + "/token").status == int(status[:3])
    assert len(server.requests) == 1


def test_cookies_are_not_kept(server: RawServer) -> None:
    """A cookie that a call sets is not sent by the next one of the same poster, nor is its connection used again."""
    server.answer = reply(b"{}", "Set-Cookie: session=1; Path=/")
    poster = Poster()
    for _ in range(2):
        assert isinstance(poster.post(token_request(server.url)), Reply)
    assert len(server.requests) == 2
    assert b"cookie" not in b"".join(server.requests).lower()


def test_the_size_limit(server: RawServer) -> None:
    """An answer of exactly the limit is read, one byte more is not."""
    server.answer = reply(b"x" * SIZE_LIMIT)
    assert len(answered(server.url).body) == SIZE_LIMIT
    server.answer = reply(b"x" * (SIZE_LIMIT + 1))
    assert posted(server.url) == NoReply(sent=True, words=f"the answer is larger than {SIZE_LIMIT} bytes")


def test_an_endless_answer_is_left(server: RawServer) -> None:
    """A chunked answer without an end is read to the limit, and then the connection is closed."""
    sent = 0
    stopped = threading.Event()

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while not server.ending.is_set():
                connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                sent += 0x10000
        finally:
            stopped.set()

    server.answer = endless
    outcome = posted(server.url)
    assert isinstance(outcome, NoReply)
    assert (outcome.sent, "larger than" in outcome.words) == (True, True)
    assert stopped.wait(5)
    assert sent < 64 * SIZE_LIMIT  # what the buffers of both sides took


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)],
)
def test_a_compressed_answer_is_read(
    server: RawServer, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """Servers that compress without being asked are understood."""
    server.answer = reply(pack(b'{"a": 1}'), f"Content-Encoding: {encoding}")
    assert answered(server.url).body == b'{"a": 1}'


def test_a_compressed_bomb_stays_small(server: RawServer) -> None:
    """What would become 64 MB counts as what it becomes, and is never held in memory."""
    bomb = gzip.compress(bytes(64 << 20), 1)
    assert len(bomb) < SIZE_LIMIT
    server.answer = reply(bomb, "Content-Encoding: gzip")
    tracemalloc.start()
    try:
        outcome = posted(server.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome == NoReply(sent=True, words=f"the answer is larger than {SIZE_LIMIT} bytes")
    assert peak < 16 << 20


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no gzip at all", "the answer's compression is damaged"),
        (gzip.compress(b'{"access_token": "x"}')[:-6], "the answer ended early"),
    ],
    ids=["no gzip", "half of it"],
)
def test_a_damaged_compression_is_no_reply(server: RawServer, body: bytes, words: str) -> None:
    """Half an answer is none, and nobody knows what the other half said."""
    server.answer = reply(body, "Content-Encoding: gzip")
    assert posted(server.url) == NoReply(sent=True, words=words)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.02)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("drip", [drip_headers, drip_body])
def test_a_slow_drip_is_bounded_in_time(server: RawServer, drip: Answer) -> None:
    """A byte now and then outlasts every timeout for a read; the whole call is bounded all the same."""
    server.answer = drip
    began = time.monotonic()
    outcome = posted(server.url, timeout_s=5.0, total_s=0.2)
    assert time.monotonic() - began < 3
    assert outcome == NoReply(sent=True, words="the answer took longer than 0.2 s")


def test_silence_is_bounded_in_time(server: RawServer) -> None:
    """A server that takes the request and says nothing: its fate is unknown."""
    server.answer = lambda connection: server.ending.wait(5) and None
    began = time.monotonic()
    outcome = posted(server.url, timeout_s=0.1)
    assert time.monotonic() - began < 3
    assert isinstance(outcome, NoReply)
    assert (outcome.sent, "ReadTimeout" in outcome.words) == (True, True)


class SlowName(httpx.BaseTransport):
    """Finds its server only after the time of the call is over, as a resolver may."""

    sent = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        time.sleep(0.06)
        request.extensions["trace"]("http11.send_request_headers.started", {})
        self.sent = True
        return httpx.Response(200)


def test_what_took_too_long_is_not_sent_late() -> None:
    """Once the time of a call is over nothing is sent any more, and the refresh token is known to be unspent."""
    transport = SlowName()
    outcome = Poster(lambda url: transport, total_s=0.02).post(token_request("https://login.example.com"))
    assert outcome == NoReply(sent=False, words="the answer took longer than 0.02 s")
    assert not transport.sent


def test_a_call_leaves_no_thread_behind(server: RawServer) -> None:
    """The timer that bounds a call ends with it, not after half a minute."""
    before = set(threading.enumerate())
    answered(server.url)
    timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer) and t not in before]
    for timer in timers:
        timer.join(2)
        assert not timer.is_alive()
