"""Single flight: at most one renewal at a time in a process, and everybody waits for that one.

Works for threads and for tasks of any number of asyncio and trio loops at once, because the result is a plain
`concurrent.futures.Future` that a thread of its own fulfils. Whoever waits may give up; the flight goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from connector.lives import Background, in_hook, linger, over

T = TypeVar("T")
# From a flight's being listed to its thread's being there: microseconds, unless nobody starts it any more.
_STUCK_S = 2.0


class Flight(Generic[T]):
    """Runs one function at a time; those who ask while it runs share its result."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()
        self._running: Future[T] | None = None
        self._thread: threading.Thread | None = None
        self._begun = 0.0
        self._flyer = 0

    def join(self, function: Callable[[], T], *, here: bool = False) -> Future[T]:
        """Return the future of the flight under way, beginning one with `function` if there is none.

        Args:
            here: where no thread can be started, or would be waited for by nobody since the interpreter
                ends, fly in the caller's; otherwise the future holds the RuntimeError.

        A caller who is interrupted (Ctrl-C) before the thread has begun cancels the future.
        """
        # Made outside of the lock, inside which nothing may run that could ask again from this very
        # thread: a signal handler, a ``__del__``.
        future: Future[T] = Future()
        # Not a daemon: at interpreter exit Python waits for it, so a rotated token is saved first.
        thread = Background(target=self._fly, args=(function, future), name=self._name)
        try:
            with self._lock:
                self._drop_stuck()
                if self._running is not None:
                    return self._running
                self._running, self._thread = future, thread
                self._begun, self._flyer = time.monotonic(), 0
            if over() or (here and in_hook()):
                raise RuntimeError("the interpreter is ending")
            thread.start()
        except RecursionError:
            self._abandon(future)
            raise
        except RuntimeError as error:
            if over() and threading.current_thread().daemon:
                # It may be stopped anywhere by now, also between a reply and its save: so it is here,
                # without an error that would only be noise at the end.
                linger()
            if here and not (over() and threading.current_thread().daemon):
                self._fly(function, future)
            else:
                self._land(future)
                future.set_exception(error.with_traceback(None))
        except BaseException:
            self._abandon(future)
            raise
        return future

    def _drop_stuck(self) -> None:
        """Under the lock: forget a flight whose thread never came, since its caller was cut off."""
        running, thread = self._running, self._thread
        if running is None or thread is None or running.running() or thread.ident is not None:
            return
        if time.monotonic() - self._begun > _STUCK_S:
            self._abandon(running)

    def _abandon(self, future: Future[T]) -> None:
        """The caller was interrupted while the thread was started: it may have begun, and then it flies."""
        with self._lock:
            if future.cancel():
                future.set_running_or_notify_cancel()
                self._land(future)

    @property
    def mine(self) -> bool:
        """Whether the flight under way is flown by the very thread that asks, which must not wait for it."""
        return self._running is not None and self._flyer == threading.get_ident()

    @property
    def running(self) -> Future[T] | None:
        """The flight under way."""
        return self._running

    def reset(self) -> None:
        """Forget the flight under way: in the child of a fork, where its thread does not exist."""
        self._lock = threading.RLock()
        self._running = self._thread = None

    def _fly(self, function: Callable[[], T], future: Future[T]) -> None:
        with self._lock:
            if future.cancelled():
                return
            future.set_running_or_notify_cancel()
            self._flyer = threading.get_ident()
        try:
            result = function()
        except BaseException as error:
            self._land(future)
            # Its traceback holds the frames of the token call, and those hold secrets; so do the
            # tracebacks of what it came from.
            error.__cause__ = error.__context__ = None
            future.set_exception(error.with_traceback(None))
        else:
            self._land(future)
            future.set_result(result)

    def _land(self, future: Future[T]) -> None:
        with self._lock:
            if self._running is future:
                self._running = None


async def landed(future: Future[Any], patience_s: float) -> None:
    """Wait in a task until `future` is done, or patience is over. Being cancelled never ends the flight."""
    if future.done():
        return
    if _in_asyncio():
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        future.add_done_callback(lambda _: _call(loop.call_soon_threadsafe, event.set))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await event.wait()
        return
    trio = sys.modules["trio"]
    token, landing = trio.lowlevel.current_trio_token(), trio.Event()
    future.add_done_callback(lambda _: _call(token.run_sync_soon, landing.set))
    with trio.move_on_after(patience_s):
        await landing.wait()


def _in_asyncio() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def _call(schedule: Callable[..., Any], function: Callable[[], Any]) -> None:
    # A closed loop has nobody left to tell (trio.RunFinishedError is a RuntimeError too).
    with contextlib.suppress(RuntimeError):
        schedule(function)
