"""What must be put in order in the child of a fork, where the threads of the parent do not exist."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something with threads or locks."""

    def after_fork(self) -> None:
        """Called in the child."""


_known: weakref.WeakSet[Forked] = weakref.WeakSet()


def remember(thing: Forked) -> None:
    """Tell `thing` of forks, for as long as it lives."""
    _known.add(thing)


def _after_fork() -> None:
    for thing in list(_known):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
