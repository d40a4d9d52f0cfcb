"""What a store keeps open between its calls: connections, each used by one thread at a time.

Rules of this room: no lock, so that none is held when the process forks; and a forked child never touches
what its parent opened, not even to close it, since closing says goodbye to the server for both.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Kept(NamedTuple, Generic[T]):
    """One thing, and since when nobody has used it."""

    pid: int
    use: str
    since: float
    thing: T


class Kept(Generic[T]):
    """A few things that are open and not in use, by what they are for.

    Args:
        shut: closes one; must not raise.
        most: how many are kept at most.
        rest: how many stay when nobody uses them.
        idle_s: after which the others are closed.
    """

    def __init__(self, shut: Callable[[T], None], *, most: int = 4, rest: int = 2, idle_s: float) -> None:
        self._shut = shut
        self._most = most
        self._rest = rest
        self._idle_s = idle_s
        self._things: deque[_Kept[T]] = deque()
        self._parents: list[T] = []  # of the parent of a fork: kept from being closed by the collector
        self._timer: tuple[int, threading.Timer] | None = None

    def take(self, use: str = "", *, other: bool = True) -> T | None:
        """One that belongs to the caller until it gives it back; None: there is none, open one.

        Args:
            use: rather one that was last used for this.
            other: otherwise any.
        """
        mine, spare = os.getpid(), []
        found: T | None = None
        while found is None:
            try:
                kept = self._things.pop()
            except IndexError:
                break
            if kept.pid != mine:
                self._parents.append(kept.thing)
            elif kept.use == use:
                found = kept.thing
            else:
                spare.append(kept)
        if found is None and other and spare:
            found = spare.pop(0).thing
        self._things.extend(reversed(spare))
        return found

    def give(self, thing: T, use: str = "") -> None:
        """Keep one for the next caller; beyond `most`, the one that lay longest is closed."""
        self._things.append(_Kept(os.getpid(), use, time.monotonic(), thing))
        while len(self._things) > self._most:
            self._drop()
        self._watch()

    def close(self) -> None:
        """Close all that are not in use."""
        timer, self._timer = self._timer, None
        if timer is not None and timer[0] == os.getpid():
            timer[1].cancel()
        while self._things:
            self._drop()

    def _watch(self) -> None:
        """See to it that those are closed which nobody uses, also when nobody calls any more."""
        timer = self._timer
        if len(self._things) <= self._rest or (timer is not None and timer[0] == os.getpid()):
            return
        again = threading.Timer(self._idle_s, self._tidy)
        again.daemon = True
        self._timer = (os.getpid(), again)
        # Where the interpreter ends, or the system has no thread left, they stay a while longer.
        with contextlib.suppress(RuntimeError):
            again.start()
            return
        self._timer = None

    def _tidy(self) -> None:
        self._timer = None
        while len(self._things) > self._rest:
            try:
                kept = self._things.popleft()
            except IndexError:
                return
            if kept.pid == os.getpid() and time.monotonic() - kept.since < self._idle_s:
                self._things.appendleft(kept)
                break
            self._end(kept)
        self._watch()

    def _drop(self) -> None:
        try:
            kept = self._things.popleft()
        except IndexError:
            return
        self._end(kept)

    def _end(self, kept: _Kept[T]) -> None:
        if kept.pid == os.getpid():
            self._shut(kept.thing)
        else:
            self._parents.append(kept.thing)


class Seats:
    """How many may do something at once; who finds no seat does without.

    Args:
        number: how many there are in a process.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._of: tuple[int, deque[None]] = (0, deque())

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Have a seat; False: all are taken."""
        if self._of[0] != os.getpid():
            # The threads that sit on those of the parent of a fork are not here.
            self._of = (os.getpid(), deque([None] * self._number))
        free = self._of[1]
        try:
            free.pop()
        except IndexError:
            yield False
            return
        try:
            yield True
        finally:
            free.append(None)
