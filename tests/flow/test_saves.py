"""Two at once, one of them held up: whose save is refused looks again, and what a server gave is not lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from worlds import Flight, Process, World

from connector.effects import Acquire, Await, Effect, Load, Now, Post, Save
from connector.errors import NotAuthorizedError, RenewalError
from connector.record import Death, Record, Spending
from connector.saving import save_late
from connector.secret import Secret
from connector.token import Token
from connector.tokenstore import VersionConflict


def up_to(world: World, flight: Flight, kind: type[Effect]) -> None:
    """Perform effects, all well, up to one of a kind, which is left to be performed."""
    for _ in range(60):
        if isinstance(flight.effect, kind):
            return
        world.step(flight)
    raise AssertionError(f"no {kind.__name__}")


def to_its_end(world: World, flight: Flight) -> Record | Exception | None:
    """All other effects, well."""
    for _ in range(60):
        outcome = world.step(flight)
        if outcome is not None:
            return outcome
    raise AssertionError("no end")


def two(world: World) -> tuple[Flight, Flight]:
    """One with its call under way, held up past its lease; and its heir, with the answer not yet saved."""
    slow = world.begin(Process("slow", 0.0), "a")
    heir = world.begin(Process("heir", 0.0, base_s=7.0), "a")
    assert slow is not None
    assert heir is not None
    up_to(world, slow, Post)
    world.step(slow)
    world.now += 50
    up_to(world, heir, Post)
    world.step(heir)
    world.step(heir)
    up_to(world, heir, Save)
    return slow, heir


@pytest.mark.parametrize("machine", [False, True])
def test_a_refusal_that_comes_too_late_is_no_verdict(machine: bool) -> None:
    """The heir saves between the last look of the one held up and what that writes down: death, or a record
    without its refresh token. The save is refused, and the heir's token is the answer.
    """
    world = World(machine=machine)
    slow, heir = two(world)
    world.step(slow, "a lie")
    up_to(world, slow, Save)
    taken = to_its_end(world, heir)
    found = to_its_end(world, slow)
    assert isinstance(taken, Record)
    assert isinstance(found, Record), found
    assert found.presents == taken.presents == world.records["a"].presents
    assert world.records["a"].dead is None


def test_a_reply_is_saved_over_an_heirs_journal() -> None:
    """The heir has only written down what it is about to show: the answer to the very same token stands."""
    world = World()
    slow = world.begin(Process("slow", 0.0), "a")
    heir = world.begin(Process("heir", 0.0), "a")
    assert slow is not None
    assert heir is not None
    up_to(world, slow, Post)
    world.step(slow)
    world.step(slow)
    up_to(world, slow, Save)
    world.now += 50
    up_to(world, heir, Post)
    assert world.records["a"].spending is not None
    assert isinstance(to_its_end(world, slow), Record)
    assert world.records["a"].presents == Secret(world.servers["a"].current).fingerprint


@pytest.mark.parametrize("late", [False, True])
def test_an_heir_lets_one_speak_whose_answer_was_not_taken(late: bool) -> None:
    """The store was away when the answer came, for longer than the lease; it is back for both at once. The heir
    waits before it shows the token again, and finds its successor; or else shows it, as after a crash.
    """
    world = World()
    process = Process("one", 0.0)
    flight = world.begin(process, "a")
    assert flight is not None
    up_to(world, flight, Post)
    world.step(flight)
    world.away = True
    to_its_end(world, flight)
    assert process.memory["a"].unsaved
    world.now += 400
    world.away = False
    heir = world.begin(Process("heir", 0.0), "a")
    assert heir is not None
    up_to(world, heir, Await)
    assert world.leases["a"].holder == heir.process.holder
    world.step(heir)
    if late:
        world.save_behind(process, "a")
    outcome = to_its_end(world, heir)
    shown = max(world.shown.values())
    if late:
        assert isinstance(outcome, Record)
        assert (outcome.presents, shown) == (process.memory["a"].presents, 1)
        assert not process.memory["a"].unsaved
    else:
        assert isinstance(outcome, NotAuthorizedError)
        assert shown == 2


def test_an_heir_waits_for_a_call_that_may_be_under_way() -> None:
    """A store that loses a lease (memory that is full, say): the journal says that a call was begun just now."""
    world = World()
    slow = world.begin(Process("slow", 0.0), "a")
    assert slow is not None
    up_to(world, slow, Post)
    world.step(slow)
    world.leases.clear()
    world.forgot_lease = True
    heir = world.begin(Process("heir", 0.0), "a")
    assert heir is not None
    for _ in range(20):
        world.step(heir)
    assert isinstance(heir.effect, (Await, Load, Now)), "still waiting"
    taken = to_its_end(world, slow)
    found = to_its_end(world, heir)
    assert isinstance(taken, Record)
    assert isinstance(found, Record), found
    assert found.presents == taken.presents
    assert max(world.shown.values()) == 1


def test_a_person_who_logs_in_meanwhile_has_the_last_word() -> None:
    """What the server gave for the old login is dropped, and the new one is the answer."""
    world = World()
    slow = world.begin(Process("slow", 0.0), "a")
    assert slow is not None
    up_to(world, slow, Post)
    world.step(slow)
    world.step(slow)
    up_to(world, slow, Save)
    world.adopt("a")
    presents = world.records["a"].presents
    found = to_its_end(world, slow)
    assert isinstance(found, Record)
    assert found.presents == presents == world.records["a"].presents


def test_what_cannot_be_saved_says_so_and_is_saved_later() -> None:
    """Marked unsaved in memory, with the store's own record in doubt; the next renewal saves it first."""
    world = World()
    process = Process("one", 0.0)
    flight = world.begin(process, "a")
    assert flight is not None
    up_to(world, flight, Post)
    world.step(flight)
    world.away = True
    found = to_its_end(world, flight)
    assert isinstance(found, Record)
    assert found.unsaved
    assert world.records["a"].spending is not None
    world.away = False
    again = world.begin(process, "a")
    assert again is not None
    saved = to_its_end(world, again)
    assert isinstance(saved, Record)
    assert again.calls == 0
    assert world.records["a"].presents == found.presents


def test_whoever_waited_for_the_lease_looks_again() -> None:
    """Between its look and its lease another has renewed: it makes no call of its own."""
    world = World()
    first, second = (world.begin(Process(name, 0.0), "a") for name in ("first", "second"))
    assert first is not None
    assert second is not None
    while world.step(second) is None and type(second.effect).__name__ != "Acquire":
        pass
    taken = to_its_end(world, first)
    found = to_its_end(world, second)
    assert isinstance(taken, Record)
    assert isinstance(found, Record)
    assert (found.presents, second.calls) == (taken.presents, 0)


def test_a_token_in_doubt_is_not_shown_while_the_access_token_works() -> None:
    """A server that detects reuse would end both: only without anything to lose is it shown again."""
    world = World()
    world.now -= 100  # stale, and good for another 100 s
    process = Process("one", 0.0)
    process.keep("a", world.records["a"], world.now - 500)
    first = world.begin(process, "a", early=True)
    assert first is not None
    up_to(world, first, Post)
    world.step(first)
    assert isinstance(world.step(first, "lost after") or to_its_end(world, first), RenewalError)
    world.now += 2
    second = world.begin(process, "a", early=True)
    assert second is not None
    error = to_its_end(world, second)
    assert isinstance(error, RenewalError)
    assert (error.code, second.calls) == ("in_doubt", 0)


MADE = Token(access_token=Secret("a"), refresh_token=Secret("kept"), obtained_at=1.0)
SHOWN = Spending(presents=Secret("kept").fingerprint, holder="another", at=2.0)


@pytest.mark.parametrize("spending", [None, SHOWN])
@pytest.mark.parametrize("dead", [False, True])
def test_a_late_save_leaves_what_became_of_its_refresh_token(spending: Spending | None, dead: bool) -> None:
    """The server gave no other refresh token. One that was refused since, or whose fate is unknown since, stays
    so: only where neither is written down does the late record take the place of the one in the store.
    """
    unsaved = Record(token=MADE, unsaved=True, spending=replace(SHOWN, holder="one"))
    death = Death(presents=SHOWN.presents, at=3.0, words="no") if dead else None
    stored = Record(version=7, token=MADE, spending=spending, death=death)
    flow = save_late(unsaved)
    assert isinstance(next(flow), Save)
    assert isinstance(flow.throw(VersionConflict("somebody saved first")), Load)
    try:
        asked = flow.send(stored)
    except StopIteration as done:
        assert done.value == stored
        assert spending or dead
        return
    assert isinstance(asked, Save)
    assert not spending
    assert not dead
    assert (asked.record.version, asked.record.spending, asked.record.unsaved) == (7, None, False)


@pytest.mark.parametrize("times", [0, 1, 2, 9])
def test_whoever_is_held_up_beside_the_lease_asks_again(times: int) -> None:
    """How far the store's clock is ahead cannot be told by an answer that was long on its way: three are enough."""
    world = World()
    flight = world.begin(Process("one", 0.0), "a")
    assert flight is not None
    asks = 0
    for _ in range(30):
        if isinstance(flight.effect, Post):
            break
        asked = isinstance(flight.effect, Acquire)
        asks += asked
        world.step(flight)
        if asked and asks <= times:
            world.now += 5
    assert isinstance(flight.effect, Post)
    assert asks == min(times + 1, 3)
    assert isinstance(
        to_its_end(world, flight), Record
    )  # and the lease is long enough for the call, see worlds
