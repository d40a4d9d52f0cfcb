"""Two clocks: the wall's, which people set and machines agree on, and a steady one, which only goes forward.

Rules of this room: how long something lasts in this process is told by the steady clock; the wall clock tells
only what another process must understand.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Moment:
    """The same instant by two clocks.

    Attributes:
        at: by the wall clock, seconds since the epoch; it may jump.
        steady: by a clock that only goes forward; seconds since nobody knows when, in this process only.
    """

    at: float
    steady: float


def _steadiest() -> Callable[[], float]:
    # Tokens age while a laptop sleeps; time.monotonic stands still then on Linux and macOS.
    name = "CLOCK_MONOTONIC" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
    number = getattr(time, name, None)
    if number is not None:
        with contextlib.suppress(OSError):
            time.clock_gettime(number)
            return lambda: time.clock_gettime(number)
    return time.monotonic


steady: Callable[[], float] = _steadiest()


def boot() -> str:
    """What tells since when `steady` counts: who agrees on it shares the clock. Empty: nobody knows."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode().strip()
    except (OSError, ValueError):
        return ""


def steady_beside(clock: Callable[[], float]) -> Callable[[], float]:
    """The steady clock that belongs to a wall clock: whoever brings a clock of his own has one for both."""
    return steady if clock is time.time else clock
