"""Processes renew two accounts in every order Hypothesis thinks of, with everything going wrong that may."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from worlds import FATES, TROUBLES, WINDOW, Flight, Process, World

from connector.effects import Acquire, Await, Load, Post, Release, Save
from connector.errors import ConnectorError, NotAuthorizedError, RenewalError
from connector.flow import usable
from connector.record import Record
from connector.secret import Secret
from connector.tokenstore import VersionConflict

NUMBERS = st.integers(0, 7)
# Now and then, not always: a world in which nothing works shows nothing.
WAKES = ("woken", "not woken")
FATE = st.sampled_from([*[""] * 12, "refused connection", *FATES, *WAKES])
TROUBLE = st.sampled_from(["", "", "", "", *TROUBLES])
SELDOM = st.sampled_from([False, False, False, True])
SKEWS = st.lists(st.sampled_from([0.0, 0.0, 0.0, 30.0, 3600.0, -3600.0]), min_size=1, max_size=4)
JUMPS = st.sampled_from([3600.0, -3600.0])
# Of one flow; each round may be one, and a fleet that keeps saving ends it.
MOST_CALLS = 5


class Renewals(RuleBasedStateMachine):
    """The rules are what may happen; what must be true is asserted wherever something ends."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.processes: list[Process] = []
        self.forgetful = False
        self.asked = self.answered = self.crashed = 0

    @initialize(grace=st.booleans(), machine=SELDOM, steps=st.booleans(), forgetful=SELDOM, skews=SKEWS)
    def begin(self, grace: bool, machine: bool, steps: bool, forgetful: bool, skews: list[float]) -> None:
        self.world = World(grace=grace, machine=machine, steps=steps)
        self.forgetful = forgetful
        self.processes = [
            Process(f"p{n}", skew, base_s=-1e6 * n, steps=steps) for n, skew in enumerate(skews)
        ]

    def _process(self, number: int) -> Process:
        return self.processes[number % len(self.processes)]

    def _ask(self, process: Process, account: str, **wish: Any) -> None:
        self.asked += self.world.begin(process, account, **wish) is not None

    @rule(number=NUMBERS, account=st.sampled_from("aaab"), early=st.booleans())
    def renew(self, number: int, account: str, early: bool) -> None:
        """Somebody needs a token, or finds that it is getting old."""
        self._ask(self._process(number), account, early=early)

    @rule(number=NUMBERS)
    def renew_on_demand(self, number: int) -> None:
        """A person wants another token although there is a good one."""
        token = self.world.records["a"].token
        assert token is not None
        self._ask(self._process(number), "a", rejected=token.fingerprint, on_demand=True)

    @rule(number=NUMBERS)
    def api(self, number: int) -> None:
        """A request with the token in memory; a 401 is a reason to renew."""
        process = self._process(number)
        for account, record in process.memory.items():
            if record.token is None or account not in process.held or record.token.exchanges_left:
                continue
            text = record.token.access_token.reveal()
            assert text.startswith(f"{account}."), "the token of another account"
            if not self.world.servers[account].takes(text, self.world.now):
                self._ask(process, account, rejected=record.token.fingerprint)

    @precondition(lambda self: self.world.flights)
    @rule(number=NUMBERS, fate=FATE, trouble=TROUBLE)
    def step(self, number: int, fate: str, trouble: str) -> None:
        """One effect, well or badly."""
        self._step(self.world.flights[number % len(self.world.flights)], fate, trouble)

    @precondition(lambda self: self.world.flights)
    @rule(number=NUMBERS, steps=st.integers(2, 12), fate=FATE)
    def go_on(self, number: int, steps: int, fate: str) -> None:
        """Some effects, all of them well except for the call."""
        flight = self.world.flights[number % len(self.world.flights)]
        for _ in range(steps):
            if flight in self.world.flights:
                self._step(flight, fate)

    @precondition(lambda self: self.world.flights)
    @rule(number=NUMBERS, sent=st.booleans())
    def up_to_the_call(self, number: int, sent: bool) -> None:
        """Everything up to where most can go wrong, done well."""
        flight = self.world.flights[number % len(self.world.flights)]
        for _ in range(20):
            if flight not in self.world.flights or isinstance(flight.effect, Post):
                break
            self._step(flight)
        if sent and flight in self.world.flights and isinstance(flight.effect, Post) and flight.sent is None:
            self._step(flight)

    @rule(number=NUMBERS, account=st.sampled_from("aaab"), fate=FATE, away=SELDOM)
    def from_beginning_to_end(self, number: int, account: str, fate: str, away: bool) -> None:
        """A renewal that nobody disturbs, except the net; or the store is away when the answer comes."""
        if any(f.account == account for f in self.world.flights) or self.world.away:
            return
        self._ask(self._process(number), account)
        flight = self.world.flights[-1]
        for _ in range(60):
            if flight not in self.world.flights:
                break
            self.world.away = (away and flight.sent is not None) or self.world.away
            self._step(flight, fate)
        self.world.away = False

    @rule(number=NUMBERS)
    def saves_behind(self, number: int) -> None:
        """Beside everything: what the store did not take is brought again and again."""
        process = self._process(number)
        for account in [name for name, record in process.memory.items() if record.unsaved]:
            self.world.save_behind(process, account)

    @rule(away=st.booleans())
    def the_store_goes_away_or_comes_back(self, away: bool) -> None:
        """Longer than anybody tries."""
        self.world.away = away

    @rule(seconds=st.sampled_from([1.0, 20.0, 50.0, 400.0, 4000.0]))
    def time_goes_by(self, seconds: float) -> None:
        """Tokens end, leases end, and whoever is in the middle of something was stopped for so long."""
        self.world.now += seconds

    @rule(number=NUMBERS, seconds=JUMPS)
    def a_wall_clock_is_set(self, number: int, seconds: float) -> None:
        """In the middle of anything; what lasts and what is waited for goes on as it was."""
        self._process(number).skew_s += seconds

    @rule(seconds=JUMPS)
    def the_wall_clock_of_the_store_is_set(self, seconds: float) -> None:
        """Pauses are told by it, so one may end too soon; none gets longer."""
        self.world.store_skew_s += seconds
        self.world.store_was_set = True

    @rule(number=NUMBERS)
    def crash(self, number: int) -> None:
        """A process is killed, and started again."""
        process = self._process(number)
        self.crashed += sum(flight.process is process for flight in self.world.flights)
        self.world.crash(process)

    @rule(account=st.sampled_from("ab"))
    def log_in(self, account: str) -> None:
        """A person authorizes an account anew, whatever is under way."""
        self.world.adopt(account)

    @precondition(lambda self: self.forgetful and self.world.leases)
    @rule()
    def the_store_forgets_its_leases(self) -> None:
        """As a store that fails over to a copy may; what rests on leases alone then does not hold."""
        self.world.leases.clear()
        self.world.forgot_lease = True

    @invariant()
    def everybody_is_answered_or_waits(self) -> None:
        """Nobody got lost on the way."""
        assert self.asked == self.answered + self.crashed + len(self.world.flights)

    @invariant()
    def the_newest_refresh_token_is_known(self) -> None:
        """It is in the store, or somebody is about to save it, or the record says that something is wrong."""
        world = self.world
        if world.machine:
            return  # it begins anew with each answer that gets lost
        for account, server in world.servers.items():
            record, newest = world.records[account], Secret(server.current).fingerprint
            if not server.lives or record.presents == newest or record.spending or record.dead:
                continue
            in_memory = any(
                p.memory.get(account, Record()).unsaved and p.memory[account].presents == newest
                for p in self.processes
            )
            under_way = any(f.account == account and f.calls for f in world.flights)
            assert in_memory or under_way or world.forgot_lease, "lost without a word"

    def _step(self, flight: Flight, fate: str = "", trouble: str = "") -> Record | Exception | None:
        fate = fate if isinstance(flight.effect, (Await, Post)) else ""
        trouble = trouble if isinstance(flight.effect, (Acquire, Load, Release, Save)) else ""
        outcome = self.world.step(flight, fate, trouble)
        assert flight.calls <= MOST_CALLS, "a loop of token calls"
        assert flight.steps <= 2 * MOST_CALLS, "a loop of exchanges"
        if outcome is None:
            return None
        self.answered += 1
        if isinstance(outcome, Record):
            self._good(flight, outcome)
        elif not isinstance(outcome, ConnectorError) or isinstance(outcome, VersionConflict):
            raise outcome
        else:
            assert ".r" not in str(outcome), "an error that shows a refresh token"
            self._bad(flight, outcome)
        return outcome

    def _good(self, flight: Flight, record: Record) -> None:
        """What a caller gets: a token of its account, not the one that was refused."""
        assert record.token is not None
        assert record.token.access_token.reveal().startswith(f"{flight.account}.")
        assert not flight.wish.rejected or record.token.fingerprint != flight.wish.rejected
        if self.world.steps:
            text, found = record.token.access_token.reveal(), record.token.captured
            assert ".l" in text, "a token that was not exchanged"
            assert found["team"] == "7", "a token without what the API's address needs"
        saved = record.token.fingerprint in self.world.saved
        assert saved or record.unsaved, "only in memory, and nobody is told"

    def _bad(self, flight: Flight, error: ConnectorError) -> None:
        """A person is asked for only where the store says so too, or could not be told."""
        # Where a store forgot a lease, somebody else may save a successor after the answer was written down.
        if error.code == "needs_authorization" and not (flight.unlucky or self.world.forgot_lease):
            record = self.world.records[flight.account]
            # A person may have logged in since it was read.
            read = flight.loaded.dead is not None
            assert record.dead or not record.presents or flight.died or read, (
                "a login called dead that the store has alive"
            )

    def teardown(self) -> None:
        """From here on everything works: all ends, no lease stays, and who can renew does."""
        if not self.processes:
            return
        self._let_all_end()
        held = {lease.holder for lease in self.world.leases.values()}
        assert not held & {p.holder for p in self.processes} - self.world.kept, (
            "a lease that nobody gave back"
        )
        self.everybody_is_answered_or_waits()
        self.the_newest_refresh_token_is_known()
        # Past the longest pause, and no longer: that there are clocks an hour off makes none longer.
        self.world.now += 301.0
        for process in sorted(self.processes, key=lambda p: not p.memory):
            for account in ("a", "b"):
                self._renews(process, account)

    def _let_all_end(self) -> None:
        self.world.away = False
        for turn in range(5000):
            if not self.world.flights:
                return
            # In turns, or waiting becomes being held up.
            self._step(self.world.flights[turn % len(self.world.flights)])
        raise AssertionError("a renewal without an end")

    def _renews(self, process: Process, account: str) -> None:
        """It does if the newest refresh token is in the store, or in the memory of this very process."""
        record, server = self.world.records[account], self.world.servers[account]
        newest = Secret(server.current).fingerprint
        known = newest in (record.presents, process.memory.get(account, Record()).presents)
        flight = self.world.begin(process, account)
        assert flight is not None
        self.asked += 1
        outcome = None
        for _ in range(400):
            outcome = outcome or self._step(flight)
            if self.world.steps and isinstance(outcome, RenewalError) and outcome.code == "step_failed":
                # A token whose exchange got lost has ended; the next attempt begins with another one.
                self.world.now += 301.0
                flight = self.world.begin(process, account)
                assert flight is not None
                self.asked += 1
                outcome = None
        if self.world.machine or (server.lives and known and not record.dead):
            assert isinstance(outcome, Record), outcome
            held = process.held[account]
            assert usable(outcome.token, WINDOW, process.moment(self.world.now), held=held)
        elif isinstance(outcome, Exception):
            assert isinstance(outcome, NotAuthorizedError), outcome


# `make nightly` asks for 20,000 of them.
Renewals.TestCase.settings = settings(
    max_examples=max(400, settings().max_examples),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestRenewals = Renewals.TestCase
