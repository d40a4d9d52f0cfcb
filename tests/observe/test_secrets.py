"""Whatever servers say and stores do: no secret in an event, a record, a metric or a span."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from observe_room import Ear, Room, make_room
from otel_room import Seen

from connector.errors import ConnectorError
from connector.observe import unwatch

PIECE = 9  # a piece this long of a random text is no coincidence


def canary(kind: str) -> str:
    """A secret that is recognised in any piece, with characters that look different in each encoding."""
    return f"{secrets.token_hex(8)}%+/&= {secrets.token_hex(8)}"


def pieces(secret: str) -> set[str]:
    """Everything by which a secret would be recognised."""
    forms = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    forms.add(base64.b64encode(secret.encode()).decode().rstrip("="))
    return {form[i : i + PIECE] for form in forms for i in range(len(form) - PIECE + 1)}


def leaks(text: str, known: list[str]) -> set[str]:
    """The pieces of secrets that a text holds."""
    return {piece for secret in known for piece in pieces(secret) if piece in text}


def echo(status: int, where: str) -> Callable[[httpx.Request], httpx.Response]:
    """A careless server: it repeats all that it was sent."""

    def answer(request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        said = " ".join([*form.values(), request.content.decode()])
        return httpx.Response(status, json={"error": "invalid_grant" if where else said, where or "x": said})

    return answer


def silence(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(f"nothing came of {request.content.decode()}")


ANSWERS = st.sampled_from(
    [
        None,
        echo(400, "error_description"),
        echo(400, ""),
        echo(401, "error_description"),
        echo(503, "error_description"),
        echo(200, "error_description"),
        silence,
    ]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "get", "refused", "paused", "login", "renew"]),
        st.sampled_from([0.0, 3000.0, 4000.0]),
        ANSWERS,
        st.sampled_from([None, "load", "save", "acquire"]),
    ),
    min_size=1,
    max_size=6,
)


def step(room: Room, act: str) -> None:
    """One thing that a program or a person does."""
    if act == "login":
        room.source.settle()
        room.login()
        room.source.forget()
    elif act == "renew":
        room.source.renew_now()
    elif act == "ask":
        room.ask()
    else:
        if act == "refused":
            room.pages.append(httpx.Response(401, json={"error": "invalid_token"}))
        if act == "paused":
            room.pages.append(httpx.Response(429, headers={"retry-after": "1"}))
        room.get()


@given(steps=STEPS, grant=st.sampled_from(["authorization_code", "client_credentials"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_secret_is_told(steps: list[Any], grant: str, ear: Ear, seen: Seen) -> None:
    """Tokens, refresh tokens and client secrets as canaries; servers that echo them; stores that fail."""
    ear.records.clear()
    seen.clear()
    seen.text = ""
    secret = canary("client secret")
    room = make_room(name=canary, secret=secret, grant=grant)
    room.get()
    for act, later, answer, broken in steps:
        room.clock.now += later
        room.answers[:] = [answer] if answer else []
        room.store.broken = {broken} if broken else set()
        with contextlib.suppress(ConnectorError):
            step(room, act)
    room.store.broken = set()
    room.source.settle()
    seen.points()
    unwatch(room.source)
    told = ear.text + seen.text + "".join(span.to_json() for span in seen.spans())
    assert "acme" in told
    assert leaks(told, [secret, *room.issued]) == set()


def test_the_search_finds_what_is_there() -> None:
    """A canary is recognised whole, cut short and encoded."""
    secret = canary("secret")
    for text in (
        secret,
        f"x{secret[3:14]}",
        quote(secret),
        json.dumps({"a": secret}),
        logging.Formatter().format(logging.makeLogRecord({"msg": "%s", "args": (secret,)})),
    ):
        assert leaks(text, [secret])
    assert not leaks("nothing", [secret])
