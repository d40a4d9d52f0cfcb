"""A token source over time: settling, forgetting, forking, and renewing because a person says so."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from source_room import BOUND_S, Room, shown

from connector.errors import NotAuthorizedError, RenewalError

Make = Callable[..., Room]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def stored(room: Room) -> str:
    """The refresh token in the store."""
    token = room.world.load().token
    assert token is not None
    assert token.refresh_token is not None
    return token.refresh_token.reveal()


def test_settling_waits_for_the_renewal_under_way(room: Room) -> None:
    """What a renewal brings is in the store when `settle` returns."""
    room.source.token()
    room.endpoint.shut()
    room.clock.now += 3000
    room.source.token()
    assert room.endpoint.arrived.wait(BOUND_S)
    settled = threading.Event()
    thread = threading.Thread(target=lambda: (room.source.settle(), settled.set()))
    thread.start()
    assert not settled.wait(0.05)
    room.endpoint.gate.set()
    assert settled.wait(BOUND_S)
    thread.join()
    assert stored(room) == "refresh-token-1"


def test_settling_is_bounded(room: Room) -> None:
    """A server that never answers holds up `settle` for as long as it is told, no longer."""
    room.source.token()
    room.endpoint.shut()
    room.clock.now += 3000
    room.source.token()
    assert room.endpoint.arrived.wait(BOUND_S)
    room.source.settle(0.02)
    assert stored(room) == "refresh-token-0"


def test_a_token_that_could_not_be_saved_is_saved_by_settling(make: Make) -> None:
    """The store fails after the server has answered: the token is used, and saved once the store is back."""
    room = make(expires_in=5)
    room.clock.now += 10
    # Full from the moment the server has answered: the journal is written, the successor is not.
    room.endpoint.answer = lambda: fill_up(room)
    assert shown(room.source.token()) == "token-1"
    assert stored(room) == "refresh-token-0"
    room.source.settle()
    assert stored(room) == "refresh-token-0"
    room.store.full = False
    room.source.settle()
    assert stored(room) == "refresh-token-1"
    assert len(room.endpoint.calls) == 1


def fill_up(room: Room) -> httpx.Response:
    room.store.full = True
    return room.endpoint.issue()


def test_forgetting_asks_the_store_again(room: Room, kind: str) -> None:
    """A login that another process brought is seen at once after `forget`, not at the token's end."""
    room.source.token()
    room.login("brought")
    assert shown(room.ask(kind)) == "token-0"
    room.source.forget()
    assert shown(room.ask(kind)) == "brought"


def test_forgetting_ends_the_quiet(make: Make) -> None:
    """An error that was the answer for a while is forgotten with the login it was about."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.answer = lambda: httpx.Response(400, json={"error": "invalid_grant"})
    with pytest.raises(NotAuthorizedError):
        room.source.token()
    room.login("brought")
    room.source.forget()
    assert shown(room.source.token()) == "brought"


def test_a_flight_of_the_old_login_does_not_come_back(make: Make, kind: str) -> None:
    """A login is adopted after a renewal saved its token and before memory has it: the new one counts."""
    room = make(expires_in=5)
    room.clock.now += 10

    def adopt() -> None:
        room.store.on_release = lambda: None
        room.login("adopted")
        room.source.forget()

    room.store.on_release = adopt
    assert shown(room.ask(kind)) == "adopted"
    assert shown(room.ask(kind)) == "adopted"
    assert len(room.endpoint.calls) == 1


def in_child(work: Callable[[], bool]) -> int:
    """Fork, work in the child, and return its exit status; one that hangs is killed by its own alarm."""
    with warnings.catch_warnings():
        # Forking beside threads is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(int(BOUND_S))
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@forks
def test_a_child_renews_by_itself_what_its_parent_was_renewing(make: Make) -> None:
    """Forked in the middle of a renewal, the child waits for no thread that it does not have."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.shut()
    found = room.asking("sync")
    assert room.endpoint.arrived.wait(BOUND_S)

    def work() -> bool:
        room.endpoint.gate.set()
        # The store is a copy, in which the parent's lease never ends but by the clock.
        return shown(room.source.token()) == "token-1" and room.clock.now > 1_800_000_000 + 45

    assert in_child(work) == 0
    room.endpoint.gate.set()
    room.join()
    assert [shown(token) for token in found] == ["token-1"]


@forks
def test_a_child_is_not_held_up_by_a_lock_of_its_parent(room: Room) -> None:
    """Forked while another thread counts, the child counts on."""
    token = room.source.token()
    held, done = threading.Event(), threading.Event()

    def count() -> None:
        with room.source.counts.lock:
            held.set()
            done.wait(BOUND_S)

    thread = threading.Thread(target=count)
    thread.start()
    assert held.wait(BOUND_S)
    try:
        assert in_child(lambda: room.source.reject(token) and shown(room.source.token()) == "token-1") == 0
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("auto_refresh", [True, False])
def test_a_person_may_renew_at_any_time(make: Make, auto_refresh: bool) -> None:
    """`renew_now` replaces a token that is still fresh, also where nothing is renewed by itself."""
    room = make(auto_refresh=auto_refresh)
    assert shown(room.source.token()) == "token-0"
    assert shown(room.source.renew_now()) == "token-1"
    assert shown(room.source.token()) == "token-1"
    assert shown(room.source.renew_now()) == "token-2"
    assert stored(room) == "refresh-token-2"
    assert room.source.counts.renewals == 2


def test_a_person_is_told_what_went_wrong(room: Room) -> None:
    """`renew_now` raises its own error; those who use the fresh token notice nothing."""
    token = room.source.token()
    room.endpoint.answer = lambda: httpx.Response(503)
    with pytest.raises(RenewalError, match="503"):
        room.source.renew_now()
    assert room.source.token() is token


def renewing(room: Room) -> tuple[threading.Thread, list[Any]]:
    """Call `renew_now` in a thread, and return when it has seen what the store has."""
    looked, found = threading.Event(), []
    person = threading.Thread(target=lambda: found.append(room.source.renew_now()))
    room.store.on_load = lambda: looked.set() if threading.current_thread() is person else None
    person.start()
    assert looked.wait(BOUND_S)
    return person, found


def test_a_renewal_under_way_is_enough_for_a_person(room: Room) -> None:
    """`renew_now` beside an early renewal takes its token; it costs no second call."""
    room.source.token()
    room.endpoint.shut()
    room.clock.now += 3000
    room.source.token()
    assert room.endpoint.arrived.wait(BOUND_S)
    person, found = renewing(room)
    room.endpoint.gate.set()
    person.join(BOUND_S)
    assert [shown(token) for token in found] == ["token-1"]
    assert len(room.endpoint.calls) == 1


def test_a_look_into_the_store_is_not_enough_for_a_person(room: Room) -> None:
    """`renew_now` beside one who finds a good token in the store renews all the same."""
    entered, go = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert go.wait(BOUND_S)

    room.store.on_load = hold
    looking = room.asking("sync")
    assert entered.wait(BOUND_S)
    person, found = renewing(room)
    go.set()
    person.join(BOUND_S)
    room.join()
    assert [shown(token) for token in looking] == ["token-0"]
    assert [shown(token) for token in found] == ["token-1"]


def test_a_person_renews_what_was_pending(make: Make) -> None:
    """A pause that a failure left is kept by `renew_now` too: the server asked for it."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.answer = lambda: httpx.Response(429, headers={"retry-after": "60"})
    with pytest.raises(RenewalError):
        room.source.token()
    room.endpoint.answer = room.endpoint.issue
    with pytest.raises(RenewalError) as caught:
        room.source.renew_now()
    assert caught.value.retry_after == 60
    assert len(room.endpoint.calls) == 1
    room.clock.now += 60
    assert shown(room.source.renew_now()) == "token-1"


def test_endpoint_habits_move_the_window(make: Make) -> None:
    """`refresh: {before: ...}` of an endpoint says when the early renewal begins."""
    spec = make().source.account.endpoint
    refresh = replace(spec.refresh, before_s=1500.0)
    room = make(endpoint=replace(spec, refresh=refresh))
    for after, calls in ((2099, 0), (1, 1)):
        room.clock.now += after
        room.source.token(fresh=True)
        assert len(room.endpoint.calls) == calls
