"""What others on the machine can see of a command: arguments, environments and files, of it and of all it starts."""

from __future__ import annotations

import contextlib
import json
import secrets
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Nothing here takes this long; it only keeps a broken test from hanging.
BOUND_S = 60.0
# Imported by Python before anything of ours: whatever the command starts is written down as it is started, however
# shortly it lives. Of an environment, what was not in the command's own.
_EAR = """\
import json, os, sys

_given = dict(os.environ)
_starts = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty")

def _heard(event, args):
    if event in _starts:
        added = [
            f"{os.fsdecode(name)}={os.fsdecode(value)}"
            for one in [*args, os.environ]
            if hasattr(one, "items")
            for name, value in one.items()
            if _given.get(os.fsdecode(name)) != os.fsdecode(value)
        ]
        words = [repr(one) for one in args if not hasattr(one, "items")]
        with open(EAR, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "words": words, "added": added}) + "\\n")

sys.addaudithook(_heard)
"""


@dataclass
class Seen:
    """What could be seen of one command.

    Attributes:
        out, err: what it printed.
        started: what Python said it started, and how.
        texts: where -> what everybody, or everybody of the same user, could have read.
        pids: of the command and of all that it started, as far as they lived long enough to be met.
    """

    code: int = -1
    out: str = ""
    err: str = ""
    started: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[bytes, str] = field(default_factory=dict)
    pids: set[int] = field(default_factory=set)


class Watched:
    """Runs `connector ...` in a folder, and looks at them all the while.

    Args:
        folder: where the command runs, and where all its files are looked at.
        aside: for what the watching itself needs.
        environ: what its user has put into the environment.
    """

    def __init__(self, folder: Path, aside: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._ear = folder, aside / "started.jsonl"
        (aside / "sitecustomize.py").write_text(f"EAR = {str(self._ear)!r}\n{_EAR}")
        # By this its processes are known, whoever became their parent.
        mark = f"WATCHED={secrets.token_hex(8)}"
        name, _, value = mark.partition("=")
        self._environ = {**environ, name: value, "PYTHONPATH": str(aside)}
        self._given = {f"{name}={value}".encode() for name, value in self._environ.items()}
        self._mark = mark.encode()

    def run(self, *command: str, meanwhile: Callable[[], object] | None = None) -> Seen:
        """Run it to its end; `meanwhile` is called while it does."""
        seen, over = Seen(), threading.Event()
        self._ear.write_text("")
        with subprocess.Popen(
            [sys.executable, "-m", "connector", *command],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=0,  # whoever makes a file without thinking of its mode makes it for everybody
        ) as running:
            watching = threading.Thread(target=self._watch, args=(seen, over))
            watching.start()
            try:
                if meanwhile is not None:
                    meanwhile()
                seen.out, seen.err = running.communicate(timeout=BOUND_S)
            finally:
                running.kill()
                over.set()
                watching.join(BOUND_S)
        seen.code = running.returncode
        self._look_at_files(seen)
        seen.started = [json.loads(line) for line in self._ear.read_text("utf-8").splitlines()]
        for one in seen.started:
            seen.texts.setdefault(
                "\n".join([*one["words"], *one["added"]]).encode(), f"start by {one['event']}"
            )
        return seen

    def environment(self, raw: bytes) -> bytes:
        """What of an environment its user has not put there."""
        return b"\0".join(sorted(set(raw.split(b"\0")) - self._given))

    def _watch(self, seen: Seen, over: threading.Event) -> None:
        while not over.wait(0.02):
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    self._look_at(process, seen)
            self._look_at_files(seen)

    def _look_at(self, process: Path, seen: Seen) -> None:
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            words = (process / "cmdline").read_bytes()
            # Anybody's: a secret may have gone to a process that was there before.
            seen.texts.setdefault(words, f"arguments of process {process.name}")
            environ = (process / "environ").read_bytes()
            if self._mark in environ.split(b"\0"):
                seen.pids.add(int(process.name))
                seen.texts.setdefault(self.environment(environ), f"environment of {words!r}")

    def _look_at_files(self, seen: Seen) -> None:
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):  # moved or taken away meanwhile
                if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                    seen.texts.setdefault(path.read_bytes(), f"file {path.name}, readable by others")
