"""Stores on a clock that stands still, and on the real servers that they are made for."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import Postgresql, RealServer, Redis

from connector.store import MemoryStore, SqliteStore
from connector.tokenstore import TokenStore

WORKER = Path(__file__).with_name("store_worker.py")
Clock = Callable[[], float]
STORES: dict[str, Callable[[Path, Clock], TokenStore]] = {
    "memory": lambda folder, clock: MemoryStore(clock=clock),
    "sqlite": lambda folder, clock: SqliteStore(folder / "tokens.db", clock=clock),
}


class FakeClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeKeyring:
    """An OS keyring in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.calls = itertools.count()

    def get_password(self, service: str, name: str) -> str | None:
        next(self.calls)
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, text: str) -> None:
        next(self.calls)
        self.kept[service, name] = text


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keyring() -> FakeKeyring:
    return FakeKeyring()


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[TokenStore]:
    opened = STORES[request.param](tmp_path, clock)
    yield opened
    opened.close()


class Workers:
    """Processes that run a task of ``store_worker.py``, begun in the same moment, ended by `close`."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []

    def start(self, count: int, task: str, *args: object) -> None:
        """Start `count` processes and let them go together once all are ready."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("CONNECTOR_")}
        begun = [
            subprocess.Popen(
                [sys.executable, str(WORKER), task, *map(str, args)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environ,
            )
            for _ in range(count)
        ]
        self._running += begun
        for process in begun:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate(timeout=10)[1]
        for process in begun:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    def results(self) -> list[Any]:
        """Wait for all and return what each printed; a traceback in one fails the test."""
        found = []
        for process in self._running:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            found.append(json.loads(out))
        self._running = []
        return found

    def close(self) -> None:
        """End those that still run, by their own handle."""
        for process in self._running:
            process.kill()
            process.communicate(timeout=10)


@pytest.fixture
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    started.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a server said goes under the failure of a test that used it."""
    report = yield
    if report.failed:
        used = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, RealServer)]
        for server in used:
            report.sections.append((f"{type(server).__name__} said", server.said[-8000:]))
    return report


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """One for all tests that do it no harm; each makes a schema."""
    with Postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """One for all tests that do it no harm; each has a prefix."""
    with Redis() as server:
        yield server


@pytest.fixture
def own_name() -> str:
    """A name for a test's own part of a server."""
    return f"test_{secrets.token_hex(4)}"
