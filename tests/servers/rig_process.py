"""A server as a process of its own: ready once it says so in a line, gone once its standard input closes."""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import httpx


def fingerprint(token: str) -> str:
    """How /stats names a refresh token."""
    return hashlib.sha256(token.encode()).hexdigest()[:8]


class RigProcess:
    """Started by ``with``; what it writes to standard error lies in `log`."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.port = 0
        self._command = list(command)
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stats(self) -> dict[str, Any]:
        """What it was asked so far."""
        stats: dict[str, Any] = httpx.get(f"{self.url}/stats", trust_env=False).json()
        return stats

    def shown(self, refresh_token: str) -> int:
        """How often this refresh token came to the token endpoint."""
        presentations: Mapping[str, int] = self.stats()["refresh_tokens"]
        return presentations.get(fingerprint(refresh_token), 0)

    @property
    def said(self) -> str:
        """What it wrote to standard error so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def start(self, *, within: float = 30) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._env
            )
        assert self._process.stdout is not None
        line = _first_line(self._process.stdout, time.monotonic() + within)
        try:
            self.port = json.loads(line)["port"]
        except (ValueError, KeyError):
            self.stop()
            name = " ".join(self._command[:2])
            raise AssertionError(f"{name} did not get ready; it said {line!r} and:\n{self.said}") from None

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _first_line(stream: IO[bytes], deadline: float) -> bytes:
    """Up to the end of the line, of the stream, or of the time."""
    read = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not read.endswith(b"\n") and selector.select(max(deadline - time.monotonic(), 0)):
            chunk = os.read(stream.fileno(), 4096)
            if not chunk:
                break
            read += chunk
    return read
