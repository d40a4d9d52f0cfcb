"""Many processes, threads and event loops on one account of a server that forgives nothing."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from oidc_server import OidcServer
from proof_world import BOUND_S, SECRETS, SQLITE, Place, Worker, oidc_account, sign_in

import connector
from connector.host import Host

LIFETIME_S = 3
# A token of 3 s is renewed behind the requests once it is 2.4 s old.
STALE_S = 2.4


@dataclass(kw_only=True)
class Soak:
    """How much, and what came of it.

    Attributes:
        lifetimes: tokens that were used to their end before the next was asked for.
        shown: the most that one refresh token was shown.
        failed: requests that brought anything but 200, in words.
    """

    store: str = "SQLite"
    processes: int = 8
    threads: int = 8
    loop_processes: int = 2
    loops: int = 4  # in each of those
    tasks: int = 4  # in each loop
    seconds: float = 60.0
    requests: int = 0
    replays: int = 0
    slowest_s: float = 0.0
    token_calls: int = 0
    lifetimes: int = 0
    shown: int = 0
    refresh_tokens: int = 0
    failed: list[str] = field(default_factory=list)
    state: str = ""

    def check(self) -> None:
        """What must be true."""
        assert self.failed == []
        assert self.shown == 1
        assert self.token_calls <= self.lifetimes + 1
        assert self.token_calls == self.refresh_tokens
        # Otherwise nothing was shown: each token that ended was missed by somebody.
        assert self.token_calls >= self.seconds / LIFETIME_S - 1
        assert self.requests > self.token_calls
        assert self.state == "ready"

    def row(self) -> dict[str, Any]:
        """For the table."""
        return {
            "store": self.store,
            "processes × threads": f"{self.processes} × {self.threads}",
            "loops × tasks": f"{self.loop_processes * self.loops} × {self.tasks}",
            "seconds": f"{self.seconds:g}",
            "requests": self.requests,
            "failed": len(self.failed),
            "replayed after a 401": self.replays,
            "slowest": f"{self.slowest_s:.2f} s",
            "token calls": self.token_calls,
            "lifetimes": self.lifetimes,
            "refresh tokens": self.refresh_tokens,
            "most showings of one": self.shown,
        }


def soak(soak: Soak, folder: Path, url: str = SQLITE) -> Soak:
    """Run it."""
    with ExitStack() as stack:
        server = stack.enter_context(OidcServer(log=folder / "oidc.log", access_token_ttl=LIFETIME_S))
        account = oidc_account(server)
        place = Place(folder=folder, accounts={"main": account}, store=url, environment=dict(SECRETS))
        host = stack.enter_context(place.open())
        sign_in(host, ["main"])
        told = {"environment": place.environment}
        workers = [
            stack.enter_context(Worker(in_threads, place.path, soak.threads, soak.seconds, **told))
            for _ in range(soak.processes)
        ] + [
            stack.enter_context(Worker(in_loops, place.path, soak.loops, soak.tasks, soak.seconds, **told))
            for _ in range(soak.loop_processes)
        ]
        for worker in workers:
            assert worker.hear() == "ready"
        for worker in workers:
            worker.say("go")
        for worker in workers:
            report = worker.hear(soak.seconds + BOUND_S)
            soak.failed += report["failed"]
            soak.requests += report["good"]
            soak.replays += report["replays"]
            soak.slowest_s = max(soak.slowest_s, report["slowest_s"])
        stats = server.stats()
        soak.token_calls = stats["token"]["calls"].get("refresh_token", 0)
        soak.refresh_tokens = len(stats["refresh_tokens"])
        soak.shown = max(stats["refresh_tokens"].values(), default=0)
        soak.lifetimes = lifetimes([at / 1000 for at in stats["renewed"]])
        host.renew("main", force=True)
        soak.state = host.status("main").state
    return soak


def lifetimes(asked: list[float]) -> int:
    """How many tokens had come to their end when the next one was asked for.

    Either they were stale, or the server had ended them: it counts in whole seconds, so that a token of 3 s
    that it gives at 0.9 ends at 3.0.
    """
    ended = [min(at + STALE_S, math.floor(at) + LIFETIME_S) for at in asked]
    # The server's moments are cut to milliseconds.
    return sum(
        after >= end - 0.002 for end, (_, after) in zip(ended, itertools.pairwise(asked), strict=False)
    )


class _Report:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.good, self.slowest_s = 0, 0.0
        self.failed: list[str] = []

    def add(self, began: float, outcome: int | Exception) -> float:
        """Count one request; returns the pause before the next.

        It grows with what a request takes, so that a slow machine is kept busy and not drowned.
        """
        took = time.monotonic() - began
        with self._lock:
            self.slowest_s = max(self.slowest_s, took)
            if outcome == 200:
                self.good += 1
            elif len(self.failed) < 20:
                said = f"{type(outcome).__name__}: {outcome}" if isinstance(outcome, Exception) else outcome
                self.failed.append(str(said))
        return max(0.02, 3 * took)

    def send(self, pipe: Connection, host: Host) -> None:
        pipe.send(
            {
                "good": self.good,
                "failed": self.failed,
                "slowest_s": self.slowest_s,
                "replays": host.counts("main").replays,
            }
        )


def in_threads(pipe: Connection, manifest: Path, threads: int, seconds: float) -> None:
    report = _Report()
    with connector.open(manifest) as host, host.client("main") as http:

        def work() -> None:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                began = time.monotonic()
                try:
                    outcome: int | Exception = http.get("/api/whoami").status_code
                except Exception as error:
                    outcome = error
                time.sleep(report.add(began, outcome))

        pipe.send("ready")
        pipe.recv()
        _all([work] * threads)
        report.send(pipe, host)


def in_loops(pipe: Connection, manifest: Path, loops: int, tasks: int, seconds: float) -> None:
    report = _Report()
    with connector.open(manifest) as host:

        async def work(http: Any, ends: float) -> None:
            while time.monotonic() < ends:
                began = time.monotonic()
                try:
                    outcome: int | Exception = (await http.get("/api/whoami")).status_code
                except Exception as error:
                    outcome = error
                await asyncio.sleep(report.add(began, outcome))

        async def loop() -> None:
            async with host.async_client("main") as http:
                await asyncio.gather(*[work(http, time.monotonic() + seconds) for _ in range(tasks)])

        pipe.send("ready")
        pipe.recv()
        _all([lambda: asyncio.run(loop())] * loops)
        report.send(pipe, host)


def _all(functions: list[Any]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
