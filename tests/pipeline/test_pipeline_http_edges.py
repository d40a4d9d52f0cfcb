"""Edges of ``http.read`` and ``http.write``: what may be sent again, what nobody may see, what no query holds."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pipeline_room import Room, source_of

from connector.errors import NotAuthorizedError
from connector.result import StepError


def put(**options: Any) -> dict[str, Any]:
    """A step that writes."""
    return {"snap": "http.write", "account": "a", "with": {"path": "/rows/{id}", **options}}


@pytest.mark.parametrize(
    "never", [httpx.ConnectError("refused"), httpx.ConnectTimeout("t"), httpx.PoolTimeout("t")]
)
def test_a_write_that_never_left_is_sent_again(room: Room, never: Exception) -> None:
    """No connection, so nothing was written: three tries more, then the error view."""
    troubles = [never, never]

    def answer(request: httpx.Request) -> httpx.Response:
        if troubles:
            raise troubles.pop()
        return httpx.Response(200)

    room.answer = answer
    assert room.run(source_of([{"id": 1}]), put()).documents == 1
    assert room.waits == [0.5, 1.0]
    troubles[:] = [never] * 4
    result = room.run(source_of([{"id": 1}]), put(), on_error="collect")
    assert (result.documents, result.error_count, troubles) == (0, 1, [])
    assert result.errors[0].resolution == "Try again later."


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("trouble", [httpx.ReadError("cut"), httpx.RemoteProtocolError("cut"), 500, 503])
def test_a_write_that_may_have_arrived_is_sent_once(room: Room, method: str, trouble: Any) -> None:
    """The error says to look first."""

    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(trouble, Exception):
            raise trouble
        return httpx.Response(trouble)

    room.answer = answer
    result = room.run(source_of([{"id": 1}]), put(method=method), on_error="collect")
    assert (result.error_count, len(room.requests), room.waits) == (1, 1, [])


@pytest.mark.parametrize(
    ("timeout", "connect_s"), [({}, 10.0), ({"timeout": 90}, 10.0), ({"timeout": 2.5}, 2.5)]
)
def test_timeouts(room: Room, timeout: Any, connect_s: float) -> None:
    """`timeout` reaches the request, 30 seconds unless given; an error says how long it was, and the option."""

    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("The read operation timed out")

    room.answer = late
    seconds = timeout.get("timeout", 30)
    for step in (
        {"snap": "http.read", "account": "a", "with": {"path": "/x?key=canary", **timeout}},
        put(**timeout),
    ):
        with pytest.raises(StepError) as caught:
            room.run(source_of([{"id": 1}]), step)
        asked = room.requests[-1].extensions["timeout"]
        assert (asked["read"], asked["connect"]) == (seconds, connect_s)
        assert f"ReadTimeout: no answer came within {seconds:g} seconds" in caught.value.reason
        assert "Raise `timeout`" in caught.value.resolution
        assert "canary" not in str(caught.value)
    assert "acted on it" in caught.value.resolution


@pytest.mark.parametrize(
    ("trouble", "reason", "resolution"),
    [
        (
            httpx.ConnectError("[Errno -2] Name or service not known"),
            "not known",
            "Check the name of the host",
        ),
        (httpx.ConnectError("[Errno 111] Connection refused"), "refused", "Try again later"),
        (
            httpx.RemoteProtocolError("Server disconnected without canary"),
            "closed the connection",
            "Try again",
        ),
        (httpx.RemoteProtocolError("illegal status line: b'canary'"), "is no HTTP", "Try again"),
        (httpx.ConnectTimeout("t"), "no connection was made within", "Try again"),
        (httpx.ProxyError("407 canary"), "let nothing through (407)", "Look at HTTPS_PROXY"),
        (httpx.ProxyError("canary"), "let nothing through", "Look at HTTPS_PROXY"),
        (
            httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"),
            "self-signed",
            "SSL_CERT_FILE",
        ),
        (httpx.UnsupportedProtocol("canary"), "no absolute http or https URL", "base URL"),
    ],
)
def test_broken_requests_in_words(room: Room, trouble: Exception, reason: str, resolution: str) -> None:
    """The host, what happened and what to do, of the snaps here and of one's own alike; no word of a peer."""

    def broken(request: httpx.Request) -> httpx.Response:
        raise trouble

    def own(documents: Any, context: Any) -> Any:
        context.client.get("/rows/1?key=canary")
        yield {}

    room.answer = broken
    for step in (
        own,
        put(path="/rows/{id}?key=canary"),
        {"snap": "http.read", "with": {"path": "/rows/{id}"}},
    ):
        with pytest.raises(StepError, match=r"https://api\.example\.com/rows/1 failed") as caught:
            room.run(source_of([{"id": 1}]), step)
        assert reason in caught.value.reason
        assert resolution in caught.value.resolution
        assert "canary" not in str(caught.value)


def test_a_refused_token_asks_for_no_login(room: Room) -> None:
    """The account has renewed it before this 401 was handed out: what it may do is what is wrong."""
    room.answer = lambda request: httpx.Response(401)
    with pytest.raises(StepError, match="answered with 401") as caught:
        room.run({"snap": "http.read", "account": "a", "with": {"path": "/x"}})
    assert "login" not in caught.value.resolution
    assert "scopes" in caught.value.resolution


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_is_too_long(room: Room, status: int) -> None:
    """The account has waited as long as it may: nothing is sent before the server's time, and it is told."""
    room.answer = lambda request: httpx.Response(status, headers={"Retry-After": "5400"})
    with pytest.raises(StepError, match=rf"answered with {status}") as caught:
        room.run({"snap": "http.read", "account": "a", "with": {"path": "/x"}})
    assert (len(room.requests), room.waits) == (1, [])
    assert "wait 90 minutes: run it again after" in caught.value.resolution
    assert "retry_budget" in caught.value.resolution


def test_a_pause_without_an_account(room: Room) -> None:
    """Nobody else waits then: a short one is kept, a long one is an error at once."""
    pauses = ["7", "61"]
    room.answer = lambda request: httpx.Response(429, headers={"Retry-After": pauses.pop(0)})
    with pytest.raises(StepError, match="answered with 429"):
        room.run({"snap": "http.read", "with": {"path": "https://a.test/x"}})
    assert (pauses, room.waits) == ([], [7.0])


def test_a_body_cut_short_is_asked_for_again(room: Room) -> None:
    """httpx tells a cut body when it reads it; a GET survives that."""
    cut = [True]

    def answer(request: httpx.Request) -> httpx.Response:
        def stream() -> Any:
            yield b'[{"id": 1}'
            if cut:
                cut.pop()
                raise httpx.RemoteProtocolError(
                    "peer closed connection without sending complete message body"
                )
            yield b"]"

        return httpx.Response(200, content=stream())

    assert room.read(answer) == [{"id": 1}]
    assert len(room.requests) == 2


def test_writes_keep_a_pace(room: Room) -> None:
    """Not more than so many a second, however many may be under way."""
    room.run(source_of([{"id": n} for n in range(5)]), put(requests_per_second=2, concurrency=4))
    assert room.waits == [0.5] * 4


def test_a_body_of_nothing(room: Room) -> None:
    """A mistyped expression does not send empty requests."""
    result = room.run(source_of([{"id": 1}]), put(body="missing"), on_error="collect")
    assert (result.error_count, room.requests) == (1, [])
    assert "gave nothing" in result.errors[0].message


def test_documents_that_are_no_json(room: Room) -> None:
    """A set and NaN are errors of their documents, and the others are sent."""
    bad = [{"id": 1, "x": {1}}, {"id": 2, "x": float("nan")}, {"id": 3}]
    result = room.run(source_of(bad), put(), on_error="collect")
    assert (result.documents, result.error_count, len(room.requests)) == (1, 2, 1)


def test_urls_that_are_none(room: Room) -> None:
    """A document whose address httpx takes for no URL goes to the error view."""
    bad = [{"url": "a\nb"}, {"url": "a\x00b"}, {"url": "a\tb"}]
    read = {"snap": "http.read", "account": "a", "with": {"path": "{url}"}}
    write = {"snap": "http.write", "account": "a", "with": {"path": "{url}"}}
    for step in (read, write):
        room.answer = lambda request: httpx.Response(200, json=[])
        result = room.run(source_of([*bad, {"url": "/fine"}]), step, on_error="collect")
        assert result.error_count == 3


def test_params(room: Room) -> None:
    """Lists repeat, nothing is left out, truth is lower case; a mapping is the document's error."""
    params = {"a": [1, "{id}"], "b": None, "c": True, "d": "x{id}", "e": "{deep}"}
    read = {"snap": "http.read", "account": "a", "with": {"path": "/x", "params": params}}
    result = room.run(
        source_of([{"id": 7, "deep": "y"}, {"id": 8, "deep": {"z": 1}}]), read, on_error="collect"
    )
    assert [str(request.url.query, "ascii") for request in room.requests] == ["a=1&a=7&c=true&d=x7&e=y"]
    assert "'e' is a mapping" in result.errors[0].message


def test_a_login_that_is_needed_ends_a_read_as_it_is(room: Room) -> None:
    """Not the document's fault, whatever on_error says."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise NotAuthorizedError("authorize it", account="a")

    room.answer = answer
    read = {"snap": "http.read", "account": "a", "with": {"path": "/x/{id}"}}
    with pytest.raises(NotAuthorizedError) as caught:
        room.run(source_of([{"id": 1}]), read, on_error="skip")
    assert caught.value.__notes__ == ["in step 'http.read' of pipeline 'p'"]
    assert room.waits == []


def test_ctrl_c_sends_no_more_writes(room: Room) -> None:
    """Those under way are waited for; those not begun are not sent."""

    def interrupted(documents: Any, context: Any) -> Any:
        for number, document in enumerate(documents, 1):
            if number == 2:
                raise KeyboardInterrupt
            yield document

    with pytest.raises(KeyboardInterrupt):
        room.run(source_of([{"id": n} for n in range(500)]), put(concurrency=3), interrupted)
    assert len(room.requests) <= 5


def test_the_account_may_be_a_parameter(room: Room) -> None:
    """The client is that of the account this run names."""
    read = {"snap": "http.read", "account": "${param:who}", "with": {"path": "/x"}}
    room.run(read, parameters={"who": "one"})
    room.run(read, parameters={"who": "one"}, run={"parameters": {"who": "two"}})
    assert room.accounts == ["one", "two"]


def test_a_reply_error_says_no_query(room: Room) -> None:
    """Neither of a reply that is no JSON, nor of one whose records are not where they should be."""
    for reply in (httpx.Response(200, text="<p>hello"), httpx.Response(200, json={"a": 1})):
        room.answer = lambda request, reply=reply: reply  # type: ignore[misc]
        read = {"snap": "http.read", "account": "a", "with": {"path": "/x?key=canary", "records": "b"}}
        with pytest.raises(StepError, match="GET /x") as caught:
            room.run(read)
        assert "canary" not in str(caught.value)
