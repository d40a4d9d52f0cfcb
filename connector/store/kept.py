"""What a store keeps open between its calls: connections, each used by one thread at a time.

Rules of this room: no lock, so that none is held when the process forks; and a forked child never touches
what its parent opened, not even to close it, since closing says goodbye to the server for both.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """A few things that are open and not in use, by what they are for.

    Args:
        shut: closes one; must not raise.
        most: how many are kept at most.
    """

    def __init__(self, shut: Callable[[T], None], *, most: int = 4) -> None:
        self._shut = shut
        self._most = most
        self._things: deque[tuple[int, str, T]] = deque()
        self._parents: list[T] = []  # of the parent of a fork: kept from being closed by the collector

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
                pid, kind, thing = self._things.pop()
            except IndexError:
                break
            if pid != mine:
                self._parents.append(thing)
            elif kind == use:
                found = thing
            else:
                spare.append((pid, kind, thing))
        if found is None and other and spare:
            found = spare.pop(0)[2]
        self._things.extend(reversed(spare))
        return found

    def give(self, thing: T, use: str = "") -> None:
        """Keep one for the next caller; beyond `most`, the one that lay longest is closed."""
        self._things.append((os.getpid(), use, thing))
        while len(self._things) > self._most:
            self._drop()

    def close(self) -> None:
        """Close all that are not in use."""
        while self._things:
            self._drop()

    def _drop(self) -> None:
        try:
            pid, _, thing = self._things.popleft()
        except IndexError:
            return
        if pid == os.getpid():
            self._shut(thing)
        else:
            self._parents.append(thing)


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
