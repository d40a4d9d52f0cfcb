"""What must be done when a process forks, and when it ends; found here by whoever has something to do then.

Rules of this room: only weak references, so that nothing lives longer for being listed; and no lock, which a
fork might copy while it is held.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from typing import Protocol, TypeVar


class Forked(Protocol):
    """Something with a lock, a thread or a connection, none of which a child of a fork may use."""

    def after_fork(self) -> None:
        """Called in the child."""


class Crossed(Protocol):
    """What no fork may cut in two: a library with locks of its own, say."""

    def before_fork(self) -> None:
        """Called in the thread that forks; waits, not for ever, until no other thread is in it."""

    def after_fork_in_parent(self) -> None:
        """Called in the same thread, where the parent goes on."""

    def after_fork(self) -> None:
        """Called in the child."""


class Settled(Protocol):
    """Something that has to bring a thing to its end before the process does."""

    def settle(self) -> None:
        """Called when the interpreter ends, after all threads that it waits for."""


F = TypeVar("F", bound=Forked)
C = TypeVar("C", bound=Crossed)
S = TypeVar("S", bound=Settled)
_forked: weakref.WeakSet[Forked] = weakref.WeakSet()
_crossed: weakref.WeakSet[Crossed] = weakref.WeakSet()
_settled: weakref.WeakSet[Settled] = weakref.WeakSet()
_over = False


def forks(thing: F) -> F:
    """Have `thing` told when the process has become the child of a fork."""
    _forked.add(thing)
    return thing


def is_crossed(thing: C) -> C:
    """Have `thing` asked before each fork of the process, and told after it."""
    _crossed.add(thing)
    return forks(thing)


def settles(thing: S) -> S:
    """Have `thing` told when the interpreter ends."""
    _settled.add(thing)
    return thing


class Background(threading.Thread):
    """A thread that the interpreter waits for at its end, though it wants nothing for itself."""


def leaving() -> bool:
    """Whether the interpreter waits for nothing but `Background` threads: nobody is left to use an answer."""
    if threading.main_thread().is_alive() or in_hook():
        return False
    return all(
        thread.daemon or isinstance(thread, Background) or thread is threading.main_thread()
        for thread in threading.enumerate()
    )


def linger() -> None:
    """In a daemon's thread at the end of everything: not go on, since an error would only be noise."""
    if _over or leaving():
        time.sleep(10)


def in_hook() -> bool:
    """Whether this is the main thread after its end, in a hook such as those of `atexit`."""
    main = threading.main_thread()
    return threading.current_thread() is main and not main.is_alive()


def over() -> bool:
    """Whether nobody waits for a thread any more that begins only now."""
    return _over


def _before_fork() -> None:
    for thing in list(_crossed):
        thing.before_fork()


def _after_fork_in_parent() -> None:
    for thing in list(_crossed):
        thing.after_fork_in_parent()


def _after_fork() -> None:
    for thing in list(_forked):
        thing.after_fork()


def _at_exit() -> None:
    global _over
    # A second Ctrl-C says that it is enough; nobody is left whom a traceback would tell anything.
    with contextlib.suppress(KeyboardInterrupt):
        for thing in list(_settled):
            thing.settle()
    _over = True


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork
    )
