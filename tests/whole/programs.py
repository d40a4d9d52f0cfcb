"""Programs of a few lines, each in a process of its own: what only forking and ending can show."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from whole_world import BOUND_S, World

from connector.opening import open_manifest
from connector.recordkey import record_key
from connector.vault import Vault, open_vault

# `shift` moves the clock of the host, so that a token is stale (80 of its 100 s) or expired when it must be.
_PRELUDE = """
import asyncio, atexit, gc, multiprocessing, os, signal, sys, threading, time
import connector
from connector.host import Host
from connector.moment import steady
from connector.opening import open_manifest
from connector.store import SqliteStore
from connector.vault import open_vault

shift = 0
STALE, EXPIRED = 85, 100_000


def opened():
    opening = open_manifest(sys.argv[1])
    vault = open_vault(opening.manifest.store, opening.registry.stores, opening.manifest.folder)
    clock = lambda: time.time() + shift
    # The age of a token is told by the store's clock, so it is set along with that of the host.
    moved = SqliteStore(vault.store.path, clock=clock, steady=steady)
    return Host(opening, open_vault(moved, {}, opening.manifest.folder), clock=clock)


def say(*words):
    print(*words, flush=True)

"""


@dataclass
class Ended:
    """What became of a program: how, what it printed, and how long it took from a moment on."""

    code: int
    out: list[str]
    err: str
    seconds: float


class Program:
    """One that runs. Its manifest has the account ``main``, logged in for 100 s more."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def hear(self) -> str:
        """The next line that it prints."""
        return _of(self.process.stdout).readline().strip()

    def go(self) -> None:
        """Let it go on from where it reads a line."""
        stdin = self.process.stdin
        assert stdin is not None
        stdin.write("\n")
        stdin.flush()

    def ended(self) -> Ended:
        """Wait for its end. It must not take long."""
        began = time.monotonic()
        out, err = self.process.communicate(timeout=BOUND_S + 10)
        return Ended(self.process.returncode, out.split("\n")[:-1], err, time.monotonic() - began)


def _of(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextmanager
def running(world: World, body: str, *, plugins: Sequence[str] = (), **accounts: Any) -> Iterator[Program]:
    """Sign in, and start a program; `accounts`: others of its manifest."""
    host = world.open({"main": world.account(), **accounts}, plugins=list(plugins))
    host.adopt("main", {**world.login(), "expires_in": 100})
    file = world.folder / "program.py"
    file.write_text(_PRELUDE + textwrap.dedent(body))
    environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    # Python 3.12 and later warn of a fork with threads about, which is what these programs are for.
    hushed = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *hushed, str(file), str(world.folder / "manifest.yaml")]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            yield Program(process)
        finally:
            if process.poll() is None:
                process.kill()


def vault_of(world: World) -> tuple[Vault, str]:
    """The store of the manifest, and the name of ``main`` in it."""
    opening = open_manifest(world.folder / "manifest.yaml")
    vault = open_vault(opening.manifest.store, opening.registry.stores, opening.manifest.folder)
    return vault, record_key(opening.resolved("main"))
