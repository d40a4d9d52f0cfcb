"""Many holders renew one account in every order Hypothesis thinks of, and die or are held up where it likes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.account import Account
from connector.credentials import Credentials
from connector.effects import Acquire, Await, Load, NoReply, Now, Post, Ready, Release, Reveal, Save, Wait
from connector.endpoint import endpoint_from_spec
from connector.errors import ConnectorError
from connector.flow import Wish, renew, usable
from connector.grants import RefreshToken
from connector.moment import Moment
from connector.record import Record
from connector.reply import Reply
from connector.secret import Secret
from connector.token import Token, Window
from connector.tokenstore import Lease, VersionConflict

ACCOUNT = Account(
    name="a",
    client_id="id",
    endpoint=endpoint_from_spec(
        {
            "endpoint": "strict",
            "token": {"url": "https://login.example.com/token", "auth": "none"},
            "grants": ["authorization_code"],
            "refresh": {"rotates": "always"},
        }
    ),
    grant="authorization_code",
)
START = 1_800_000_000.0


@dataclass
class Server:
    """Rotates refresh tokens with each use; a reused one ends the family, as RFC 9700 asks."""

    current: str = "r0"
    dead: bool = False
    issued: int = 0
    shown: dict[str, int] = field(default_factory=dict)

    def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        token = parse_qs(body.decode())["refresh_token"][0]
        self.shown[token] = self.shown.get(token, 0) + 1
        if self.dead or token != self.current:
            self.dead = True
            return 400, {"error": "invalid_grant"}
        self.issued += 1
        self.current = f"r{self.issued}"
        return 200, {"access_token": f"a{self.issued}", "refresh_token": self.current, "expires_in": 600}


@dataclass
class World:
    """A store, a server and a clock; performs one effect of one holder at a time."""

    server: Server = field(default_factory=Server)
    now: float = START
    lease: Lease | None = None
    calls: int = 0
    record: Record = field(
        default_factory=lambda: Record(
            version=1,
            token=Token(
                access_token=Secret("a0"),
                refresh_token=Secret("r0"),
                obtained_at=START - 700,
                expires_at=START - 100,
            ),
        )
    )

    def perform(self, effect: Any, holder: str, fate: str) -> Any:
        match effect:
            case Now():
                return Moment(self.now, self.now)
            case Load():
                return self.record
            case Save(record=record):
                if record.version != self.record.version:
                    raise VersionConflict("somebody saved first")
                self.record = replace(record, version=record.version + 1, unsaved=False)
                return self.record
            case Acquire(ttl_s=ttl_s):
                if self.lease is None or self.lease.holder == holder or self.lease.expires_at <= self.now:
                    self.lease = Lease(account="a", holder=holder, expires_at=self.now + ttl_s)
                return self.lease
            case Release():
                if self.lease is not None and self.lease.holder == holder:
                    self.lease = None
                return None
            case Reveal():
                return Ready(account=ACCOUNT, credentials=Credentials(now=self.now, unique="once"))
            case Wait(seconds=seconds):
                self.now += seconds
                return None
            case Await(pause_s=pause_s, woken_s=woken_s):
                # Woken at once, by the store or for no reason; not at all; or by a store that wakes nobody.
                took = {"woken": 0.0, "not woken": woken_s}.get(fate, pause_s)
                self.now += took
                return took
            case Post(request=request, until=until):
                return self._post(request.body, until, fate)
        raise AssertionError(effect)

    def _post(self, body: bytes, until: float, fate: str) -> Reply | NoReply:
        if self.now > until or fate == "refused connection":
            return NoReply(sent=False, words="not sent")
        self.calls += 1
        shown = parse_qs(body.decode())["refresh_token"][0]
        if self.server.shown.get(shown):
            # The one rule: a second showing only after the journal said in doubt.
            assert self.record.spending is not None
            assert self.record.spending.attempts >= 2
        else:
            assert self.record.spending is not None, "shown before the journal said so"
        if fate == "lost before":
            return NoReply(sent=True, words="lost")
        status, data = self.server.post(body)
        if fate == "lost after":
            return NoReply(sent=True, words="lost")
        return Reply(status=status, headers={}, body=json.dumps(data).encode(), received_at=self.now)


def wish(holder: str) -> Wish:
    return Wish(account=ACCOUNT, grant=RefreshToken(), window=Window(), holder=holder)


FATES = st.sampled_from(["fine"] * 6 + ["refused connection", "lost before", "lost after"])
WAKES = st.sampled_from(["woken", "not woken", "no wake-ups"])
ACTIONS = st.sampled_from(["step"] * 12 + ["crash", "nap", "new holder"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), smooth=st.booleans())
def test_worlds(data: st.DataObject, smooth: bool) -> None:
    """Whatever the order: shown at most once unless in doubt, an answer for everyone, every lease ends.

    In a smooth world (no crash, nap or lost reply) there is exactly one token call, and the store holds the
    newest refresh token.
    """
    world = World()
    flows: dict[str, tuple[Any, Any]] = {}
    ended: dict[str, Record | Exception] = {}
    crashed: set[str] = set()

    def begin(name: str) -> None:
        flow = renew(wish(name))
        flows[name] = (flow, next(flow))

    def step(name: str, fate: str) -> None:
        flow, effect = flows[name]
        try:
            try:
                result = world.perform(effect, name, fate)
            except VersionConflict as conflict:
                flows[name] = (flow, flow.throw(conflict))
            else:
                flows[name] = (flow, flow.send(result))
        except StopIteration as done:
            ended[name] = done.value
            del flows[name]
        except ConnectorError as error:
            ended[name] = error
            del flows[name]

    for number in range(data.draw(st.integers(1, 4), label="holders")):
        begin(f"h{number}")
    for _ in range(data.draw(st.integers(0, 60), label="drawn steps")):
        if not flows:
            break
        action = "step" if smooth else data.draw(ACTIONS)
        name = data.draw(st.sampled_from(sorted(flows)))
        if action == "step":
            effect = flows[name][1]
            if isinstance(effect, Await):
                step(name, data.draw(WAKES))
            else:
                step(name, "fine" if smooth or not isinstance(effect, Post) else data.draw(FATES))
        elif action == "crash":
            flows.pop(name)[0].close()
            crashed.add(name)
        elif action == "nap":
            world.now += data.draw(st.sampled_from([1.0, 20.0, 50.0]))
        elif len(ended) + len(flows) + len(crashed) < 8:
            begin(f"h{len(ended) + len(flows) + len(crashed)}")
    for turn in range(5000):
        if not flows:
            break
        step(sorted(flows)[turn % len(flows)], "fine")  # fair, or waiting becomes being held up
    assert not flows, "a holder never came to an end"
    for outcome in ended.values():
        if isinstance(outcome, Record):
            assert (
                usable(outcome.token, Window(), Moment(world.now - 60, world.now))
                or outcome.token is not None
            )
        else:
            assert isinstance(outcome, ConnectorError)
            assert "r0" not in str(outcome)
    assert world.lease is None or world.lease.holder in crashed or world.lease.expires_at <= world.now + 45
    assert world.calls <= 3 * (len(ended) + len(crashed))
    if smooth:
        assert world.calls == 1
        assert world.record.presents == Secret(world.server.current).fingerprint
        assert all(isinstance(outcome, Record) for outcome in ended.values())


def test_a_holder_that_died_in_the_middle_leaves_a_readable_record() -> None:
    """Killed between sending and saving: the next holder finds it in doubt, and the loss is told, not looped."""
    world = World()
    flow = renew(wish("dies"))
    effect = next(flow)
    while not isinstance(effect, Post):
        effect = flow.send(world.perform(effect, "dies", "fine"))
    world.perform(effect, "dies", "fine")
    flow.close()
    assert world.record.spending is not None
    assert world.record.spending.holder == "dies"
    world.now += 60
    for _ in range(3):
        flow = renew(wish("next"))
        try:
            effect = next(flow)
            while True:
                effect = flow.send(world.perform(effect, "next", "fine"))
        except ConnectorError as error:
            assert error.code == "needs_authorization"
        world.now += 600
    assert world.server.shown == {"r0": 2}


def test_a_renewal_under_way_elsewhere_is_no_doubt() -> None:
    """Whoever wants an early renewal while another process makes it waits for that one and takes its token."""
    world = World()
    world.now = START - 150  # stale, and good for another 50 s
    early = [replace(wish(name), early=True, have=world.record) for name in ("first", "second")]
    flow = renew(early[0])
    effect = next(flow)
    while not isinstance(effect, Post):
        effect = flow.send(world.perform(effect, "first", "fine"))
    other = renew(early[1])
    effects = [next(other)]
    while not isinstance(effects[-1], Await):
        effects.append(other.send(world.perform(effects[-1], "second", "fine")))
    for holder, under_way, last in (("first", flow, effect), ("second", other, effects[-1])):
        try:
            while True:
                last = under_way.send(world.perform(last, holder, "fine"))
        except StopIteration as done:
            assert done.value.token.fingerprint == Secret("a1").fingerprint
    assert world.server.shown == {"r0": 1}


def test_whoever_slept_past_its_lease_takes_the_token_of_its_heir() -> None:
    """Stopped with the journal written, it makes no call, and what it wanted to note is refused: it looks again."""
    world = World()
    flow = renew(wish("slow"))
    effect = next(flow)
    while not isinstance(effect, Post):
        effect = flow.send(world.perform(effect, "slow", "fine"))
    world.now += 60
    for holder, under_way, last in (("heir", renew(wish("heir")), None), ("slow", flow, effect)):
        last = last or next(under_way)
        try:
            while True:
                try:
                    result = world.perform(last, holder, "fine")
                except VersionConflict as conflict:
                    last = under_way.throw(conflict)
                else:
                    last = under_way.send(result)
        except StopIteration as done:
            assert done.value.token.fingerprint == Secret("a1").fingerprint
    assert world.server.shown == {"r0": 1}


def test_a_slow_holder_cannot_overwrite_a_new_login() -> None:
    """A reply that comes after a person authorized anew is dropped: theirs is the login."""
    world = World()
    flow = renew(wish("slow"))
    effect = next(flow)
    while not isinstance(effect, Post):
        effect = flow.send(world.perform(effect, "slow", "fine"))
    reply = world.perform(effect, "slow", "fine")
    assert world.record.token is not None
    adopted = replace(
        world.record.token,
        access_token=Secret("new"),
        refresh_token=Secret("new-refresh"),
        expires_at=world.now + 3600,
    )
    world.record = Record(version=world.record.version + 1, token=adopted)
    effect = flow.send(reply)
    try:
        while True:
            try:
                result = world.perform(effect, "slow", "fine")
            except VersionConflict as conflict:
                effect = flow.throw(conflict)
            else:
                effect = flow.send(result)
    except StopIteration as done:
        assert done.value.token.fingerprint == Secret("new").fingerprint
    assert world.record.presents == Secret("new-refresh").fingerprint
