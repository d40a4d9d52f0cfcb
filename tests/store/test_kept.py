"""What a store keeps open between its calls: how many, for how long, and what a child of a fork gets of it."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable

import pytest

from connector.store.kept import Kept, Seats


class Thing:
    """Something open."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shut = False

    def close(self) -> None:
        self.shut = True


def things(count: int) -> list[Thing]:
    return [Thing(str(number)) for number in range(count)]


def soon(done: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + within_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return done()


def in_child(check: Callable[[], bool]) -> bool:
    """Whether it holds in the child of a fork."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child has not
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_nobody_uses_is_closed() -> None:
    """All but `rest`, those that lay longest first, and without anybody calling; what is used again stays."""
    kept = Kept(Thing.close, most=8, rest=2, idle_s=0.3)
    made = things(5)
    for thing in made:
        kept.give(thing)
    for _ in range(4):
        time.sleep(0.1)
        used = kept.take()
        assert used is made[4]
        kept.give(used)
    assert soon(lambda: sum(thing.shut for thing in made) == 3)
    time.sleep(0.7)
    assert [thing.shut for thing in made] == [True, True, True, False, False]
    kept.close()
    assert all(thing.shut for thing in made)


def test_no_more_than_most_are_kept() -> None:
    """Beyond that the one that lay longest goes at once."""
    kept = Kept(Thing.close, most=3, idle_s=60.0)
    made = things(5)
    for thing in made:
        kept.give(thing)
    assert [thing.shut for thing in made] == [True, True, False, False, False]
    kept.close()


def test_no_thread_stays_behind() -> None:
    """Closing ends the wait for what lies idle, however long it would be."""
    before = set(threading.enumerate())
    kept = Kept(Thing.close, rest=0, idle_s=600.0)
    kept.give(Thing("one"))
    assert set(threading.enumerate()) - before
    kept.close()
    assert soon(lambda: not set(threading.enumerate()) - before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_closes_what_is_its_own() -> None:
    """It neither gets nor closes what its parent opened, and what it opens itself is closed when idle there too."""
    kept = Kept(Thing.close, rest=0, idle_s=0.3)
    of_parent = Thing("parent's")
    kept.give(of_parent)

    def check() -> bool:
        mine = Thing("child's")
        kept.give(mine)
        return soon(lambda: mine.shut) and not of_parent.shut and kept.take() is None

    assert in_child(check)
    assert soon(lambda: of_parent.shut)


def test_who_finds_no_seat_is_told_at_once() -> None:
    """As many as there are, given back also by those who fail."""
    seats = Seats(2)
    with seats.one() as first, seats.one() as second, seats.one() as third:
        assert (first, second, third) == (True, True, False)
    with pytest.raises(ValueError, match="mine"), seats.one():
        raise ValueError("mine")
    with seats.one() as first, seats.one() as second:
        assert (first, second) == (True, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_has_all_seats() -> None:
    """Those who sat on them are not there."""
    seats = Seats(1)
    with seats.one() as mine:

        def check() -> bool:
            with seats.one() as first, seats.one() as second:
                return first and not second

        assert mine
        assert in_child(check)
