"""The contract finds leases that end early, tell a wrong clock, or are given to whoever has a similar name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from wrong_stores import failure

from connector.store import MemoryStore
from connector.testing.leases import LeaseContract
from connector.tokenstore import Lease, TokenStore

LASTS, TELLS = "test_a_lease_lasts_to_its_end", "test_a_lease_tells_the_clock_of_the_store"
APART, KEPT = "test_holders_are_told_apart", "test_nobody_is_kept_waiting"


class MovedClock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class EndsEarly(MemoryStore):
    """Gives a lease to another before the end that it told."""

    def __init__(self, lasts_s: Callable[[float], float], clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self._lasts_s, self._ends = lasts_s, dict[str, float]()

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        lease = super().acquire(account, holder, ttl_s=self._lasts_s(ttl_s))
        if lease.holder == holder:
            self._ends[account] = self._clock() + ttl_s
        return replace(lease, expires_at=self._ends[account])

    def holder(self, account: str) -> Lease | None:
        lease = super().holder(account)
        return lease and replace(lease, expires_at=self._ends[account])


class OnlyTold(EndsEarly):
    """Tells of a lease to its end, and gives it to another before."""

    def holder(self, account: str) -> Lease | None:
        found = self._leases.get(account)
        return found and Lease(account=account, holder=found[0], expires_at=self._ends[account])


class NotExtended(MemoryStore):
    """Tells the holder of a new end, and keeps the old one."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        before = self._leases.get(account)
        lease = super().acquire(account, holder, ttl_s=ttl_s)
        if before and before[0] == holder and before[1] > self._steady():
            self._leases[account] = before
        return lease


class Shortened(MemoryStore):
    """Asking in vain ends the lease when the one who asks would have had it end."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        lease = super().acquire(account, holder, ttl_s=ttl_s)
        self._leases[account] = (lease.holder, min(self._leases[account][1], self._steady() + ttl_s))
        return lease


class Adds(MemoryStore):
    """An extended lease gets longer by what was asked for."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        found = self._leases.get(account)
        left_s = found[1] - self._steady() if found and found[0] == holder else 0.0
        return super().acquire(account, holder, ttl_s=ttl_s + max(0.0, left_s))


class Longest(MemoryStore):
    """An extended lease never gets shorter."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        found = self._leases.get(account)
        left_s = found[1] - self._steady() if found and found[0] == holder else 0.0
        return super().acquire(account, holder, ttl_s=max(ttl_s, left_s))


class Once(MemoryStore):
    """A lease that is extended for as long as before keeps its end."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        found = self._leases.get(account)
        left_s = found[1] - self._steady() if found and found[0] == holder else 0.0
        return super().acquire(account, holder, ttl_s=left_s if 0 < ttl_s - left_s < 1 else ttl_s)


class Rounds(MemoryStore):
    """Tells ends in tens of seconds."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        lease = super().acquire(account, holder, ttl_s=ttl_s)
        return replace(lease, expires_at=lease.expires_at + ttl_s % 40 / 4)


class Blurs(MemoryStore):
    """Compares holders by less than all they are; tells the whole name of who asked first."""

    def __init__(self, blur: Callable[[str, str], bool]) -> None:
        super().__init__()
        self._blur = blur

    def _as(self, account: str, holder: str) -> str:
        found = self._leases.get(account)
        return found[0] if found and self._blur(found[0], holder) else holder

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        mine = self._as(account, holder)
        lease = super().acquire(account, mine, ttl_s=ttl_s)
        return replace(lease, holder=holder) if lease.holder == mine else lease

    def release(self, account: str, holder: str) -> None:
        super().release(account, self._as(account, holder))


class BlindRelease(Blurs):
    """Looks closely when it gives a lease, not when it takes one back."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        return MemoryStore.acquire(self, account, holder, ttl_s=ttl_s)


class Patient(MemoryStore):
    """Waits a while for a lease that another has."""

    def acquire(self, account: str, holder: str, *, ttl_s: float) -> Lease:
        found = self._leases.get(account)
        if found and found[0] != holder:
            time.sleep(0.5)
        return super().acquire(account, holder, ttl_s=ttl_s)


@pytest.mark.parametrize(
    ("lasts_s", "words"),
    [
        (lambda ttl_s: min(ttl_s, 1.0), "a lease of 45 s had ended after"),
        (lambda ttl_s: 0.2 * ttl_s, "a lease of 1 s had ended after"),
    ],
    ids=["after a second", "after a fifth of its time"],
)
def test_it_finds_leases_that_end_early(lasts_s: Callable[[float], float], words: str) -> None:
    """Whatever they tell of their end, another gets them before, and the failure says which and when."""
    assert failure(LASTS, EndsEarly(lasts_s)).startswith(words)


@pytest.mark.parametrize(
    ("kind", "words"), [(NotExtended, "a lease of 3 s had ended"), (Shortened, "a lease of 45 s had ended")]
)
def test_it_finds_leases_whose_end_moved(kind: Callable[[], TokenStore], words: str) -> None:
    """An extended one that ends as if it were not, and one that others end by asking."""
    assert failure(LASTS, kind()).startswith(words)


def test_it_finds_leases_that_only_look_held() -> None:
    """Whoever asks who has it is told so, and whoever asks for it gets it."""
    said = failure(LASTS, OnlyTold(lambda ttl_s: min(ttl_s, 1.0)))
    assert "of 45 s 'you' had the lease" in said


def test_a_longer_watch_finds_leases_that_end_later() -> None:
    """After twenty seconds of 45: too late for the watch of a few seconds, and on a clock of its own no cost."""
    clock = MovedClock()
    store = EndsEarly(lambda ttl_s: min(ttl_s, 20.0), clock)
    said = failure(LASTS, store, pass_time=clock.pass_time, watched_s=50.0)
    assert said.startswith("a lease of 100 s had ended after 2")


class TestOnAClockOfItsOwn(LeaseContract):
    """Leases of a store whose clock is moved: watched to the end of a token call's, in no time."""

    watched_s = 50.0
    clock = MovedClock()

    def pass_time(self, seconds: float) -> None:
        self.clock.pass_time(seconds)

    @pytest.fixture
    def make_store(self) -> Callable[[], TokenStore]:
        """One object for all who open it."""
        store = MemoryStore(clock=self.clock)
        return lambda: store


@pytest.mark.parametrize("kind", [Adds, Longest, Once, Rounds])
def test_it_finds_leases_that_tell_a_wrong_clock(kind: Callable[[], TokenStore]) -> None:
    """The end without the time asked for is now, else the age of a token is told by a clock that nobody has."""
    said = failure(TELLS, kind())
    assert "begin anew" in said if kind is Once else "one moment" in said


@pytest.mark.parametrize(
    ("blur", "words"),
    [
        (lambda one, two: one[:16] == two[:16], "passed for"),
        (lambda one, two: one[:32] == two[:32], "passed for"),
        (lambda one, two: one[:255] == two[:255], "passed for"),
        (lambda one, two: one.lower() == two.lower(), "host/1a2b/AB"),
        (lambda one, two: two.startswith(one), "host/1a2b/77"),
        (lambda one, two: one.startswith(two), "host/1a2b/7"),
        (lambda one, two: one.strip() == two.strip(), "host/1a2b "),
    ],
    ids=["16", "32", "255", "case", "begins", "beginning", "spaces"],
)
@pytest.mark.parametrize("kind", [Blurs, BlindRelease])
def test_it_finds_holders_that_pass_for_each_other(
    kind: Callable[..., TokenStore], blur: Callable[[str, str], bool], words: str
) -> None:
    """When the lease is asked for, and when it is given back."""
    said = failure(APART, kind(blur))
    if kind is BlindRelease:
        words = words.replace("passed for", "released what")
    assert words in said


def test_it_finds_a_call_that_waits_for_the_lease() -> None:
    """It names the call, and how long it took."""
    assert failure(KEPT, Patient()).startswith("acquire in vain took")
