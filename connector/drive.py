"""Performing the effects of a flow: the one driver, synchronous, meant for a thread of its own.

There is no asynchronous twin on purpose. A renewal belongs to the account, not to the task that noticed it is
due; in its own thread it outlives a cancelled task and a closed event loop, and all waiters wait alike.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from connector.effects import Acquire, Effect, Load, NoReply, Now, Post, Release, Reveal, Save, Wait
from connector.errors import ConnectorError, PluginError, StoreError
from connector.flow import Flow
from connector.grants import TokenRequest
from connector.post import Poster
from connector.record import Record
from connector.reply import Reply
from connector.seal import Sealer
from connector.secret import Secret
from connector.tokenstore import TokenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a flow acts on.

    Attributes:
        key: name of the account in the store.
        identity: of this host object; with the process it makes the holder of a lease.
        reveal: resolves the client secret, at each token call anew.
        called: told of each token call.
    """

    key: str
    store: TokenStore
    sealer: Sealer
    poster: Poster
    reveal: Callable[[], Secret | None]
    identity: str = field(default_factory=lambda: f"{socket.gethostname()}/{secrets.token_hex(4)}")
    called: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = field(default=time.sleep)

    @property
    def holder(self) -> str:
        """Who holds a lease: asked for each time, since a forked child is somebody else."""
        return f"{self.identity}/{os.getpid()}"

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
        if self.clock() > until:
            return NoReply(sent=False, words="the lease would have ended before the answer")
        self.called()
        try:
            return self.poster.post(request)
        except Exception as error:  # a stranger's transport may raise anything, having sent who knows what
            return NoReply(sent=True, words=f"the call failed ({type(error).__name__})")

    def perform(self, effect: Effect) -> Any:
        """Perform one effect and return its result."""
        match effect:
            case Now():
                return self.clock()
            case Load():
                return self.load()
            case Save(record=record):
                return self.save(record)
            case Acquire(ttl_s=ttl_s):
                return self.store.acquire(self.key, self.holder, ttl_s=ttl_s)
            case Release():
                return self.store.release(self.key, self.holder)
            case Reveal():
                return self.reveal()
            case Post(request=request, until=until):
                return self.post(request, until)
            case Wait(seconds=seconds):
                return self.sleep(seconds)


def run(flow: Flow, world: World) -> Record:
    """Run a flow to its end; what an effect raises is thrown into the flow first."""
    effect = next(flow)
    while True:
        try:
            try:
                result = world.perform(effect)
            except Exception as error:
                effect = flow.throw(_typed(effect, error))
            else:
                effect = flow.send(result)
        except StopIteration as done:
            record: Record = done.value
            return record


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
