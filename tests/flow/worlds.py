"""A small world for renewals: servers that rotate, a store that may fail, processes that may die, clocks that differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rotating_server import LIFETIME_S, Server

from connector.account import Account
from connector.credentials import Credentials
from connector.effects import (
    Acquire,
    Await,
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
from connector.errors import StoreError
from connector.finishing import whole
from connector.flow import Wish, renew
from connector.grants import Grant, JwtBearer, RefreshToken
from connector.moment import Moment
from connector.record import Record, Spending
from connector.reply import Reply
from connector.saving import save_late
from connector.secret import Secret
from connector.token import Held, Token, Window
from connector.tokenstore import Lease, VersionConflict

START = 1_800_000_000.0
GRACE_S = 120.0
WINDOW = Window()

# What may happen to a token call: whether the server processes it, and what comes back (None: its own answer).
FATES: dict[str, tuple[bool, tuple[int, dict[str, str], bytes] | None]] = {
    "lost before": (False, None),
    "lost after": (True, None),
    "500": (False, (500, {}, b"oops")),
    "502 after": (True, (502, {}, b"<h1>Bad Gateway</h1>")),
    "429": (False, (429, {"retry-after": "5"}, b"")),
    "wrong client": (False, (401, {}, b'{"error": "invalid_client"}')),
    "wrong scope": (False, (400, {}, b'{"error": "invalid_scope"}')),
    "a lie": (False, (400, {}, b'{"error": "invalid_grant"}')),
    "truncated": (True, (200, {"content-type": "application/json"}, b'{"access_token": "a-')),
    "web page": (True, (200, {"content-type": "text/html"}, b"<h1>Welcome</h1>")),
    "empty": (True, (200, {"content-type": "application/json"}, b"{}")),
    "redirect": (False, (307, {"location": "https://elsewhere.example.com"}, b"")),
}
# Whoever hears one of these knows that nothing was used up: showing it again is no second showing.
UNSPENT = ("429", "wrong client", "wrong scope", "redirect")
# What may happen to a store: it fails and has done nothing; it has done what was asked, and the answer is lost.
TROUBLES = ("fails", "fails after")


@dataclass(eq=False)
class Process:
    """One process with its memory and its clocks; dies by `World.crash`.

    Attributes:
        skew_s: what its wall clock is ahead of the right time; people set it.
        base_s: the same of its steady clock; nobody can.
        held: the tokens of its memory, with their ends.
        steps: tokens need further calls before they can be used.
    """

    name: str
    skew_s: float
    base_s: float = 0.0
    lives: int = 1
    memory: dict[str, Record] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    steps: bool = False

    def moment(self, now: float) -> Moment:
        """The right time `now` by its clocks."""
        return Moment(at=now + self.skew_s, steady=now + self.base_s)

    def keep(self, name: str, record: Record, now: float) -> None:
        """Put what a renewal brought into memory, as a token source does."""
        assert record.token is not None
        self.memory[name] = record
        if record.token.exchanges_left or (self.steps and "team" not in record.token.captured):
            return
        held = self.held.get(name)
        if held is None or not held.speaks_of(record.token):
            self.held[name] = WINDOW.hold(record.token, self.moment(now), since=record.since)

    @property
    def holder(self) -> str:
        return f"{self.name}/{self.lives}"


@dataclass(eq=False)
class Flight:
    """One renewal under way in a process.

    Attributes:
        sent: the form of the call that is under way, None when there is none.
        journal: what this flight itself has last written into the store.
        calls: token calls it has made.
        steps: calls for exchange and discovery.
        first: fingerprint of the first token that it found in the store.
        loaded: what it read last from there.
        unlucky: the store has failed it.
        died: it has written that the login is dead; a person may log in before it gives back the lease.
    """

    process: Process
    account: str
    wish: Wish
    flow: Generator[Effect, Any, Record]
    effect: Effect
    sent: dict[str, str] | None = None
    journal: Spending | None = None
    calls: int = 0
    steps: int = 0
    loaded: Record = field(default_factory=Record)
    first: str | None = None
    unlucky: bool = False
    died: bool = False


@dataclass
class World:
    """Two accounts in one store; performs one effect of one flight at a time.

    Attributes:
        shown: how often each refresh token was sent to its server.
        kept: leases whose holders could not give them back, since the store failed.
        away: the store cannot be reached by anybody.
        saved: fingerprints of the access tokens that were ever in the store.
        store_was_set: the store's clock was set at some time, so that ages told by it may be wrong.
        store_skew_s: what the clock by which the store tells the end of a lease is ahead of the right time.
        steps: each token is to be exchanged, and tells what the API's address needs.
        forgot_lease: the store broke a promise, so what rests on it may not hold.
    """

    grace: bool = False
    machine: bool = False
    steps: bool = False
    now: float = START
    servers: dict[str, Server] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    flights: list[Flight] = field(default_factory=list)
    shown: Counter[str] = field(default_factory=Counter)
    kept: set[str] = field(default_factory=set)
    saved: set[str] = field(default_factory=set)
    store_skew_s: float = 0.0
    store_was_set: bool = False
    away: bool = False
    forgot_lease: bool = False

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            self.servers[name] = Server(name, grace_s=GRACE_S if self.grace else 0.0, short=self.steps)
            self.adopt(name)
        # They have been used up to their end.
        self.now += LIFETIME_S

    def account(self, name: str) -> Account:
        endpoint = {
            "endpoint": "strict",
            "token": {"url": f"https://{name}.example.com/token", "auth": "none"},
            "grants": [self.grant.name if self.machine else "authorization_code"],
            "refresh": {"rotates": "always", "grace": GRACE_S if self.grace else 0},
        }
        if self.steps:
            endpoint["exchange"] = {
                "url": f"https://{name}.example.com/exchange",
                "method": "POST",
                "params": {"short": "{access_token}"},
            }
            endpoint["discover"] = {"url": f"https://{name}.example.com/me", "set": {"team": "/team"}}
        if not self.machine:
            endpoint["authorize"] = {"url": f"https://{name}.example.com/authorize"}
        return Account(
            name=name,
            client_id="id",
            endpoint=endpoint_from_spec(endpoint),
            grant="jwt_bearer" if self.machine else "authorization_code",
        )

    @property
    def grant(self) -> Grant:
        return JwtBearer() if self.machine else RefreshToken()

    def adopt(self, name: str) -> None:
        """A person logs in anew: what `Login` does, whoever renews meanwhile."""
        reply = self.servers[name].login(self.now)
        token = Token(
            access_token=Secret(reply["access_token"]),
            refresh_token=Secret(reply["refresh_token"]),
            obtained_at=self.now,
            expires_at=self.now + LIFETIME_S,
            exchanges_left=int(self.steps),
        )
        found = self.records.get(name, Record())
        self.records[name] = Record(version=found.version + 1, token=token)
        self.saved.add(token.fingerprint)

    def begin(
        self, process: Process, name: str, *, early: bool = False, rejected: str = "", on_demand: bool = False
    ) -> Flight | None:
        """Begin a renewal, unless one is under way in this process: everybody waits for that one."""
        for flight in self.flights:
            if flight.process is process and flight.account == name:
                return None
        wish = replace(self._wish(process, name), rejected=rejected, early=early, on_demand=on_demand)
        flow = renew(wish)
        flight = Flight(process, name, wish, flow, next(flow))
        self.flights.append(flight)
        return flight

    def _wish(self, process: Process, name: str) -> Wish:
        return Wish(
            account=self.account(name),
            grant=self.grant,
            window=WINDOW,
            holder=process.holder,
            have=process.memory.get(name),
            held=process.held.get(name),
        )

    def save_behind(self, process: Process, name: str) -> None:
        """What a process goes on trying with a token that the store did not take, once."""
        flow = save_late(process.memory[name], tries=1)
        flight = Flight(process, name, self._wish(process, name), flow, next(flow))
        try:
            while True:
                try:
                    result = self._perform(flight, flight.effect, "", "")
                except StoreError as error:
                    flight.effect = flow.throw(error)
                else:
                    flight.effect = flow.send(result)
        except StopIteration as done:
            process.memory[name] = done.value

    def crash(self, process: Process) -> None:
        """kill -9: nothing is saved, released or said any more."""
        for flight in [f for f in self.flights if f.process is process]:
            self.flights.remove(flight)
            flight.flow.close()
        process.memory.clear()
        process.held.clear()
        process.lives += 1

    def step(self, flight: Flight, fate: str = "", trouble: str = "") -> Record | Exception | None:
        """Perform the next effect of a flight; its outcome when that was the last one."""
        effect = flight.effect
        if isinstance(effect, Post) and flight.sent is None and self._send(flight, effect, fate):
            return None  # under way: others may act before it arrives
        try:
            try:
                result = self._perform(flight, effect, fate, trouble)
            except StoreError as error:
                flight.effect = flight.flow.throw(error)
            else:
                flight.effect = flight.flow.send(result)
        except StopIteration as done:
            self.flights.remove(flight)
            record: Record = done.value
            flight.process.keep(flight.account, record, self.now)
            if not whole(flight.wish.account, record.token):
                assert record.unsaved, "a token that cannot be used, and nobody says so"
                return StoreError("what is in memory is not handed out before it is saved")
            return record
        except Exception as error:
            self.flights.remove(flight)
            return error
        return None

    def _send(self, flight: Flight, effect: Post, fate: str) -> bool:
        if self.now + flight.process.base_s > effect.until or fate == "refused connection":
            return False
        form = {name: values[0] for name, values in parse_qs(effect.request.body.decode()).items()}
        flight.sent = {"path": urlsplit(effect.request.url).path, **form, **dict(effect.request.headers)}
        if flight.sent["path"] != "/token":
            self._hold(flight)
            flight.steps += 1
            return True
        flight.calls += 1
        self._needs(flight)
        shown = form.get("refresh_token", "")
        if shown:
            self._hold(flight)
            assert shown.startswith(f"{flight.account}."), "the refresh token of another account"
            self.shown[shown] += 1
            journal = flight.journal
            assert journal is not None, "shown before the journal said so"
            assert journal.presents == Secret(shown).fingerprint
            assert self.shown[shown] == 1 or journal.attempts >= 2 or self.forgot_lease, "shown again"
        return True

    def _needs(self, flight: Flight) -> None:
        """Whoever makes a call has looked under the lease: nobody has renewed since it first looked."""
        token, first = flight.loaded.token, flight.first
        if token is None or first is None or self.store_was_set or token.lifetime_s == 0:
            return  # a store whose clock was set makes tokens older than they are; or its exchange was refused
        # Of a login whose beginning nobody wrote down only the wall clock tells the age, and that may be wrong.
        news = token.fingerprint not in (first, flight.wish.rejected) and flight.loaded.renewed_at
        ends = self.servers[flight.account].ends[token.access_token.reveal()]
        assert not news or ends < self.now + LIFETIME_S / 2, "a call for what the store had already"

    def _hold(self, flight: Flight) -> None:
        """Whoever shows a refresh token has the lease, and has it for as long as the call may take."""
        lease = self.leases.get(flight.account)
        if not self.forgot_lease:
            assert lease is not None
            assert lease.holder == flight.process.holder, "shown without the lease"
            assert lease.expires_at >= self.now + flight.wish.call_s - 0.001, (
                "the lease may end during the call"
            )

    def _perform(self, flight: Flight, effect: Effect, fate: str, trouble: str) -> Any:
        match effect:
            case Now():
                return flight.process.moment(self.now)
            case Wait(seconds=seconds):
                self.now += seconds
                return None
            case Await(pause_s=pause_s, woken_s=woken_s):
                # Woken at once, by the store or for no reason; not at all; or by a store that wakes nobody.
                took = {"woken": 0.0, "not woken": woken_s}.get(fate, pause_s)
                self.now += took
                return took
            case Reveal():
                return Ready(
                    account=flight.wish.account,
                    credentials=Credentials(
                        now=flight.process.moment(self.now).at,
                        unique="once",
                        secrets={"assertion": Secret("an assertion")},
                    ),
                )
            case Post():
                return self._answer(flight, fate)
        flight.unlucky = flight.unlucky or bool(trouble or self.away)
        if (trouble or self.away) and isinstance(effect, (Acquire, Release)):
            self.kept.add(flight.process.holder)
        if trouble == "fails" or self.away:
            raise StoreError("the store is away")
        result = self._stored(flight, effect)
        if trouble == "fails after":
            raise StoreError("the store's answer got lost")
        return result

    def _stored(self, flight: Flight, effect: Effect) -> Any:
        name, holder = flight.account, flight.process.holder
        match effect:
            case Load():
                flight.loaded = self.records[name]
                if flight.first is None and flight.loaded.token is not None:
                    flight.first = flight.loaded.token.fingerprint
                return flight.loaded
            case Save(record=record):
                if record.version != self.records[name].version:
                    raise VersionConflict("somebody saved first")
                assert record.token is not None
                self.saved.add(record.token.fingerprint)
                if not self.machine:
                    family = record.token.access_token.reveal().split(".")[1]
                    assert family == list(self.servers[name].newest)[-1], "a login over the one a person made"
                saved = replace(record, version=record.version + 1, unsaved=False)
                self.records[name] = replace(saved, since=None)  # by this process's clock: no store has it
                flight.journal, flight.died = record.spending, record.dead is not None
                return saved
            case Acquire(ttl_s=ttl_s):
                lease = self.leases.get(name)
                if lease is None or lease.holder == holder or lease.expires_at <= self.now:
                    lease = Lease(account=name, holder=holder, expires_at=self.now + ttl_s)
                    self.leases[name] = lease
                # A lease ends when it should; what its end is called is a matter of the store's wall clock.
                return replace(lease, expires_at=lease.expires_at + self.store_skew_s)
            case Release():
                lease = self.leases.get(name)
                if lease is not None and lease.holder == holder:
                    del self.leases[name]
                return None
        raise AssertionError(effect)

    def _answer(self, flight: Flight, fate: str) -> Reply | NoReply:
        form, flight.sent = flight.sent, None
        if form is None:
            return NoReply(sent=False, words="not sent")
        if form["path"] != "/token" and fate == "empty":
            fate = ""  # what is not in an answer is known to be nothing
        processed, instead = FATES.get(fate, (True, None))
        status, headers, body = 0, {"content-type": "application/json"}, b""
        if processed:
            server, shown = self.servers[flight.account], form.get("Authorization", "")
            if form["path"] == "/exchange":
                status, data = server.exchange(form["short"], self.now)
            elif form["path"] == "/me":
                status, data = server.tell(shown.removeprefix("Bearer "), self.now)
            else:
                status, data = server.post(form, self.now)
            body = json.dumps(data).encode()
        if fate in UNSPENT and "refresh_token" in form:
            self.shown[form["refresh_token"]] -= 1
        if fate in FATES:
            if instead is None:
                return NoReply(sent=True, words="lost")
            status, headers, body = instead
        at = self.now + flight.process.skew_s
        return Reply(status=status, headers=headers, body=body, received_at=at)
