"""Waiting on loopback for the browser: over real sockets, without a browser."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from connector.dialog.loopback import Loopback, can_listen
from connector.errors import ConnectorError

OURS = "?code=secret-code&state=ours"


def ours(redirected: str) -> bool:
    """Whether a redirect is the answer that is waited for."""
    return "state=ours" in redirected


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Where the test's browsers live."""
    with ThreadPoolExecutor(4) as running:
        yield running


def browse(pool: ThreadPoolExecutor, *urls: str) -> Future[list[httpx.Response]]:
    """A browser that is sent to one address after the other, a moment from now."""

    def go() -> list[httpx.Response]:
        time.sleep(0.1)
        return [httpx.get(url, timeout=10, trust_env=False) for url in urls]

    return pool.submit(go)


def test_an_answer_comes_home(pool: ThreadPoolExecutor) -> None:
    """RFC 8252 section 7.3: a free port of 127.0.0.1; the browser's page tells how the login went."""
    with Loopback() as loopback:
        parts = urlsplit(loopback.redirect_uri)
        assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "/callback")
        page = browse(pool, loopback.redirect_uri + OURS)
        assert loopback.wait(ours, timeout_s=10) == f"/callback{OURS}"
        loopback.end("You are <b>in</b>", "Close it.", good=True)
        (answer,) = page.result()
    assert answer.status_code == 200
    assert "You are &lt;b&gt;in&lt;/b&gt;" in answer.text


def test_two_logins_have_two_ports() -> None:
    """The port is chosen by the system, anew each time."""
    with Loopback() as one, Loopback() as two:
        assert one.redirect_uri != two.redirect_uri


def test_nobody_else_can_reach_it() -> None:
    """RFC 8252 section 8.3: it listens on the loopback interface only, and only while a login waits."""
    with Loopback() as loopback:
        port = urlsplit(loopback.redirect_uri).port
        assert port is not None
        with socket.socket() as other:
            other.settimeout(2)
            # The whole of 127/8 is this machine; a listener on all interfaces would answer there too.
            assert other.connect_ex(("127.0.0.2", port)) != 0
    with socket.socket() as late:
        late.settimeout(2)
        assert late.connect_ex(("127.0.0.1", port)) != 0


def test_other_answers_do_not_end_the_wait(pool: ThreadPoolExecutor) -> None:
    """RFC 6749 section 10.12: any page may send requests here; without our state they change nothing."""
    tails = ("?code=x&state=theirs", "", "?" + "x" * 20_000)
    with Loopback() as loopback:
        elsewhere = loopback.redirect_uri.replace("/callback", "/favicon.ico") + OURS
        others = browse(pool, *(loopback.redirect_uri + tail for tail in tails), elsewhere)
        assert loopback.wait(ours, timeout_s=0.5) is None
        assert [answer.status_code for answer in others.result()] == [400, 400, 404, 404]
        browse(pool, loopback.redirect_uri + OURS)
        assert loopback.wait(ours, timeout_s=10) == f"/callback{OURS}"
        loopback.end("Done", "", good=True)


def test_an_answer_counts_once(pool: ThreadPoolExecutor) -> None:
    """RFC 9700 section 4.2.4: the state is used up by the first answer that has it."""
    with Loopback() as loopback:
        first = browse(pool, loopback.redirect_uri + OURS)
        assert loopback.wait(ours, timeout_s=10) is not None
        assert browse(pool, loopback.redirect_uri + OURS).result()[0].status_code == 400
        loopback.end("Done", "", good=True)
        assert first.result()[0].status_code == 200


def test_the_page_leads_nowhere(pool: ThreadPoolExecutor) -> None:
    """RFC 9700 sections 4.2.4 and 4.11: nothing is loaded, nothing redirected, no referrer; the code is not on it."""
    with Loopback() as loopback:
        page = browse(pool, loopback.redirect_uri + OURS + "&next=https://evil.example.com")
        assert loopback.wait(ours, timeout_s=10) is not None
        loopback.end("Done", "Close it.", good=False)
        (answer,) = page.result()
    assert (answer.status_code, answer.history) == (200, [])
    assert "location" not in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not any(word in answer.text for word in ("secret-code", "<script", "http:", "https:", "src="))


def test_the_wait_ends() -> None:
    """Nobody came: after its time the wait says so."""
    with Loopback() as loopback:
        assert loopback.wait(ours, timeout_s=0.2) is None


def test_a_taken_port_is_told() -> None:
    """An exact redirect URI whose port somebody has: an error that says what else there is."""
    with Loopback() as first, pytest.raises(ConnectorError, match="--no-browser") as caught:
        Loopback(first.redirect_uri)
    assert caught.value.code == "port_taken"


@pytest.mark.parametrize(
    ("uri", "here"),
    [("", True), ("http://127.0.0.1:8765/cb", True), ("http://localhost:8765/cb", True), ("http://[::1]:8765/cb", True),
     ("https://127.0.0.1:8765/cb", False), ("https://app.example.com/cb", False), ("com.example.app:/cb", False)],
)  # fmt: skip
def test_where_it_can_listen(uri: str, here: bool) -> None:
    """RFC 8252 section 7.3: http on loopback; anything else is pasted."""
    assert can_listen(uri) is here
