"""Workers that renew without end, and a killer that prefers the worst moments."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from proof_proxy import FaultProxy, Hold
from proof_stores import STORES
from proof_world import (
    BOUND_S,
    SECRETS,
    SQLITE,
    Place,
    Worker,
    account_on,
    authorization_server,
    record_of,
    sign_in,
)
from rig_process import RigProcess, fingerprint

import connector
from connector.errors import ConnectorError
from connector.host import Host
from connector.vault import Vault

TOKEN_S, GRACE_S = 3600, 4 * 3600
# Where a kill falls: at a random moment of a loop of renewals; while the call is on its way to the server,
# which it reaches or not; when the server has answered and nobody has heard it; right after the answer was
# passed on.
MOMENTS = ("any", "any", "before", "lost", "after", "heard")


@dataclass(kw_only=True)
class Kills:
    """How many, and what came of them.

    Attributes:
        moments: where they fell.
        in_doubt: records that were found with their journal set.
        spent: of those, the ones whose refresh token the server had seen: killed between send and save.
        lives: accounts that renew again.
        lost: by the state they are reported in.
        wrong: accounts lost whose kill did not fall between send and save.
        calls_after: token calls of all heirs of a lost account, the most of any.
        shown: the most that one refresh token was shown.
    """

    server: str
    store: str = "SQLite"
    kills: int = 20
    wait_out: bool = False  # the lease of the dead, rather than giving it back in their name
    moments: Counter[str] = field(default_factory=Counter)
    in_doubt: int = 0
    spent: int = 0
    lives: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    calls_after: int = 0
    shown: int = 0

    def check(self) -> None:
        """What must be true."""
        assert self.lives + self.lost.total() == self.kills
        assert self.wrong == [], self.wrong
        # Once by the killed one, once by an heir: by then the account lives or is known to be dead.
        assert self.shown <= 2
        assert self.lost.keys() <= {"in_doubt", "needs_authorization"}
        assert self.calls_after <= 1
        if self.server == "with grace":
            assert self.lost.total() == 0
        else:
            assert self.lost.total() <= self.spent

    def row(self) -> dict[str, Any]:
        """For the table."""
        return {
            "server": self.server,
            "store": self.store,
            "kills": self.kills,
            "at random": self.moments["any"],
            "before the server": self.moments["before"] + self.moments["lost"],
            "after it": self.moments["after"] + self.moments["heard"],
            "found in doubt": self.in_doubt,
            "between send and save": self.spent,
            "live on": self.lives,
            "lost": self.lost.total(),
            "reported as": ", ".join(sorted(self.lost)) or "",
            "calls for a lost one": self.calls_after,
            "most showings of one": self.shown,
        }


def kills(done: Kills, server: RigProcess, folder: Path, url: str = SQLITE, *, seed: int = 0) -> Kills:
    """Sign in one account for each kill, kill a worker on each, and see what its heirs find.

    Several such runs may share a server, each with a store of its own.
    """
    folder.mkdir(exist_ok=True)
    names = [f"{done.store.lower()}-{number}" for number in range(done.kills)]
    dice = random.Random(seed)
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(server.port, delay_s=0.01))
        account = account_on(server, token_port=proxy.port, grace_s=GRACE_S)
        place = Place(
            folder=folder, accounts=dict.fromkeys(names, account), store=url, environment=dict(SECRETS)
        )
        vault = stack.enter_context(place.vault())
        with place.open() as host:
            keys = place.keys(host)
            sign_in(host, names, person="ada" if done.server == "with grace" else "")
        for number, name in enumerate(names):
            moment = MOMENTS[number % len(MOMENTS)]
            done.moments[moment] += 1
            _kill_one(place, proxy, name, moment, dice)
        proxy.hold = None
        _find(done, server, vault, keys)
        # While the access token works, what is in doubt is not tried; the heirs come when it has ended.
        # They listen for a while before they show what another may have shown: some of them side by side.
        with (
            place.open(clock=_later) as first,
            place.open(clock=_later) as second,
            ThreadPoolExecutor(8) as pool,
        ):
            for ended in [pool.submit(_inherit, done, name, [first, second]) for name in names]:
                ended.result()
        done.shown = proxy.shown(server.stats())
    return done


def kills_everywhere(number: int, folder: Path, *, wait_out: bool) -> list[Kills]:
    """So many on each kind of server and each store, all of them side by side."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        urls = {}
        for store, opened in STORES.items():
            (folder / store).mkdir()
            urls[store] = stack.enter_context(opened(folder / store))
        running = []
        for kind in ("strict", "with grace"):
            server = stack.enter_context(authorization_server(kind, folder, grace_s=GRACE_S))
            for store, url in urls.items():
                done = Kills(server=kind, store=store, kills=number, wait_out=wait_out)
                own = folder / store / kind
                running.append(pool.submit(kills, done, server, own, url, seed=len(running)))
        return [one.result() for one in running]


def _kill_one(place: Place, proxy: FaultProxy, name: str, moment: str, dice: random.Random) -> None:
    proxy.hold = hold = None
    with Worker(_renew_on, place.only(name), name, environment=place.environment) as worker:
        assert worker.hear() == "ready"
        if moment == "any":
            # At least one renewal is under way or over; they go on until the end.
            time.sleep(dice.uniform(0.0, 0.25))
        else:
            time.sleep(dice.uniform(0.0, 0.05))
            proxy.hold = hold = Hold("before" if moment in ("before", "lost") else "after")
            assert hold.reached.wait(BOUND_S)
            if moment == "heard":
                hold.go.set()
                time.sleep(dice.uniform(0.0, 0.02))
        worker.process.kill()
    if hold is not None:
        # Otherwise what was on its way arrives, whoever has sent it.
        hold.lose = moment == "lost"
        hold.go.set()


def _find(done: Kills, server: RigProcess, vault: Vault, keys: dict[str, str]) -> None:
    """What the killed ones left."""
    time.sleep(0.5)  # what was on its way has arrived
    shown = server.stats()["refresh_tokens"]
    spent = set()
    for name, key in keys.items():
        record = record_of(vault, key)
        assert record.token is not None
        assert record.token.refresh_token is not None
        seen = shown.get(fingerprint(record.token.refresh_token.reveal()), 0)
        # The journal knows of each showing: one that it does not know of would be shown again for sure.
        assert record.spending is not None or seen == 0
        done.in_doubt += record.spending is not None
        if seen:
            spent.add(name)
    done.spent = len(spent)
    done.wrong = sorted(spent)  # struck out below as they are found to live, or lost with a reason
    if done.wait_out:
        latest = max(
            (lease.expires_at for key in keys.values() if (lease := vault.store.holder(key))), default=0
        )
        time.sleep(min(BOUND_S, max(0.0, latest - time.time() + 0.1)))
    else:
        for key in keys.values():
            lease = vault.store.holder(key)
            if lease is not None:
                vault.store.release(key, lease.holder)


_one_by_one = threading.Lock()


def _later() -> float:
    return time.time() + TOKEN_S + 60


def _inherit(done: Kills, name: str, heirs: list[Host]) -> None:
    """Renew from several processes' worth of hosts, again and again."""
    with _one_by_one:
        was_spent = name in done.wrong
        if was_spent:
            done.wrong.remove(name)
    codes = []
    for _ in range(3):
        for host in heirs:
            try:
                # The first makes sure of the account, whatever came of it; then it must renew.
                host.token(name)
                host.renew(name, force=True)
            except ConnectorError as error:
                codes.append(error.code)
            else:
                codes.append("")
    calls = sum(host.counts(name).token_calls for host in heirs)
    with _one_by_one:
        if codes == [""] * len(codes):
            done.lives += 1
            return
        done.lost[codes[-1]] += 1
        done.calls_after = max(done.calls_after, calls)
        if not was_spent or set(codes) - {"in_doubt", "needs_authorization"}:
            done.wrong.append(f"{name}: {codes}")


def _renew_on(pipe: Connection, manifest: Path, name: str) -> None:
    """Renew and renew; only a kill ends it."""
    with connector.open(manifest) as host:
        pipe.send("ready")
        while True:
            host.renew(name, force=True)
