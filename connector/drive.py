"""Performing the effects of a flow: the one driver, synchronous, meant for a thread of its own.

There is no asynchronous twin on purpose. A renewal belongs to the account, not to the task that noticed it is
due; in its own thread it outlives a cancelled task and a closed event loop, and all waiters wait alike.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from connector.account import Account
from connector.credentials import Credentials
from connector.discovery import Discovery
from connector.effects import (
    Acquire,
    Await,
    Delete,
    Effect,
    Load,
    NoReply,
    Now,
    Post,
    Ready,
    Release,
    Reveal,
    Save,
    Wait,
)
from connector.errors import ConnectorError, PluginError, RenewalError, StoreError
from connector.jwts import new_dpop_key
from connector.moment import Moment, steady_beside
from connector.observe import Field, who
from connector.observing import calling, of_answer, tell_holder, tell_store
from connector.post import Poster
from connector.reading import clock_of, retry_after
from connector.record import Record
from connector.reply import Reply
from connector.resting import Resting
from connector.route import tls_context
from connector.seal import Sealer
from connector.secret import Secret
from connector.template import TemplateError, origin_of
from connector.tokenrequest import TokenRequest
from connector.tokenstore import Lease, TokenStore, Waking

T = TypeVar("T")
# How soon one who waits for a lease sees that nobody waits for him.
_PART_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a flow acts on.

    Attributes:
        key: name of the account in the store.
        identity: of this host object; with the process it makes the holder of a lease.
        account: whose calls are made.
        reveal: resolves the client secret, at each token call anew.
        others: resolves the account's other secrets.
        discovery: completes the account by its server's metadata; None: it is complete.
        nonces: the last one that each server asked for in its DPoP proofs, by origin.
        called: told of each token call.
        wanted: whether it is worth while to go on; False at the end of a host or an interpreter.
        resting: token endpoints that do not work just now; shared by all accounts of a host.
        hushed: that the store failed is not told.
        clock: by which machines agree, seconds since the epoch.
        steady: by which this process waits; None: the one that belongs to `clock`.
        machine: whose `clock` that is.
    """

    key: str
    store: TokenStore
    sealer: Sealer
    poster: Poster
    reveal: Callable[[], Secret | None]
    account: Account | None = None
    others: Callable[[], Mapping[str, Secret]] = dict
    discovery: Discovery | None = None
    nonces: dict[str, str] = field(default_factory=dict)
    identity: str = field(default_factory=lambda: f"{socket.gethostname()}/{secrets.token_hex(4)}")
    called: Callable[[], None] = lambda: None
    wanted: Callable[[], bool] = lambda: True
    resting: Resting = field(default_factory=Resting)
    hushed: bool = False
    clock: Callable[[], float] = time.time
    steady: Callable[[], float] | None = None
    machine: str = field(default_factory=socket.gethostname)
    sleep: Callable[[float], None] = field(default=time.sleep)

    @property
    def holder(self) -> str:
        """Who holds a lease: asked for each time, since a forked child is somebody else."""
        return f"{self.identity}/{os.getpid()}"

    @property
    def named(self) -> dict[str, Field]:
        """The fields that say in events whom they are about."""
        return who(self.account) if self.account is not None else {"account": self.key}

    def ticks(self) -> float:
        """The steady clock."""
        return (self.steady or steady_beside(self.clock))()

    def moment(self) -> Moment:
        """Now, by both clocks."""
        return Moment(at=self.clock(), steady=self.ticks())

    def load(self) -> Record:
        """The record in the store; one of version 0 when there is none."""
        stored = self.store.load(self.key)
        if stored is None:
            return Record()
        return self.sealer.open(self.key, stored.sealed, version=stored.version)

    def save(self, record: Record) -> Record:
        """Save as the next version. Raises VersionConflict."""
        version = record.version + 1
        self.store.save(self.key, self.sealer.seal(self.key, record, version=version), version=version)
        return replace(record, version=version, unsaved=False)

    def post(self, request: TokenRequest, until: float) -> Reply | NoReply:
        """Make a token call, unless it is too late for it."""
        if self.ticks() > until:
            return NoReply(sent=False, words="the lease would have ended before the answer")
        self.called()
        origin = origin_of(request.url)
        self.resting.calls(origin, self.ticks())
        with calling(self.named, request) as call:
            reply = self._sent(request)
            call.end("token.call", of_answer(reply))
        self._judge(origin, reply)
        if isinstance(reply, Reply) and reply.headers.get("dpop-nonce"):
            self.nonces[origin] = reply.headers["dpop-nonce"]
        return reply

    def acquire(self, ttl_s: float) -> Lease:
        """Ask for the lease, unless nobody wants anything any more."""
        if not self.wanted():
            raise RenewalError(
                "the renewal was given up before it began",
                account=self.account.name if self.account else "",
                code="abandoned",
                reason="the host is closed, or the interpreter ends",
                retry_after=1.0,
            )
        lease = self.store.acquire(self.key, self.holder, ttl_s=ttl_s)
        tell_holder(self.named, lease, self.holder, self.clock())
        return lease

    def _sent(self, request: TokenRequest) -> Reply | NoReply:
        try:
            return self.poster.post(request)
        except Exception as error:  # a stranger's transport may raise anything, having sent who knows what
            return NoReply(sent=True, words=f"the call failed ({type(error).__name__})")

    def _judge(self, origin: str, reply: Reply | NoReply) -> None:
        """Let all accounts of the host know whether that server works."""
        if isinstance(reply, Reply) and reply.status < 500 and reply.status not in (408, 429):
            self.resting.works(origin)
            return
        asked_s, all_ = None, False
        if isinstance(reply, Reply):
            ahead_s = clock_of(reply.headers, reply.received_at) or 0.0
            asked_s = retry_after(reply.headers.get("retry-after"), reply.received_at + ahead_s)
            all_ = reply.status == 503 and asked_s is not None
        self.resting.fails(origin, self.key, self.ticks(), asked_s=asked_s, all_=all_)

    def wait(self, pause_s: float, woken_s: float) -> float:
        """Let time pass until the store says that the account changed; return how much did."""
        # Where time is not the real one, nobody is woken in the real one.
        if self.sleep is not time.sleep or not isinstance(self.store, Waking):
            self.sleep(pause_s)
            return pause_s
        began = time.monotonic()
        while self.wanted() and (left := began + woken_s - time.monotonic()) > 0:
            part = min(left, _PART_S)
            before = time.monotonic()
            with contextlib.suppress(Exception):  # a stranger's: whoever is not woken looks for himself
                self.store.wait(self.key, part)
            if time.monotonic() - before < part:
                break  # woken
        # One that is woken at once each time, for no reason, does not ask again and again without a pause.
        if (early := began + min(pause_s, woken_s) - time.monotonic()) > 0:
            time.sleep(early)
        return time.monotonic() - began

    def ready(self, *, spares: bool = False) -> Ready:
        """What calls are made of, as of now.

        Raises RenewalError ``endpoint_resting`` with `spares` while the token endpoint does not work.
        """
        account = self.account
        assert account is not None, "a world whose flows make calls has an account"
        # Before a lease is taken and anything is journalled: no waiting makes these files better.
        tls_context(account.tls)
        if self.discovery is not None:
            account = self.discovery.complete(account)
        if spares:
            self._spare(account)
        return Ready(
            account=account,
            machine=self.machine,
            credentials=Credentials(
                now=self.clock(),
                unique=secrets.token_hex(16),
                client_secret=self.reveal(),
                secrets=self.others(),
                dpop_key=new_dpop_key() if account.binds_tokens else None,
                dpop_nonce=self.nonces.get(origin_of(account.token_url()), "")
                if account.binds_tokens
                else "",
            ),
        )

    def texts(self) -> dict[str, str]:
        """The account's secrets by name, resolved anew."""
        found = {name: secret.reveal() for name, secret in self.others().items()}
        client_secret = self.reveal()
        return {**found, "client_secret": client_secret.reveal()} if client_secret else found

    def _spare(self, account: Account) -> None:
        try:
            left_s = self.resting.left_s(origin_of(account.refresh_url()), self.ticks())
        except TemplateError:
            return  # whoever builds the request says what is missing
        if left_s:
            raise RenewalError(
                f"the token endpoint of account {account.name!r} does not work just now",
                account=account.name,
                code="endpoint_resting",
                reason="it has failed other accounts as well, so it is left alone for a while",
                resolution=f"the next attempt may be made in {max(1, round(left_s))} s",
                retry_after=left_s,
            )

    def perform(self, effect: Effect) -> Any:
        """Perform one effect and return its result."""
        match effect:
            case Now():
                return self.moment()
            case Load():
                return self.load()
            case Save(record=record):
                return self.save(record)
            case Acquire(ttl_s=ttl_s):
                return self.acquire(ttl_s)
            case Release():
                return self.store.release(self.key, self.holder)
            case Reveal(spares=spares):
                return self.ready(spares=spares)
            case Delete():
                return self.store.delete(self.key)
            case Post(request=request, until=until):
                return self.post(request, until)
            case Wait(seconds=seconds):
                return self.sleep(seconds)
            case Await(pause_s=pause_s, woken_s=woken_s):
                return self.wait(pause_s, woken_s)


def run(flow: Generator[Effect, Any, T], world: World) -> T:
    """Run a flow to its end; what an effect raises is thrown into the flow first."""
    try:
        effect = next(flow)
        while True:
            try:
                result = world.perform(effect)
            except Exception as error:
                typed = _typed(effect, error)
                if not world.hushed:
                    tell_store(world.named, effect, typed)
                effect = flow.throw(typed)
            else:
                effect = flow.send(result)
    except StopIteration as done:
        value: T = done.value
        return value


def look(world: World) -> Record:
    """The record in the store. Raises what `run` promises, whatever a stranger's store raises."""

    def flow() -> Generator[Effect, Any, Record]:
        found: Record = yield Load()
        return found

    return run(flow(), world)


@contextlib.contextmanager
def typed() -> Iterator[None]:
    """While a store is asked beside all flows. Raises what is promised, as `run` does."""
    try:
        yield
    except ConnectorError:
        raise
    except Exception as error:
        raise _typed(Load(), error) from None


def _typed(effect: Effect, error: Exception) -> Exception:
    """What a stranger wrote may raise anything; callers are promised a ConnectorError.

    Its words are left out where they may quote a secret.
    """
    if isinstance(error, ConnectorError):
        return error
    if isinstance(effect, Reveal):
        return PluginError("a source of secrets failed", hook="secret_sources", reason=type(error).__name__)
    return StoreError(
        "the token store failed", code="store_failed", reason=f"{type(error).__name__}: {error}"
    )
