"""What the tests of the protocol share: an account, a reply, and a world that performs a flow by a script."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from connector.account import Account
from connector.authorization import Pending, pending
from connector.credentials import Credentials
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
from connector.endpoint import endpoint_from_spec
from connector.moment import Moment
from connector.record import Record
from connector.reply import Reply
from connector.secret import Secret
from connector.tokenrequest import TokenRequest
from connector.tokenstore import Lease

T = TypeVar("T")
NOW = 1_800_000_000.0
ISSUER = "https://as.example.com"
HERE = "http://127.0.0.1:4711/callback"
CANARY = "canary-3f9a51c77e"


def account(spec: dict[str, Any] | None = None, **more: Any) -> Account:
    """An account at a server with every endpoint; `spec` is merged into the endpoint, part by part."""
    whole: dict[str, Any] = {
        "endpoint": "example",
        "issuer": ISSUER,
        "authorize": {"url": f"{ISSUER}/authorize"},
        "token": {"url": f"{ISSUER}/token"},
        "device": {"url": f"{ISSUER}/device"},
        "revoke": {"url": f"{ISSUER}/revoke"},
        "introspect": {"url": f"{ISSUER}/introspect"},
    }
    for name, value in (spec or {}).items():
        old = whole.get(name)
        if value is None:
            whole.pop(name, None)
        else:
            whole[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    given = {
        "name": "acme",
        "client_id": "me",
        "endpoint": endpoint_from_spec(whole),
        "grant": "authorization_code",
    }
    return Account(**{**given, **more})


def credentials(**more: Any) -> Credentials:
    """What a call proves itself with."""
    given: dict[str, Any] = {"now": NOW, "unique": "once", "client_secret": Secret("pass")}
    return Credentials(**{**given, **more})


def asked(made: Account | None = None, **extra: str) -> Pending:
    """A new authorization request."""
    return pending(made or account(), credentials(), HERE, extra)


def reply(body: Any = b"", status: int = 200, *, at: float = NOW, **headers: str) -> Reply:
    """An answer; header names with underscores for hyphens. What is not bytes becomes JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=raw, received_at=at)


def form(request: TokenRequest) -> dict[str, str]:
    """The fields of a form body, each given once."""
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), "a parameter stands there twice"
    return dict(pairs)


def part(token: str, index: int) -> dict[str, Any]:
    """Header (0) or claims (1) of a JWT, unverified."""
    text = token.split(".")[index]
    found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(found, dict)
    return found


def header(request: TokenRequest, name: str) -> str:
    """A header of a request; empty without it."""
    return dict(request.headers).get(name, "")


@dataclass
class Script:
    """Performs a flow: replies from a list, time that passes only by waiting.

    Attributes:
        posts: the requests that were made.
        waits: the pauses that were asked for.
        done: the names of all effects, in order.
    """

    account: Account
    replies: list[Reply | NoReply]
    credentials: Credentials = field(default_factory=credentials)
    record: Record = field(default_factory=Record)
    holder: str = "me"
    now: float = NOW
    posts: list[TokenRequest] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    revealed: int = 0

    def run(self, flow: Generator[Effect, Any, T]) -> T:
        """Run to the end; what the flow raises comes out."""
        try:
            effect = next(flow)
            while True:
                self.done.append(type(effect).__name__)
                effect = flow.send(self.perform(effect))
        except StopIteration as end:
            value: T = end.value
            return value

    def perform(self, effect: Effect) -> Any:
        """The result of one effect."""
        match effect:
            case Now():
                return Moment(self.now, self.now)
            case Await(pause_s=pause_s):
                self.now += pause_s
                return pause_s
            case Wait(seconds=seconds):
                self.waits.append(seconds)
                self.now += seconds
                return None
            case Reveal():
                self.revealed += 1
                fresh = replace(self.credentials, now=self.now, unique=f"unique{self.revealed}")
                return Ready(account=self.account, credentials=fresh)
            case Post(request=request):
                self.posts.append(request)
                answer = self.replies.pop(0)
                return replace(answer, received_at=self.now) if isinstance(answer, Reply) else answer
            case Load():
                return self.record
            case Save(record=record):
                self.record = replace(record, version=record.version + 1)
                return self.record
            case Delete():
                self.record = Record()
                return None
            case Acquire(ttl_s=ttl_s):
                return Lease(account="acme", holder=self.holder, expires_at=self.now + ttl_s)
            case Release():
                return None
        raise AssertionError(effect)


def forms(posts: Iterable[TokenRequest], name: str) -> list[str]:
    """One field of each of some requests."""
    return [form(request).get(name, "") for request in posts]
