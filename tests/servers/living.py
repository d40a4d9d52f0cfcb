"""Accounts at work: clients of every kind ask for something all along, while tokens come and go."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from connector.host import Host
from connector.token import Token

WHOAMI = "/api/whoami"
WAYS = ("sync", "asyncio", "trio")
# Between two requests of one client: often enough that each token is used many times.
_PAUSE_S = 0.4
_LONGEST_S = 60.0


@dataclass
class Life:
    """What one account went through.

    Attributes:
        answers: (kind of client, status) -> how often.
        said: the last answer of the API.
        refresh_tokens: all that were seen, in order.
        errors: what was raised.
    """

    account: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    said: dict[str, Any] = field(default_factory=dict)
    refresh_tokens: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, way: str, response: httpx.Response, token: Token) -> None:
        with self.lock:
            self.answers[way, response.status_code] += 1
            if response.is_success:
                self.said = response.json()
            shown = token.refresh_token.reveal() if token.refresh_token else ""
            if shown and shown not in self.refresh_tokens:
                self.refresh_tokens.append(shown)

    def lived(self, host: Host, renewals: int) -> bool:
        """Whether it was renewed so often, and the clients have met as many refresh tokens if there are any."""
        met = len(self.refresh_tokens) or renewals
        return host.counts(self.account).renewals >= renewals and met >= renewals

    def failed(self, way: str, error: Exception) -> None:
        with self.lock:
            self.errors.append(f"{way}: {error!r}")


def live(host: Host, accounts: Iterable[str], *, renewals: int) -> dict[str, Life]:
    """Use accounts at the same time, each in all three ways, until each was renewed so often."""
    lives = [Life(name) for name in accounts]
    done = threading.Event()
    threads = [threading.Thread(target=_sync, args=(host, life, done)) for life in lives]
    threads += [
        threading.Thread(target=anyio.run, args=(_tasks, host, lives, done, way), kwargs={"backend": way})
        for way in WAYS[1:]
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + _LONGEST_S
    while time.monotonic() < ends and not all(one.lived(host, renewals) for one in lives):
        done.wait(0.2)
    done.set()
    for thread in threads:
        thread.join(_LONGEST_S)
    assert not any(thread.is_alive() for thread in threads), "a client hangs"
    return {life.account: life for life in lives}


def _sync(host: Host, life: Life, done: threading.Event) -> None:
    with host.client(life.account) as http:
        while not done.is_set():
            try:
                life.note("sync", http.get(WHOAMI), host.token(life.account))
            except Exception as error:
                life.failed("sync", error)
            done.wait(_PAUSE_S)


async def _tasks(host: Host, lives: list[Life], done: threading.Event, way: str) -> None:
    async with anyio.create_task_group() as group:
        for life in lives:
            group.start_soon(_task, host, life, done, way)


async def _task(host: Host, life: Life, done: threading.Event, way: str) -> None:
    async with host.async_client(life.account) as http:
        while not done.is_set():
            try:
                life.note(way, await http.get(WHOAMI), await host.atoken(life.account))
            except Exception as error:
                life.failed(way, error)
            await anyio.sleep(_PAUSE_S)
