"""Metrics and spans, as OpenTelemetry's own SDK exports them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from observe_room import API, Room, attributes
from opentelemetry import context, trace
from otel_room import Seen

from connector.errors import ConnectorError
from connector.measures import METRICS, SPANS
from connector.observe import unwatch

Make = Callable[..., Room]
ACME = {"connector.account": "acme", "connector.endpoint": "example"}
CALL = {
    **ACME,
    "server.address": "login.example.com",
    "server.port": 8443,
    "http.request.method": "POST",
}


def refusing(error: str, status: int = 400) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, json={"error": error})


def silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("nothing")


def test_a_renewal_is_measured(make: Make, seen: Seen) -> None:
    """One token call and one renewal, counted and timed; the wait of the request; when the token ends."""
    room = make()
    room.clock.now += 3600
    room.ask()
    points = seen.points()
    ok = {**CALL, "connector.outcome": "ok", "http.response.status_code": 200}
    assert points["connector.token_calls"] == points["connector.token_call.duration"] == [(ok, 1)]
    done = {**ACME, "connector.outcome": "done"}
    assert points["connector.renewals"] == points["connector.renewal.duration"] == [(done, 1)]
    assert points["connector.token.wait.duration"] == [(ACME, 1)]
    assert points["connector.token.remaining"] == [(ACME, 3600.0)]


@pytest.mark.parametrize(
    ("answer", "call", "error", "outcome", "renewal"),
    [
        (refusing("", 503), "refused", "503", "failed", "in_doubt"),
        (refusing("invalid_grant"), "refused", "400", "login_needed", "needs_authorization"),
        (refusing("invalid_client", 401), "refused", "401", "failed", "client_refused"),
        (silent, "no_answer", "no_answer", "failed", "in_doubt"),
    ],
)
def test_failures_are_told_apart(
    answer: Any, call: str, error: str, outcome: str, renewal: str, make: Make, seen: Seen
) -> None:
    """`error.type` has the finest word: a code of docs/errors.md for renewals, the status for calls."""
    room = make()
    room.clock.now += 3600
    room.answers.append(answer)
    with pytest.raises(ConnectorError):
        room.ask()
    points = seen.points()
    [(attributes, number)] = points["connector.token_calls"]
    assert (attributes["connector.outcome"], attributes["error.type"], number) == (call, error, 1)
    expected = {**ACME, "connector.outcome": outcome, "error.type": renewal}
    assert points["connector.renewals"] == [(expected, 1)]
    [span] = seen.spans("connector.renewal")
    assert span.status.status_code is trace.StatusCode.ERROR
    assert (span.status.description, span.attributes["error.type"]) == (renewal, renewal)  # type: ignore[index]


def test_requests_are_counted(make: Make, kind: str, seen: Seen) -> None:
    """Requests, replays, refused tokens, pauses and failures, in each of the three ways."""
    room = make()
    pause = httpx.Response(429, headers={"retry-after": "3"})
    room.pages += [httpx.Response(401), pause, httpx.Response(200), httpx.Response(404)]
    assert [room.get(kind=kind).status_code for _ in range(2)] == [200, 404]
    points = seen.points()
    assert points["connector.requests"] == [(ACME, 4)]
    assert points["connector.request.replays"] == [(ACME, 2)]
    assert points["connector.token.rejections"] == [(ACME, 1)]
    assert points["connector.request.failures"] == [(ACME, 1)]
    assert points["connector.request.waits"] == [({**ACME, "http.response.status_code": 429}, 1)]


def test_a_store_that_fails_is_counted(make: Make, seen: Seen) -> None:
    """By what was asked of it."""
    room = make()
    room.store.broken.add("acquire")
    room.clock.now += 3600
    with pytest.raises(ConnectorError):
        room.ask()
    expected = {**ACME, "connector.store.operation": "acquire", "error.type": "store_full"}
    assert seen.points()["connector.store.failures"] == [(expected, 1)]


def test_spans_hang_together(make: Make, kind: str, seen: Seen) -> None:
    """The renewal is a child of the request that needed it, the token call one of the renewal."""
    room = make()
    room.clock.now += 3600
    with trace.get_tracer("program").start_as_current_span("request") as request:
        room.ask(kind)
    [call], [renewal] = seen.spans("connector.token_call"), seen.spans("connector.renewal")
    assert renewal.parent is not None
    assert call.parent is not None
    assert renewal.parent.span_id == request.get_span_context().span_id
    assert call.parent.span_id == renewal.context.span_id
    assert (call.kind, renewal.kind) == (trace.SpanKind.CLIENT, trace.SpanKind.INTERNAL)
    ok = {"connector.outcome": "ok", "http.response.status_code": 200, "url.scheme": "https"}
    assert dict(call.attributes or {}) == {**CALL, **ok}
    assert (renewal.attributes or {})["connector.outcome"] == "done"
    [program] = seen.spans("request")
    assert [event.name for event in program.events] == ["token.waited"]


def test_a_wait_for_the_lease_is_on_the_span_of_the_renewal(make: Make, seen: Seen) -> None:
    """Who held it, at each look."""
    room = make()
    room.clock.now += 3600
    room.store.acquire("acme", "other/1", ttl_s=1.0)
    room.ask()
    [renewal] = seen.spans("connector.renewal")
    assert {event.name for event in renewal.events} == {"renewal.waits"}
    assert {(event.attributes or {})["connector.holder"] for event in renewal.events} == {"other/1"}


def test_after_a_token_call_the_renewal_is_current_again(make: Make, seen: Seen) -> None:
    """What the store refuses after the call is told on the span of the renewal."""
    room = make()

    def full(request: httpx.Request) -> httpx.Response:
        room.store.broken.add("save")
        return httpx.Response(200, json={"access_token": room.new("access"), "expires_in": 60})

    room.clock.now += 3600
    room.answers.append(full)
    room.ask()
    [renewal], [call] = seen.spans("connector.renewal"), seen.spans("connector.token_call")
    assert {event.name for event in renewal.events} == {"store.failed"}
    assert call.events == ()
    assert (renewal.attributes or {})["connector.outcome"] == "unsaved"
    assert renewal.status.status_code is trace.StatusCode.UNSET


def test_a_renewal_leaves_no_span_behind(make: Make, seen: Seen) -> None:
    """Where the request went on meanwhile, the span that is current is the program's again."""
    room = make()
    room.ask()
    seen.clear()
    room.clock.now += 3000
    with trace.get_tracer("program").start_as_current_span("request") as request:
        room.ask()
        assert trace.get_current_span() is request
    room.source.settle()
    [renewal] = seen.spans("connector.renewal")
    assert (renewal.attributes or {})["connector.renewal.early"] is True


def test_instrumented_clients_leave_token_calls_alone(make: Make, seen: Seen) -> None:
    """They would write the whole URL down; the API of OpenTelemetry has a key to ask them not to."""
    found: list[object] = []
    room = make()
    room.clock.now += 3600

    def look(request: httpx.Request) -> httpx.Response:
        found.append(context.get_value(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY))
        return httpx.Response(200, json={"access_token": room.new("access"), "expires_in": 60})

    room.answers.append(look)
    room.ask()
    assert found == [True]
    assert context.get_value(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY) is None


def test_what_is_closed_is_watched_no_more(make: Make, seen: Seen) -> None:
    """The gauge shows tokens of open hosts only, below zero too; of two hosts the one that lasts longer."""
    room = make()
    room.ask()
    room.clock.now += 4000
    assert seen.points()["connector.token.remaining"] == [(ACME, -400.0)]
    other = make(expires_in=9000)
    other.ask()
    assert seen.points()["connector.token.remaining"] == [(ACME, 9000.0)]
    unwatch(other.source)
    assert seen.points()["connector.token.remaining"] == [(ACME, -400.0)]
    unwatch(room.source)
    assert "connector.token.remaining" not in seen.points()


def test_what_to_be_woken_for_is_a_gauge_that_goes_back(make: Make, seen: Seen) -> None:
    """A login that is needed and a token that is not saved are 1 until they are mended, then 0."""
    room = make()

    def shown() -> tuple[float, float]:
        points = seen.points()
        return points["connector.login.needed"][0][1], points["connector.token.unsaved"][0][1]

    room.ask()
    assert shown() == (0, 0)
    room.clock.now += 3600
    room.answers.append(refusing("invalid_grant"))
    with pytest.raises(ConnectorError):
        room.ask()
    assert shown() == (1, 0)
    room.store.broken.add("load")
    room.clock.now += 2
    with pytest.raises(ConnectorError):
        room.ask()
    assert shown() == (1, 0)
    room.store.broken.clear()
    room.login()
    room.clock.now += 5
    room.ask()
    assert shown() == (0, 0)

    def full(request: httpx.Request) -> httpx.Response:
        room.store.broken.add("save")
        return httpx.Response(200, json={"access_token": room.new("access"), "expires_in": 60})

    room.clock.now += 3600
    room.answers.append(full)
    room.ask()
    assert shown() == (0, 1)
    room.store.broken.clear()
    room.source.settle()
    assert shown() == (0, 0)


def test_attributes_are_those_that_are_documented(make: Make, seen: Seen) -> None:
    """Nothing is exported under a name that is not in the table."""
    for answer in (None, refusing("", 503), silent):
        room = make()
        room.clock.now += 3600
        room.answers += [answer] if answer else []
        room.pages += [httpx.Response(401), httpx.Response(429)]
        try:
            room.get(API + "/x")
        except ConnectorError:
            continue
    points = seen.points()
    assert points.keys() <= METRICS.keys()
    for name, found in points.items():
        assert {key for attributes_, _ in found for key in attributes_} <= attributes(METRICS[name].fields)
    for span in seen.spans():
        assert set(span.attributes or {}) <= attributes(SPANS[span.name].fields)
