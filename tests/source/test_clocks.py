"""Wall clocks that are set, and that differ: what is waited for, and what a token costs, stays the same."""

from __future__ import annotations

import httpx
import pytest
from fleet import Fleet
from hypothesis import given, settings
from hypothesis import strategies as st

JUMPS = st.sampled_from([0.0, 0.0, 0.0, 3600.0, -3600.0])
STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([1.0, 40.0, 130.0]), JUMPS), max_size=60)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, skews=st.lists(st.sampled_from([0.0, 3600.0, -3600.0]), min_size=3, max_size=3))
def test_clocks_cost_no_request_and_few_calls(
    steps: list[tuple[int, float, float]], skews: list[float]
) -> None:
    """Three hosts, right or an hour off, and each is set now and then. No request fails, and the token endpoint
    is called once for each lifetime, once for each time that a clock is set, and once for each host that is off.
    """
    fleet = Fleet()
    hosts = [fleet.host(skew_s=skew_s) for skew_s in skews]
    fleet.login(hosts[0])
    began, jumps = fleet.server.now, 0
    for number, seconds, jump_s in steps:
        hosts[number].skew_s += jump_s
        jumps += bool(jump_s)
        assert hosts[number].request() == 200
        fleet.server.now += seconds
    # A lifetime ends for us when it is stale, and hosts that are off may each need one of their own.
    lifetimes = 1 + (fleet.server.now - began) / (0.8 * fleet.server.lifetime_s)
    off = len({round(host.skew_s) for host in hosts} | {round(skew_s) for skew_s in skews}) - 1
    assert len(fleet.server.calls) <= lifetimes * (1 + off) + jumps


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
@pytest.mark.parametrize("age_s", [0.0, 300.0, 479.0, 481.0, 594.0])
def test_a_wall_clock_that_is_set_changes_nothing_in_memory(kind: str, jump_s: float, age_s: float) -> None:
    """A token in memory is used to its end by the steady clock, renewed once then, and no request sees a 401."""
    fleet = Fleet()
    host = fleet.host()
    fleet.login(host)
    assert host.request(kind) == 200
    fleet.server.now += age_s
    host.skew_s += jump_s
    before = fleet.server.now
    for _ in range(60):
        assert host.request(kind) == 200
        fleet.server.now += 10
    assert fleet.server.refused == 0
    lifetimes = (fleet.server.now - before + age_s) / 480
    assert len(fleet.server.calls) <= lifetimes + 1


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_process_that_begins_after_a_jump_costs_one_renewal_at_most(jump_s: float) -> None:
    """It knows nothing but what the store says, by a clock that was another: however many begin."""
    fleet = Fleet()
    fleet.login(fleet.host())
    fleet.server.now += 100
    late = [fleet.host(skew_s=jump_s) for _ in range(10)]
    for _ in range(30):
        assert [host.request() for host in late] == [200] * 10
        fleet.server.now += 10
    assert len(fleet.server.calls) <= 1


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_during_the_call_costs_one_more(jump_s: float) -> None:
    """The reply comes by one clock, and is put into memory by another."""
    fleet = Fleet()
    host = fleet.host()
    fleet.login(host)
    fleet.server.now += 700
    issue = fleet.server.issue

    def meanwhile() -> httpx.Response:
        fleet.server.answer = None
        reply = issue()
        fleet.store.on_save = lambda: setattr(host, "skew_s", jump_s)
        return httpx.Response(200, json=reply)

    fleet.server.answer = meanwhile
    for _ in range(40):
        assert host.request() == 200
        fleet.server.now += 10
    assert len(fleet.server.calls) <= 2


@pytest.mark.parametrize("skew_s", [3600.0, -3600.0, 25.0, -25.0])
@pytest.mark.parametrize("asked_s", [1, 200])
def test_a_pause_is_as_long_for_a_host_whose_clock_is_off(skew_s: float, asked_s: int) -> None:
    """A pause is told by the store's clock: nobody waits an hour for a second, and nobody is too early."""
    fleet = Fleet()
    right, off = fleet.host(), fleet.host(skew_s=skew_s)
    fleet.login(right)
    fleet.server.now += 700
    fleet.server.answer = lambda: httpx.Response(429, headers={"retry-after": str(asked_s)})
    assert right.request() == "renewal_failed"
    fleet.server.answer = None
    failed_at = fleet.server.now
    while off.request() != 200:
        fleet.server.now += 0.25
        assert fleet.server.now < failed_at + 400, "it waits for ever"
    waited = fleet.server.calls[-1] - failed_at
    # Before the lease a host has only its own clock, and may believe it as far as the pause is long.
    assert asked_s - 0.01 <= waited <= asked_s + min(abs(skew_s), asked_s) + 0.5


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_pause_ends_though_all_clocks_are_set(jump_s: float) -> None:
    """Also where the store's own clock is set back or forth: it never gets longer, and others still wait."""
    fleet = Fleet()
    host, other = fleet.host(), fleet.host()
    fleet.login(host)
    fleet.server.now += 700
    fleet.server.answer = lambda: httpx.Response(429, headers={"retry-after": "60"})
    assert host.request() == "renewal_failed"
    host.skew_s = other.skew_s = fleet.store_skew_s = jump_s
    for _ in range(59):
        assert host.request() == "renewal_failed"  # it knows by its own steady clock
        fleet.server.now += 1
    assert len(fleet.server.calls) == 1
    assert other.request() == "renewal_failed"
    assert len(fleet.server.calls) == 2  # this one cannot know, and asks once
    fleet.server.answer = None
    fleet.server.now += 61
    assert other.request() == 200


def test_a_clock_set_back_during_a_renewal_lengthens_no_lease() -> None:
    """Held up past its lease, a process whose clock was set back meanwhile makes no call."""
    fleet = Fleet()
    slow, heir = fleet.host(), fleet.host()
    fleet.login(slow)
    fleet.server.now += 700
    journals = []

    def held_up() -> None:
        journals.append(slow.record.spending)
        slow.skew_s = -3600.0
        fleet.server.now += 46
        assert heir.request() == 200

    fleet.store.on_save = held_up
    assert slow.request() == 200
    assert journals[0] is not None
    assert len(fleet.server.calls) == 1, "the one whose lease had ended made a call as well"
