"""Asking a server for its metadata: over a wire of our own and a clock that is moved by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from protocol_room import ISSUER, account

from connector.account import Account
from connector.discovery import Discovery
from connector.errors import NotAuthorizedError, RenewalError
from connector.post import Poster

OAUTH = f"{ISSUER}/.well-known/oauth-authorization-server"
OPENID = f"{ISSUER}/.well-known/openid-configuration"


class Server:
    """Answers by address; counts who asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.requests: list[httpx.Request] = []
        self.now = 1_000_000.0
        poster = Poster(lambda url: httpx.MockTransport(self.answer), clock=lambda: self.now)
        self.discovery = Discovery(poster, clock=lambda: self.now)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        self.asked.append(str(request.url))
        self.requests.append(request)
        said = self.answers.get(str(request.url), 404)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, int):
            return httpx.Response(said)
        return httpx.Response(200, text=said) if isinstance(said, str) else httpx.Response(200, json=said)


def says(name: str = "a") -> dict[str, Any]:
    """Metadata whose token endpoint tells them apart."""
    return {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/{name}"}


def asking() -> Account:
    """An account whose endpoint says its issuer only."""
    return account(dict.fromkeys(("authorize", "token", "device", "revoke", "introspect")))


def test_once_an_hour() -> None:
    """What was told is used for an hour, by every account of that server, and then asked for again."""
    server = Server({OAUTH: says("a")})
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/a"
    server.answers[OAUTH] = says("b")
    server.now += 3599
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/a"
    server.now += 1
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/b"
    assert server.asked == [OAUTH, OAUTH]


def test_who_asks_is_interrupted() -> None:
    """Ctrl-C in one thread is that thread's: another that waits for the same answer asks for itself."""
    server = Server({OAUTH: says()})
    first, go = threading.Event(), threading.Event()
    plain = server.answer

    def answer(request: httpx.Request) -> httpx.Response:
        if not first.is_set():
            first.set()
            assert go.wait(10)
            raise KeyboardInterrupt
        return plain(request)

    server.discovery._poster = Poster(lambda url: httpx.MockTransport(answer))
    found: list[object] = []

    def ask() -> None:
        try:
            found.append(server.discovery.complete(asking()).token_url())
        except BaseException as error:
            found.append(type(error))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    assert first.wait(10)
    threads[1].start()
    [answered] = server.discovery._asking.values()
    until = time.monotonic() + 10
    while not answered._condition._waiters:  # type: ignore[attr-defined]
        assert time.monotonic() < until, "the second does not wait for the first"
        time.sleep(0.001)
    go.set()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, found)) == sorted([str(KeyboardInterrupt), f"{ISSUER}/a"])


def test_a_clock_that_was_set_back() -> None:
    """Then nobody knows how old the metadata is: it is asked for again."""
    server = Server({OAUTH: says()})
    server.discovery.complete(asking())
    server.now -= 5
    server.discovery.complete(asking())
    assert len(server.asked) == 2


def test_what_is_asked() -> None:
    """RFC 8414 section 3.1: a GET without credentials, following no redirect."""
    server = Server({OAUTH: says()})
    server.discovery.complete(asking())
    (request,) = server.requests
    assert (request.method, request.content) == ("GET", b"")
    assert "authorization" not in request.headers
    assert request.headers["accept"] == "application/json"


@pytest.mark.parametrize("first", [404, 302, 500, "<html>", "[1]", httpx.ConnectError("no")], ids=str)
def test_the_other_address(first: Any) -> None:
    """Where one well-known address has nothing, the other standard's is asked (RFC 8414 section 5)."""
    server = Server({OAUTH: first, OPENID: says()})
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/a"
    assert server.asked == [OAUTH, OPENID]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (404, "HTTP 404"),
        ("<html>", "not a JSON object"),
        (httpx.ConnectError("nobody there"), "nobody there"),
    ],
    ids=["404", "html", "gone"],
)
def test_nothing_is_told(answer: Any, words: str) -> None:
    """A first time that fails is an error that says why, and when to try again."""
    server = Server({OAUTH: answer, OPENID: answer})
    with pytest.raises(RenewalError, match=words) as caught:
        server.discovery.complete(asking())
    assert (caught.value.code, caught.value.retry_after) == ("discovery_failed", 10.0)
    server.answers[OPENID] = says()
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/a"


@pytest.mark.parametrize("answer", [500, "<html>", httpx.ReadTimeout("slow")], ids=["500", "html", "slow"])
def test_what_was_known_goes_on(answer: Any) -> None:
    """A server that cannot describe itself just now may still renew."""
    server = Server({OAUTH: says()})
    server.discovery.complete(asking())
    server.answers = {OAUTH: answer, OPENID: answer}
    server.now += 7200
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/a"
    server.answers = {OAUTH: says("b")}
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/a"  # asked again in a minute only
    server.now += 61
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/b"


def test_metadata_of_another_server() -> None:
    """RFC 8414 section 3.3: it is used for nothing, and asked for again the next time."""
    server = Server({OAUTH: {**says(), "issuer": "https://evil.example.com"}})
    with pytest.raises(NotAuthorizedError) as caught:
        server.discovery.complete(asking())
    assert caught.value.code == "issuer_mismatch"
    server.answers[OAUTH] = says()
    assert server.discovery.complete(asking()).token_url() == f"{ISSUER}/a"


def test_a_path_stands_where_each_standard_puts_it() -> None:
    """RFC 8414 section 3.1 inserts the well-known part before the path of the issuer."""
    issuer = f"{ISSUER}/tenant"
    server = Server({f"{OAUTH}/tenant": {**says(), "issuer": issuer}})
    made = account(
        {**dict.fromkeys(("authorize", "token", "device", "revoke", "introspect")), "issuer": issuer}
    )
    assert server.discovery.complete(made).token_url() == f"{ISSUER}/a"
    assert server.asked == [f"{OAUTH}/tenant"]


def test_two_servers_are_two() -> None:
    """What one server says of itself is never used for another."""
    other = "https://other.example.com"
    told = {"issuer": other, "token_endpoint": f"{other}/t"}
    server = Server({OAUTH: says(), f"{other}/.well-known/oauth-authorization-server": told})
    made = account(
        {**dict.fromkeys(("authorize", "token", "device", "revoke", "introspect")), "issuer": other}
    )
    tokens = [server.discovery.complete(each).token_url() for each in (asking(), made, asking(), made)]
    assert tokens == [f"{ISSUER}/a", f"{other}/t"] * 2
    assert len(server.asked) == 2


def test_whoever_declares_everything_asks_nobody() -> None:
    """An endpoint with its URLs costs no request."""
    server = Server({})
    complete: Callable[[Account], Account] = server.discovery.complete
    assert complete(account()) == account()
    assert server.asked == []
