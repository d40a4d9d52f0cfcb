"""A holder that is stopped past its lease, and goes on when another has renewed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
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
from rig_process import RigProcess

from connector.drive import World, run
from connector.errors import ConnectorError, NotAuthorizedError
from connector.flow import Wish, renew
from connector.host import Host
from connector.opening import open_manifest
from connector.post import Poster
from connector.recordkey import record_key
from connector.token import Window
from connector.tokenstore import Lease, Stored, TokenStore, VersionConflict
from connector.vault import open_vault

GRACE_S = 3600
# Where it is stopped, and by which server.
STOPS = (
    ("with the lease", "strict"),
    ("with the journal written", "strict"),
    ("before the answer arrives", "with grace"),
    ("before the answer arrives", "strict"),
)


@dataclass(kw_only=True)
class Stop:
    """Where a holder was stopped, and what came of it.

    Attributes:
        lease_s: how long its lease is; 0: as it is.
        said: what the stopped one made of it in the end.
        refused: saves of it that the store refused.
        shown: the most that one refresh token was shown.
        calls: token calls in all.
        lives: whether the account renews afterwards.
        state: of the account, at the end.
    """

    where: str
    server: str
    store: str = "SQLite"
    lease_s: float = 1.0
    said: str = ""
    refused: int = 0
    shown: int = 0
    calls: int = 0
    lives: bool = False
    state: str = ""

    def check(self) -> None:
        """What must be true."""
        if self.where == "before the answer arrives":
            # The heir cannot know that it was answered: one showing more, and the server decides.
            assert self.shown == 2
        else:
            assert self.shown == 1
        if self.where != "with the lease":
            assert self.refused >= 1
        # What a caller sees of having been stopped is that it took long.
        assert self.said == "took its heir's token" or self.server == "strict"
        two_generals = self.where == "before the answer arrives" and self.server == "strict"
        assert self.lives != two_generals
        assert self.state == ("needs_authorization" if two_generals else "ready")
        assert self.calls <= 4

    def row(self) -> dict[str, Any]:
        """For the table."""
        return {
            "stopped": self.where,
            "server": self.server,
            "store": self.store,
            "it then": self.said,
            "saves refused": self.refused,
            "token calls": self.calls,
            "most showings of one": self.shown,
            "account": "lives" if self.lives else self.state,
        }


def stop(done: Stop, server: RigProcess, folder: Path, url: str = SQLITE) -> Stop:
    """Stop a holder, let another one renew, and let the first go on."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(server.port))
        account = account_on(server, token_port=proxy.port, grace_s=GRACE_S)
        # By another name for each: records go by it, and so do people where one has one grant.
        name = f"{done.store}-{STOPS.index((done.where, done.server))}".lower()
        place = Place(folder=folder, accounts={name: account}, store=url, environment=dict(SECRETS))
        host = stack.enter_context(place.open())
        vault = stack.enter_context(place.vault())
        sign_in(host, [name], person="ada" if done.server == "with grace" else name)
        key, before = place.keys(host)[name], proxy.calls
        hold = Hold("after")
        if done.where == "before the answer arrives":
            proxy.hold = hold
        told = {"environment": place.environment}
        stopped = stack.enter_context(Worker(_renew_once, place.path, name, done.where, done.lease_s, **told))
        if done.where == "before the answer arrives":
            assert hold.reached.wait(BOUND_S)
        else:
            assert stopped.hear() == "reached"
        os.kill(stopped.pid, signal.SIGSTOP)
        lease = vault.store.holder(key)
        assert lease is not None
        proxy.hold = None
        hold.go.set()
        if done.where != "before the answer arrives":
            stopped.say("go on")
        # Whoever comes next waits the lease out.
        time.sleep(max(0.0, lease.expires_at - time.time() + 0.05))
        heirs = _renewed(host, name)
        taken = record_of(vault, key)
        os.kill(stopped.pid, signal.SIGCONT)
        done.said, done.refused = stopped.hear()
        assert taken.token is not None
        if done.said == taken.token.fingerprint:
            done.said = "took its heir's token"
        elif not done.said.startswith("gave up"):
            done.said = "saved what it got"
        if heirs:
            # Nothing of the stopped one stands over what its heir has saved.
            assert record_of(vault, key).login == taken.login
        done.lives = _renewed(host, name)
        done.state = host.status(name).state
        done.calls = proxy.calls - before
        done.shown = proxy.shown(server.stats())
    return done


def stops_everywhere(folder: Path, *, lease_s: float) -> list[Stop]:
    """At each moment on each store, all of them side by side."""
    with ExitStack() as stack, ThreadPoolExecutor(len(STOPS) * len(STORES)) as pool:
        servers = {
            kind: stack.enter_context(authorization_server(kind, folder, grace_s=GRACE_S))
            for kind in ("strict", "with grace")
        }
        running = []
        for store, opened in STORES.items():
            (folder / store).mkdir()
            url = stack.enter_context(opened(folder / store))
            for where, server in STOPS:
                done = Stop(where=where, server=server, store=store, lease_s=lease_s)
                own = folder / store / f"{where} {server}"
                running.append(pool.submit(stop, done, servers[server], own, url))
        return [one.result() for one in running]


def _renewed(host: Host, name: str) -> bool:
    try:
        host.renew(name, force=True)
    except NotAuthorizedError:
        return False
    return True


class _Pausing:
    """A store that says when it has done something, and waits to be told to go on. Counts refused saves."""

    def __init__(self, inner: TokenStore, pipe: Connection, after: str) -> None:
        self._inner = inner
        self._pipe = pipe
        self._after = after
        self.refused = 0

    def _done(self, what: str) -> None:
        if self._after == what:
            self._after = ""
            self._pipe.send("reached")
            self._pipe.recv()

    def load(self, account: str) -> Stored | None:
        return self._inner.load(account)

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        try:
            self._inner.save(account, sealed, version=version)
        except VersionConflict:
            self.refused += 1
            raise
        self._done("with the journal written")

    def delete(self, account: str) -> None:
        self._inner.delete(account)

    def accounts(self) -> Iterable[str]:
        return self._inner.accounts()

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        lease = self._inner.acquire(account, holder, ttl_s=ttl_s)
        self._done("with the lease")
        return lease

    def holder(self, account: str) -> Lease | None:
        return self._inner.holder(account)

    def release(self, account: str, holder: str) -> None:
        self._inner.release(account, holder)

    def close(self) -> None:
        self._inner.close()


def _renew_once(pipe: Connection, manifest: Path, name: str, where: str, lease_s: float) -> None:
    opening = open_manifest(manifest)
    vault = open_vault(opening.manifest.store, opening.registry.stores, opening.manifest.folder)
    store = _Pausing(vault.store, pipe, where)
    account = opening.resolved(name)
    world = World(
        key=record_key(account),
        store=store,
        sealer=vault.sealer,
        poster=Poster(),
        account=account,
        reveal=lambda: opening.reveal(account),
    )
    token = world.load().token
    assert token is not None
    short: dict[str, float] = {"lease_s": lease_s, "call_s": lease_s / 2} if lease_s else {}
    wish = Wish(
        account=account,
        grant=opening.registry.grants[account.grant],
        window=Window(),
        holder=world.holder,
        rejected=token.fingerprint,
        **short,
    )
    try:
        record = run(renew(wish), world)
    except ConnectorError as error:
        said = f"gave up ({error.code})"
    else:
        assert record.token is not None
        said = record.token.fingerprint
    pipe.send((said, store.refused))
