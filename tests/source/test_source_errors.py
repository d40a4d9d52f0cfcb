"""What a token source does about failed renewals, and about an API that refuses its tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from source_room import BOUND_S, Room, shown

from connector.errors import ConnectorError, NotAuthorizedError, RenewalError
from connector.secret import Secret
from connector.token import Token

Make = Callable[..., Room]


def busy() -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": "7"})


def busy_long() -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": "3600"})


def wrong_client() -> httpx.Response:
    return httpx.Response(401, json={"error": "invalid_client"})


def dead_login() -> httpx.Response:
    return httpx.Response(400, json={"error": "invalid_grant"})


def test_an_error_is_the_answer_until_it_makes_sense_to_try_again(make: Make, kind: str) -> None:
    """While the server asks for peace, callers get its error at once, with the seconds that are left; the store
    is only looked at, since somebody else may mend it.
    """
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.answer = busy
    with pytest.raises(RenewalError, match="429") as first:
        room.ask(kind)
    assert first.value.retry_after == 7
    room.store.asked.clear()
    room.clock.now += 3
    with pytest.raises(RenewalError, match="429") as second:
        room.ask(kind)
    assert second.value.retry_after == 4
    assert room.store.asked == ["load"]
    with pytest.raises(RenewalError, match="429"):
        room.ask(kind)
    assert room.store.asked == ["load"]
    assert len(room.endpoint.calls) == 1
    room.endpoint.answer = room.endpoint.issue
    room.clock.now += 4
    assert shown(room.ask(kind)) == "token-1"
    assert room.source.counts.failed_renewals == 1


@pytest.mark.parametrize("trouble", [busy_long, wrong_client])
def test_what_others_mend_is_seen_soon(make: Make, kind: str, trouble: Callable[[], httpx.Response]) -> None:
    """A token that somebody else brings during a long pause is handed out two seconds later, without a call."""
    room = make(expires_in=5)
    room.endpoint.answer = trouble
    room.clock.now += 10
    with pytest.raises(ConnectorError):
        room.ask(kind)
    record = room.world.load()
    fresh = Token(access_token=Secret("mended"), obtained_at=room.clock.now, expires_at=room.clock.now + 600)
    room.world.save(record.renewed(fresh))
    room.clock.now += 2
    assert shown(room.ask(kind)) == "mended"
    assert len(room.endpoint.calls) == 1


def test_what_only_a_person_cures_is_no_storm(make: Make) -> None:
    """A refused client is asked for again after 5 s, 10 s, 20 s and so on, five minutes at most."""
    room = make(expires_in=5)
    room.endpoint.answer = wrong_client
    room.clock.now += 10
    began, at = room.clock.now, []
    while room.clock.now < began + 1500:
        calls = len(room.endpoint.calls)
        with pytest.raises(NotAuthorizedError) as caught:
            room.source.token()
        assert caught.value.code == "client_refused"
        if len(room.endpoint.calls) > calls:
            at.append(room.clock.now - began)
        room.clock.now += 5
    assert at == [0, 5, 15, 35, 75, 155, 315, 615, 915, 1215]


def test_success_ends_the_growing(make: Make) -> None:
    """After a renewal that worked, the next failure is waited out from the beginning."""
    room = make(expires_in=5)
    room.endpoint.answer = wrong_client
    for _ in range(4):
        room.clock.now += 100
        with pytest.raises(NotAuthorizedError):
            room.source.token()
    room.endpoint.answer = room.endpoint.issue
    room.clock.now += 100
    room.source.token()
    room.endpoint.answer = wrong_client
    room.clock.now += 3600
    for expected in (6, 7, 7):
        with pytest.raises(NotAuthorizedError):
            room.source.token()
        assert len(room.endpoint.calls) == expected
        room.clock.now += 5 if expected == 6 else 9


def test_a_new_login_is_seen_within_a_second(make: Make, kind: str) -> None:
    """A dead login asks the store again soon: a person may adopt another one in another process."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.answer = dead_login
    with pytest.raises(NotAuthorizedError) as caught:
        room.ask(kind)
    assert caught.value.code == "needs_authorization"
    room.login("brought")
    with pytest.raises(NotAuthorizedError):
        room.ask(kind)
    room.clock.now += 1
    assert shown(room.ask(kind)) == "brought"
    assert len(room.endpoint.calls) == 1


def test_nobody_gets_anothers_exception(make: Make) -> None:
    """Each waiter raises a copy of its own, with no cause, no context and no frame of the token call."""
    room = make(expires_in=5)
    room.clock.now += 10
    room.endpoint.shut()
    room.endpoint.answer = busy
    found = [room.asking(kind) for kind in ("sync", "asyncio", "trio")]
    assert room.endpoint.arrived.wait(BOUND_S)
    room.endpoint.gate.set()
    room.join()
    errors: list[Any] = [error for [error] in found]
    assert [type(error) for error in errors] == [RenewalError] * 3
    assert len({id(error) for error in errors}) == 3
    for error in errors:
        assert (error.__cause__, error.__context__) == (None, None)
        files, trace = set(), error.__traceback__
        while trace is not None:
            files.add(Path(trace.tb_frame.f_code.co_filename).name)
            trace = trace.tb_next
        assert "source.py" in files
        assert not files & {"flow.py", "drive.py", "post.py", "grants.py"}


def test_a_failed_early_renewal_stops_nobody(room: Room, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The old token goes on to its end, the log says so, and the server is left alone for as long as it asked."""
    room.source.token()
    room.endpoint.answer = busy
    room.clock.now += 3000
    with caplog.at_level(logging.WARNING, "connector"):
        assert shown(room.ask(kind, fresh=True)) == "token-0"
        assert [shown(room.ask(kind)) for _ in range(5)] == ["token-0"] * 5
        room.source.settle()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert len(room.endpoint.calls) == 1
    room.endpoint.answer = room.endpoint.issue
    room.clock.now += 8
    assert shown(room.ask(kind, fresh=True)) == "token-1"


def test_a_server_that_repeats_its_token_is_not_asked_again_at_once(room: Room) -> None:
    """An early renewal that brings the same token counts as one: the next comes a fitting time later."""
    left = iter([600, 280])
    room.endpoint.answer = lambda: httpx.Response(
        200, json={"access_token": "token-0", "expires_in": next(left)}
    )
    room.source.token()
    calls = []
    for after in (3000, 100, 379, 1, 100):
        room.clock.now += after
        assert shown(room.source.token(fresh=True)) == "token-0"
        calls.append(len(room.endpoint.calls))
    assert calls == [1, 1, 1, 2, 2]
    assert room.source.counts.token_calls == 2


@dataclass(frozen=True)
class Careless:
    """A grant of a stranger that hands over something else than a request."""

    name: str = "careless"
    interactive: bool = True

    def obtain(self, account: Any, credentials: Any) -> Any:
        """Nothing to begin from."""

    def renew(self, account: Any, token: Any, credentials: Any) -> Any:
        """Not what was asked for."""
        return f"refresh={token.refresh_token.reveal()}"


def test_what_nobody_foresaw_is_still_an_error_of_the_promised_kind(make: Make, kind: str) -> None:
    """A mistake inside a renewal is `internal`: it says its kind, repeats no secret and is not looped."""
    room = make(expires_in=5, with_grant=Careless())
    room.clock.now += 10
    with pytest.raises(RenewalError, match="AttributeError") as caught:
        room.ask(kind)
    assert caught.value.code == "internal"
    assert "refresh-token-0" not in str(caught.value)
    room.store.asked.clear()
    with pytest.raises(ConnectorError, match="AttributeError"):
        room.ask(kind)
    assert room.store.asked == []


def test_a_refused_token_is_replaced_once(room: Room, kind: str) -> None:
    """Many requests whose token the API refused cost one renewal, also those that say so afterwards."""
    token = room.source.token()
    assert [room.source.reject(token) for _ in range(5)] == [True] * 5
    new = room.ask(kind)
    assert shown(new) == "token-1"
    assert room.source.reject(token) is True  # a straggler: there is another one already
    assert room.ask(kind) is new
    assert len(room.endpoint.calls) == 1
    assert room.source.counts.rejections == 6


def test_a_token_refused_while_it_was_being_fetched_is_not_the_answer(room: Room, kind: str) -> None:
    """A renewal that began before the refusal and brings the refused token again does not count."""
    token = room.source.token()
    room.endpoint.shut()
    room.endpoint.answer = lambda: httpx.Response(200, json={"access_token": "token-0", "expires_in": 3600})
    room.clock.now += 3000
    room.source.token()  # an early renewal is under way
    assert room.endpoint.arrived.wait(BOUND_S)
    assert room.source.reject(token)
    found = room.asking(kind)
    answers = iter([room.endpoint.answer, room.endpoint.issue])
    room.endpoint.answer = lambda: next(answers)()
    room.endpoint.gate.set()
    room.join()
    assert [shown(token) for token in found] == ["token-1"]
    assert len(room.endpoint.calls) == 2


def test_without_auto_refresh_a_refusal_renews_nothing(make: Make) -> None:
    """`reject` says that asking again makes no sense, and the token stays what it is."""
    room = make(auto_refresh=False)
    token = room.source.token()
    assert room.source.reject(token) is False
    assert room.source.token() is token
    assert room.endpoint.calls == []
    assert room.source.counts.rejections == 1


def test_an_api_that_refuses_every_token_soon_gets_no_more(room: Room) -> None:
    """A token that never worked was no cure: the next renewal for a refusal waits 2 s, then 4, then 8."""
    assert room.source.reject(room.source.token())
    waits = []
    for _ in range(3):
        token, since = room.source.token(), room.clock.now
        while not room.source.reject(token):
            assert room.source.token() is token  # still handed out: the API may have meant something else
            room.clock.now += 1
        waits.append(room.clock.now - since)
    assert waits == [2, 4, 8]
    assert len(room.endpoint.calls) == 3


def test_tokens_that_worked_for_a_while_are_replaced_without_waiting(room: Room) -> None:
    """One that worked for a while ends the suspicion that two short-lived ones before it had begun."""
    for number, age in enumerate([0, 0, 0, 11, 0, 0, 11, 0, 0, 11, 11]):
        token = room.source.token()
        assert shown(token) == f"token-{number}"
        room.source.accept(token)
        room.clock.now += age
        assert room.source.reject(token)


def test_tokens_that_worked_for_a_moment_are_suspected_in_the_end(room: Room) -> None:
    """Refused at once after each first success: a few renewals are free, then they are spaced out."""
    refused_at = None
    for number in range(10):
        token = room.source.token()
        room.source.accept(token)
        if not room.source.reject(token):
            refused_at = number
            break
    assert refused_at == 3
    room.clock.now += 2
    assert room.source.reject(room.source.token())
