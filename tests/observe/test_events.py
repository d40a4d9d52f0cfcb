"""Log events: each is documented, told, readable by people and by JSON formatters, and shows what happened."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from observe_room import PLAIN, Ear, Room

from connector.errors import ConnectorError
from connector.events import EVENTS
from connector.fence import Fence
from connector.keys import encode, new_key
from connector.login import Login
from connector.observe import line, tell
from connector.vault import Vault

Make = Callable[..., Room]
SOURCES = sorted((Path(__file__).parents[2] / "connector").rglob("*.py"))


def told() -> Iterator[tuple[str, str]]:
    """Each event that the sources tell, and where: the first argument of `tell` and `.end`."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in ("tell", "end"):
                continue
            first = node.args[0]
            options = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
            for option in options:
                if isinstance(option, ast.Constant) and isinstance(option.value, str):
                    yield option.value, f"{file.name}:{node.lineno}"


def test_what_is_told_is_in_the_list_and_the_other_way_round() -> None:
    """No event is told that `connector.events` does not list, and none is listed that nobody tells."""
    found = dict(told())
    assert {name: where for name, where in found.items() if name not in EVENTS} == {}
    assert sorted(EVENTS.keys() - found.keys()) == []


def test_nobody_logs_past_the_list() -> None:
    """Only `connector.observe` speaks to the logger; whatever is said is an event."""
    speaking = re.compile(r"\b_?log(?:ger)?\.(?:log|debug|info|warning|error|exception|critical)\(")
    assert [file.name for file in SOURCES if speaking.search(file.read_text("utf-8"))] == ["observe.py"]


def test_fields_do_not_collide_with_those_of_logging() -> None:
    """A field named like an attribute of LogRecord would make logging itself fail."""
    assert [name for event in EVENTS.values() for name in (*event.fields, "event") if name in PLAIN] == []


def test_a_filter_that_fails_costs_nothing(make: Make, ear: Ear) -> None:
    """A stranger's filter raises at each line: tokens are fetched and saved all the same."""
    room = make(expires_in=5)
    room.clock.now += 10

    def fails(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of somebody's")

    logger = logging.getLogger("connector")
    logger.addFilter(fails)
    try:
        token = room.source.token()
    finally:
        logger.removeFilter(fails)
    stored = room.world.load().token
    assert stored is not None
    assert stored.fingerprint == token.fingerprint


def test_message_and_record_say_the_same(ear: Ear) -> None:
    """Fields in the message and on the record; unknown ones are left out, and so is what is no field of it."""
    tell("token.call", account="a b", status=200, outcome="", reason=None, seconds=0.12345, secret="s")
    [record] = ear.records
    assert record.getMessage() == 'token.call account="a b" status=200 seconds=0.123'
    assert ear.fields("token.call") == [{"account": "a b", "status": 200, "seconds": 0.12345}]
    assert record.levelno == logging.DEBUG


VALUES = st.one_of(st.text(), st.integers(), st.booleans(), st.floats(-1e9, 1e9))


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), VALUES, max_size=4))
def test_a_line_is_one_line_that_can_be_taken_apart(fields: dict[str, Any]) -> None:
    """Whatever a text holds, the event stays one printable line, and each text comes back as it was."""
    text = line("some.event", fields)
    assert text.isprintable()
    found, rest = {}, text.removeprefix("some.event")
    while rest:
        name, _, rest = rest[1:].partition("=")
        if rest.startswith('"'):
            found[name], end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:]
        else:
            found[name], blank, after = rest.partition(" ")
            rest = blank + after
    assert list(found) == list(fields)
    assert all(found[name] == value for name, value in fields.items() if isinstance(value, str))


# --- what happens, as it is told: each scene shows some events with all their fields ---


def renewed(room: Room) -> None:
    """The token ends, and is renewed."""
    room.ask()
    room.clock.now += 3600
    room.ask()


def the_same(room: Room) -> None:
    """An early renewal brings the token that was there."""
    token = room.ask()
    same = {"access_token": token.access_token.reveal(), "expires_in": 600}
    room.answers.append(lambda request: httpx.Response(200, json=same))
    room.clock.now += 3000
    room.ask()
    room.source.settle()


def down(room: Room) -> None:
    """The server has a bad day."""
    room.clock.now += 3600
    room.answers.append(lambda request: httpx.Response(503, headers={"retry-after": "9"}))
    with pytest.raises(ConnectorError):
        room.ask()


def no_answer(room: Room) -> None:
    """Nobody answers."""

    def silence(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("nothing")

    room.clock.now += 3600
    room.answers.append(silence)
    with pytest.raises(ConnectorError):
        room.ask()


def misfit(room: Room) -> None:
    """The client secret is wrong."""
    room.clock.now += 3600
    room.answers.append(lambda request: httpx.Response(401, json={"error": "invalid_client"}))
    with pytest.raises(ConnectorError):
        room.ask()


def dead(room: Room) -> None:
    """The refresh token is refused."""
    room.clock.now += 3600
    room.answers.append(lambda request: httpx.Response(400, json={"error": "invalid_grant"}))
    with pytest.raises(ConnectorError):
        room.ask()


def elsewhere(room: Room) -> None:
    """Another process has the lease, and dies with it."""
    room.clock.now += 3600
    room.store.acquire("acme", "other/1", ttl_s=30.0)
    room.ask()


def unsaved(room: Room) -> None:
    """The store fills up between journal and reply."""
    room.clock.now += 3600

    def full(request: httpx.Request) -> httpx.Response:
        room.store.broken.add("save")
        reply = {"access_token": room.new("access"), "refresh_token": room.new("refresh"), "expires_in": 60}
        return httpx.Response(200, json=reply)

    room.answers.append(full)
    room.ask()


def refused(room: Room) -> None:
    """The API refuses a token, and then asks for a pause."""
    room.pages += [httpx.Response(401), httpx.Response(429, headers={"retry-after": "3"})]
    assert room.get().status_code == 200


def abroad(room: Room) -> None:
    """A request leaves the account's hosts."""
    Fence(room.source.account).stop(httpx.URL("https://elsewhere.example.com/"))


def by_a_person(room: Room) -> None:
    """Somebody logs in, and out."""
    login = Login(
        room.source.account,
        room.source._grant,
        Vault(room.store, url="memory://", environ={"CONNECTOR_KEY": encode([new_key()])}),
        key="acme",
        reveal=room.world.reveal,
        poster=room.world.poster,
        identity="here",
        clock=room.clock,
    )
    login._begin(room.login())
    login.logout(revoke=False)


SCENES: dict[Callable[[Room], None], tuple[str, ...]] = {
    renewed: ("token.loaded", "renewal.started", "token.call", "renewal.done", "token.waited"),
    the_same: ("renewal.same",),
    down: ("renewal.failed",),
    no_answer: ("renewal.failed",),
    misfit: ("renewal.failed",),
    dead: ("login.needed",),
    elsewhere: ("renewal.waits", "renewal.done"),
    unsaved: ("store.failed", "token.unsaved"),
    refused: ("token.rejected", "request.waits"),
    abroad: ("host.foreign",),
    by_a_person: ("login.done", "login.ended"),
}
# Told where a plugin, a Redis or a provider is: shown by the tests of those.
OTHERS = {"plugin.broken", "store.not_durable", "telemetry.broken"}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_happens_is_told(scene: Callable[[Room], None], make: Make, ear: Ear) -> None:
    """The events of a scene are told, with whose they are, and with no token or secret anywhere."""
    room = make()
    scene(room)
    assert [name for name in SCENES[scene] if name not in ear.events] == []
    for record in ear.records:
        assert (record.__dict__["account"], record.__dict__["endpoint"]) == ("acme", "example")
    assert [secret for secret in (*room.issued, "very-secret") if secret in ear.text] == []


def test_every_field_is_told_some_time(make: Make, ear: Ear) -> None:
    """All scenes together show each field of each event: none is documented that never appears."""
    for scene in SCENES:
        scene(make())
    missing = {
        name: sorted(absent)
        for name, event in EVENTS.items()
        if name not in OTHERS
        if (absent := set(event.fields) - {field for one in ear.fields(name) for field in one})
    }
    assert missing == {}


def test_who_must_act_is_told_by_name_and_level(make: Make, ear: Ear) -> None:
    """A dead login is `login.needed`; while the token still works it is a warning, afterwards an error."""
    room = make()
    room.ask()
    room.clock.now += 3000
    room.answers.append(lambda request: httpx.Response(400, json={"error": "invalid_grant"}))
    room.ask()
    room.source.settle()
    room.clock.now += 600
    with pytest.raises(ConnectorError):
        room.ask()
    levels = [r.levelname for r in ear.records if r.__dict__["event"] == "login.needed"]
    assert levels == ["WARNING", "ERROR"]
    assert all(one["resolution"] == "run `connector login acme`" for one in ear.fields("login.needed"))
    assert "renewal.failed" not in ear.events


@pytest.mark.parametrize(("status", "error", "final"), [(503, "", False), (401, "invalid_client", True)])
def test_what_waiting_cures_is_told_apart(status: int, error: str, final: bool, make: Make, ear: Ear) -> None:
    """`final` says that nothing but another manifest, or another client at the server, helps."""
    room = make()
    room.clock.now += 3600
    room.answers.append(lambda request: httpx.Response(status, json={"error": error} if error else {}))
    with pytest.raises(ConnectorError):
        room.ask()
    [failed] = ear.fields("renewal.failed")
    assert failed["final"] is final
    assert ("retry_in_s" in failed) is not final


def test_whoever_waits_is_told_in_each_way(make: Make, kind: str, ear: Ear) -> None:
    """A request without a usable token tells how long it waited; one with a token tells nothing."""
    room = make()
    room.ask(kind)
    assert ear.events.count("token.waited") == 1
    room.ask(kind)
    assert ear.events.count("token.waited") == 1
