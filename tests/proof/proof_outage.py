"""The store's server has an accident in mid-run, just when the token falls due: nobody may notice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oidc_server import OidcServer
from proof_soak import in_loops, in_threads
from proof_world import BOUND_S, SECRETS, Place, Worker, oidc_account, record_of, sign_in
from real_servers import Postgresql, Redis

ACCIDENTS = ("killed", "stopped", "read-only", "full")
# Of a token's life: it is stale at 0.8, and ends at 0.95. So it falls due while the server is away.
BEGINS, ENDS = 0.74, 0.86


@dataclass(kw_only=True)
class Outage:
    """What happened, and what came of it.

    Attributes:
        lifetime_s: of access tokens.
        seen: accidents that had their moment, each followed by a renewal.
        away_s: how long the store was away, in all.
        failed: requests that brought anything but 200, in words.
        shown: the most that one refresh token was shown.
    """

    store: str
    accidents: Sequence[str] = ACCIDENTS
    lifetime_s: int = 40
    processes: int = 4
    threads: int = 4
    loops: int = 4
    seen: list[str] = field(default_factory=list)
    away_s: float = 0.0
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    token_calls: int = 0
    shown: int = 0
    in_doubt: bool = False
    state: str = ""

    def check(self) -> None:
        """What must be true."""
        assert self.failed == [], self.failed
        assert self.seen == list(self.accidents)
        assert self.token_calls >= len(self.accidents)
        assert self.shown == 1
        assert not self.in_doubt
        assert self.state == "ready"

    def row(self) -> dict[str, Any]:
        """For the table."""
        return {
            "store": self.store,
            "accidents": ", ".join(self.seen),
            "away, in all": f"{self.away_s:.0f} s",
            "threads and loops": f"{self.processes} × {self.threads} and {self.loops}",
            "requests": self.requests,
            "failed": len(self.failed),
            "slowest": f"{self.slowest_s:.2f} s",
            "token calls": self.token_calls,
            "most showings of one": self.shown,
        }


def outage(done: Outage, folder: Path) -> Outage:
    """Run it, on a server of its own."""
    folder.mkdir(exist_ok=True)
    seconds = done.lifetime_s * (len(done.accidents) + 0.5)
    with ExitStack() as stack:
        kind = {"PostgreSQL": Postgresql, "Redis": Redis}[done.store]
        store = stack.enter_context(kind())
        server = stack.enter_context(OidcServer(log=folder / "oidc.log", access_token_ttl=done.lifetime_s))
        place = Place(
            folder=folder,
            accounts={"main": oidc_account(server)},
            store=store.url(),
            environment=dict(SECRETS),
        )
        host = stack.enter_context(place.open())
        vault = stack.enter_context(place.vault())
        sign_in(host, ["main"])
        began = time.time()
        workers = [
            stack.enter_context(Worker(what, place.path, *given, seconds, environment=place.environment))
            for what, given in [(in_threads, [done.threads])] * done.processes + [(in_loops, [done.loops, 2])]
        ]
        for worker in workers:
            assert worker.hear() == "ready"
        host.renew("main", force=True)  # the first life begins for all of them
        for worker in workers:
            worker.say("go")
        for accident in done.accidents:
            began = _renewed_since(server, began, 2 * done.lifetime_s)
            _sleep_until(began + BEGINS * done.lifetime_s)
            away = time.monotonic()
            _begin(store, accident)
            _sleep_until(began + ENDS * done.lifetime_s)
            _end(store, accident)
            done.away_s += time.monotonic() - away
            _renewed_since(server, began + 0.5, done.lifetime_s)
            done.seen.append(accident)
        for worker in workers:
            report = worker.hear(seconds + BOUND_S)
            done.failed += report["failed"]
            done.requests += report["good"]
            done.slowest_s = max(done.slowest_s, report["slowest_s"])
        stats = server.stats()
        done.token_calls = stats["token"]["calls"].get("refresh_token", 0)
        done.shown = max(stats["refresh_tokens"].values(), default=0)
        done.in_doubt = record_of(vault, place.keys(host)["main"]).spending is not None
        host.renew("main", force=True)
        done.state = host.status("main").state
    return done


def outages(folder: Path, accidents: Sequence[str] = ACCIDENTS, **more: Any) -> list[Outage]:
    """On PostgreSQL and on Redis, side by side."""
    runs = [Outage(store=store, accidents=accidents, **more) for store in ("PostgreSQL", "Redis")]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda run: outage(run, folder / run.store), runs))


def _renewed_since(server: OidcServer, moment: float, within: float) -> float:
    """Wait for a renewal after this moment; when the last one was."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        renewed = server.stats()["renewed"]
        if renewed and renewed[-1] / 1000 > moment:
            return float(renewed[-1]) / 1000
        time.sleep(0.1)
    raise AssertionError(f"nothing was renewed for {within:g} s")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _begin(store: Postgresql | Redis, accident: str) -> None:
    match accident, store:
        case "killed", _:
            store.kill()
        case "stopped", _:
            store.pause()
        case "read-only", Postgresql():
            store.ask("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        case "read-only", Redis():
            store.ask("CONFIG", "SET", "min-replicas-to-write", "1")
        case "full", Postgresql():
            store.ask(*_FULL)
        case "full", Redis():
            store.ask("CONFIG", "SET", "maxmemory", "1")


def _end(store: Postgresql | Redis, accident: str) -> None:
    match accident, store:
        case "killed", _:
            store.start()
        case "stopped", _:
            store.resume()
        case "read-only", Postgresql():
            store.ask("ALTER SYSTEM SET default_transaction_read_only = off", "SELECT pg_reload_conf()")
        case "read-only", Redis():
            store.ask("CONFIG", "SET", "min-replicas-to-write", "0")
        case "full", Postgresql():
            store.ask("DROP FUNCTION no_room CASCADE")
        case "full", Redis():
            store.ask("CONFIG", "SET", "maxmemory", "0")


# What PostgreSQL says of a full disk, from a trigger: a disk that is really full would be this machine's.
_FULL = (
    "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$",
    *(
        f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON connector_{table}"
        " FOR EACH ROW EXECUTE FUNCTION no_room()"
        for table in ("record", "lease")
    ),
)
