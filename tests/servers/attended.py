"""A command that opens a browser, and whoever sits there: two children of the test, so that no death is missed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Self

VISITOR = (sys.executable, str(Path(__file__).with_name("visitor.py")))
# Nothing here takes this long; it only keeps a broken test from hanging.
BOUND_S = 120.0
# Whoever has left the browser has been where the login ends: the command has only its last call to make.
LEFT_S = 10.0


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Running:
    """A process whose words go to files, where they fill no pipe and can be read at any time."""

    def __init__(self, command: Sequence[str], **options: object) -> None:
        self._out, self._err = TemporaryFile("w+"), TemporaryFile("w+")  # noqa: SIM115  # see __exit__
        self._process = subprocess.Popen(  # type: ignore[call-overload]  # the options are what they are
            [*command], stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, **options
        )

    @property
    def code(self) -> int | None:
        """Its exit code, negative the signal that ended it; None while it runs."""
        code: int | None = self._process.poll()
        return code

    def ends_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def out(self) -> str:
        return _all_of(self._out)

    @property
    def err(self) -> str:
        return _all_of(self._err)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._out.close()
        self._err.close()


class _Been:
    """A function that has been to an address, in the words of a process."""

    def __init__(self, visitor: Callable[[str], object], address: str) -> None:
        self.code, self.out, self.err = 0, "", ""
        try:
            self.out = str(visitor(address))
        except Exception:
            self.code, self.err = 1, traceback.format_exc()

    def ends_within(self, seconds: float) -> bool:
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """There is nothing to end."""


def _all_of(file: object) -> str:
    # By its descriptor: the position in the file is the one that its process writes at.
    size = os.fstat(number := file.fileno()).st_size  # type: ignore[attr-defined]
    return os.pread(number, size, 0).decode("utf-8", "replace")


def attended(
    command: Sequence[str],
    folder: Path,
    visitor: Sequence[str] | Callable[[str], object],
    *,
    bound_s: float = BOUND_S,
    left_s: float = LEFT_S,
) -> Done:
    """Run a command in a folder; when it opens a browser, `visitor` goes to the address: a function, or a program
    whose last word it is.

    Fails at once, in the visitor's own words, when that ends in any way but well; and soon when it ends well and the
    command goes on waiting.
    """
    with ExitStack() as stack:
        # The name of the link is where the address is put down: by a link it is there whole or not at all.
        letter = Path(stack.enter_context(TemporaryDirectory(prefix="browser-"))) / "address"
        environ = os.environ | {"BROWSER": shlex.join(["ln", "-s", "--", "%s", str(letter)])}
        running = stack.enter_context(Running(command, cwd=folder, env=environ))
        sitting: Running | _Been | None = None
        until = time.monotonic() + bound_s
        while not running.ends_within(0.02):
            if sitting is None and letter.is_symlink():
                sitting = stack.enter_context(_sent(visitor, os.readlink(letter)))
            if sitting is not None and sitting.code is not None:
                _must(sitting.code == 0, "whoever sat at the browser died", running, sitting)
                done = running.ends_within(left_s)
                _must(done, "whoever sat at the browser left, and the command waits on", running, sitting)
            _must(time.monotonic() < until, f"it took more than {bound_s:g} s", running, sitting)
        if sitting is not None:
            # It may still be looking at the last page.
            _must(sitting.ends_within(bound_s), "whoever sits at the browser hangs", running, sitting)
            _must(sitting.code == 0, "whoever sat at the browser died", running, sitting)
        assert running.code is not None
        return Done(running.code, running.out, running.err)


def _sent(visitor: Sequence[str] | Callable[[str], object], address: str) -> Running | _Been:
    if callable(visitor):
        return _Been(visitor, address)
    # It finds what this process finds.
    return Running([*visitor, address], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


def _must(holds: bool, otherwise: str, running: Running, sitting: Running | _Been | None) -> None:
    if holds:
        return
    words = [otherwise]
    for name, one in (("the browser", sitting), ("the command", running)):
        if one is not None:
            words.append(f"--- {name}, exit code {one.code}:\n{one.out}{one.err}")
    raise AssertionError("\n".join(words))
