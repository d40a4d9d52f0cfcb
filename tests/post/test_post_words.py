"""Token calls that fail: whether anything was sent, and that neither words nor logs repeat what it was."""

from __future__ import annotations

import logging
import socket
import threading

import httpx
import pytest
from raw_server import SECRET, Answer, RawServer, answered, posted, reply, token_request

from connector.effects import NoReply
from connector.post import Poster


def test_refused_means_not_sent() -> None:
    """Nobody listens: what was to be shown is unspent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = posted(f"http://127.0.0.1:{port}")
    assert isinstance(outcome, NoReply)
    assert (outcome.sent, "could not be reached" in outcome.words) == (False, True)


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: None,
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-"),
        lambda connection: connection.sendall(b"220 mail.example.com ESMTP\r\n"),
        reply(b'{"access_', length=40),
    ],
    ids=["at once", "in the headers", "not HTTP", "in the body"],
)
def test_dropped_afterwards_means_sent(server: RawServer, answer: Answer) -> None:
    """The server had the request before the connection broke: it may have acted on it."""
    server.answer = answer
    outcome = posted(server.url)
    assert isinstance(outcome, NoReply)
    assert (outcome.sent, "no whole answer" in outcome.words) == (True, True)
    assert server.requests[0].endswith(b"a=b")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:notaport/" + SECRET,
        "https://[::1/" + SECRET,
        "ftp://login.example.com/" + SECRET,
        "login.example.com/" + SECRET,
    ],
)
def test_a_url_that_cannot_be_called_is_not_quoted(url: str) -> None:
    """It is an outcome like others, and its text may hold a secret."""
    outcome = posted(url)
    assert isinstance(outcome, NoReply)
    assert not outcome.sent
    assert SECRET not in outcome.words


@pytest.mark.parametrize("value", [SECRET + "\r\nX-Other: 1", SECRET + "\udcff", SECRET + "\0"])
def test_a_header_that_cannot_be_sent_is_not_quoted(server: RawServer, value: str) -> None:
    """A value that would be two headers, or no text, is found out before anything is sent."""
    outcome = Poster().post(token_request(server.url, ("X-Key", value)))
    assert isinstance(outcome, NoReply)
    assert not outcome.sent
    assert SECRET not in outcome.words
    assert server.requests == []


def test_an_echo_is_not_quoted(server: RawServer) -> None:
    """A server that speaks something else may say what it was sent: no secret of the call is in the words."""
    server.answer = lambda connection: connection.sendall(server.requests[0])
    outcome = posted(server.url + "/?client_secret=" + SECRET)
    assert isinstance(outcome, NoReply)
    assert outcome.sent
    assert "client_secret=***" in outcome.words
    assert SECRET not in outcome.words


def test_a_token_call_is_not_logged(server: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG nothing of the call is logged, also what a server echoes; other requests still are."""
    server.answer = reply(b"{}", f"X-Echo: {SECRET}", "Set-Cookie: " + SECRET)
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore.http11", "httpcore.connection"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        assert answered(server.url).headers["x-echo"] == SECRET
        assert [record.getMessage() for record in caplog.records] == []
        with httpx.Client(trust_env=False) as client:
            client.get(server.url)
    assert {record.name for record in caplog.records} >= {"httpx", "httpcore.http11", "httpcore.connection"}


def test_only_the_thread_of_a_token_call_is_silent(
    server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A request beside a token call is logged as ever."""
    inside, go = threading.Event(), threading.Event()

    def hold(connection: socket.socket) -> None:
        inside.set()
        go.wait(5)
        reply()(connection)

    server.answer = hold
    thread = threading.Thread(target=posted, args=(server.url,))
    with caplog.at_level(logging.DEBUG, "httpcore.http11"):
        thread.start()
        assert inside.wait(5)
        server.answer = reply()
        with httpx.Client(trust_env=False) as client:
            client.get(server.url)
        go.set()
        thread.join(5)
    assert any(record.name == "httpcore.http11" for record in caplog.records)
    assert {record.thread for record in caplog.records} == {threading.get_ident()}
