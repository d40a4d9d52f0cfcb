"""No loop calls a token endpoint more than its budget: hours under many callers, shared through the store."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import httpx
import pytest
from fleet import Fleet, Host

from connector.resting import Resting

HOUR_S = 3600
# Pauses of 1, 2, 4 ... 256 s, then of 300 s: what a server that never works costs in an hour, whoever asks.
BUDGET_AN_HOUR = 9 + 12

ANSWERS: dict[str, Callable[[], httpx.Response]] = {
    "500": lambda: httpx.Response(500),
    "nothing that OAuth knows": lambda: httpx.Response(200, text="<h1>Welcome</h1>"),
    "an empty object": lambda: httpx.Response(200, json={}),
    "temporarily_unavailable": lambda: httpx.Response(400, json={"error": "temporarily_unavailable"}),
    "404": lambda: httpx.Response(404),
}


def hammer(fleet: Fleet, hosts: list[Host], *, seconds: int, fresh_every: int = 10) -> set[int | str]:
    """A request of each host every two seconds; now and then one of them begins anew. What came of it."""
    seen: set[int | str] = set()
    for turn in range(seconds // 2):
        seen |= {host.request() for host in hosts}
        if turn % fresh_every == 0:
            hosts[turn // fresh_every % len(hosts)].start()
        fleet.server.now += 2
    return seen


def four(fleet: Fleet) -> list[Host]:
    """Four processes, one of them on a machine an hour ahead, one on a machine an hour behind."""
    hosts = [fleet.host(skew_s=skew_s) for skew_s in (0.0, 0.0, 3600.0, -3600.0)]
    fleet.login(hosts[0])
    fleet.server.now += 700
    return hosts


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_always_fails(answer: str) -> None:
    """All processes together keep to the pauses of the one account; clocks that are off change nothing."""
    fleet = Fleet()
    hosts = four(fleet)
    fleet.server.answer = ANSWERS[answer]
    assert 200 not in hammer(fleet, hosts, seconds=HOUR_S)
    # A host may begin a pause by its own clock where it has no other; see docs/renewal.md.
    assert len(fleet.server.calls) <= BUDGET_AN_HOUR


@pytest.mark.parametrize(
    "ends", [{"expires_in": 0}, {"expires_in": -1}, {"expires_in": 0.01}, {"expires_at": 1}]
)
@pytest.mark.parametrize("works", [True, False])
def test_a_server_that_hands_out_what_has_expired(ends: dict[str, float], works: bool) -> None:
    """A token that is dead by its own word is used until it is refused, and then the API's word counts."""
    fleet = Fleet()
    hosts = four(fleet)
    issue = fleet.server.issue
    fleet.server.told = ""
    fleet.server.lifetime_s = 1e9 if works else 0
    fleet.server.answer = lambda: httpx.Response(200, json={**issue(), **ends})
    seen = hammer(fleet, hosts, seconds=HOUR_S)
    assert seen == ({200} if works else {401})
    assert len(fleet.server.calls) <= (1 if works else BUDGET_AN_HOUR)


@pytest.mark.parametrize("told", ["in", ""])
def test_an_api_that_refuses_each_new_token(told: str) -> None:
    """Another token is no cure, and what one process has found out the others need not: 401 is their answer."""
    fleet = Fleet()
    hosts = four(fleet)
    fleet.server.told, fleet.server.accepts = told, False
    assert hammer(fleet, hosts, seconds=HOUR_S) == {401}
    # With an end that is told, some are renewed because it comes.
    ended = HOUR_S / 480 if told else 0
    assert len(fleet.server.calls) <= BUDGET_AN_HOUR + 2 * ended
    fleet.server.accepts = True
    fleet.server.now += 300
    hammer(fleet, hosts, seconds=60)
    assert hammer(fleet, hosts, seconds=60) == {200}
    assert hosts[0].record.strikes == 0


def test_a_refused_client_is_no_loop() -> None:
    """What only another manifest cures is asked for again after 5 s, 10 s ... 300 s by each process."""
    fleet = Fleet()
    hosts = [fleet.host() for _ in range(3)]
    fleet.login(hosts[0])
    fleet.server.now += 700
    fleet.server.answer = lambda: httpx.Response(401, json={"error": "invalid_client"})
    assert hammer(fleet, hosts, seconds=HOUR_S, fresh_every=10_000) == {"client_refused"}
    assert len(fleet.server.calls) <= 3 * (7 + 12)


def test_a_dead_login_is_no_loop() -> None:
    """A refusal is written down: one call, and nobody makes another."""
    fleet = Fleet()
    hosts = four(fleet)
    fleet.server.answer = lambda: httpx.Response(400, json={"error": "invalid_grant"})
    assert hammer(fleet, hosts, seconds=HOUR_S) == {"needs_authorization"}
    assert len(fleet.server.calls) == 1


def test_a_token_of_five_seconds_is_not_renewed_for_each_request() -> None:
    """Twenty requests a second: one renewal for each four seconds."""
    fleet = Fleet()
    fleet.server.lifetime_s = 5
    hosts = [fleet.host(), fleet.host()]
    fleet.login(hosts[0])
    for _ in range(600):
        assert [host.request() for host in hosts] == [200, 200]
        fleet.server.now += 0.1
    assert 60 / 5 <= len(fleet.server.calls) <= 60 / 4 + 1


def accounts(fleet: Fleet, count: int) -> list[Host]:
    """Accounts of one host, whose tokens have ended."""
    resting = Resting()
    hosts = [fleet.host(key=f"account{number}", resting=resting, base_s=0.0) for number in range(count)]
    for host in hosts:
        fleet.login(host)
    fleet.server.now += 700
    return hosts


def test_accounts_at_a_dead_server_find_out_together() -> None:
    """Twenty accounts make two calls, and after that one for each pause: 1, 2, 4 ... 60 s."""
    fleet = Fleet(spec={"refresh": {"rotates": "never"}})
    hosts = accounts(fleet, 20)
    fleet.server.answer = lambda: httpx.Response(502)
    seen = hammer(fleet, hosts, seconds=900, fresh_every=10_000)
    assert seen == {"renewal_failed", "endpoint_resting"}
    assert len(fleet.server.calls) <= 2 + 6 + 900 / 60


def test_accounts_come_back_together() -> None:
    """Once it works, one goes ahead and the others follow within seconds."""
    fleet = Fleet(spec={"refresh": {"rotates": "never"}})
    hosts = accounts(fleet, 10)
    fleet.server.answer = lambda: httpx.Response(502)
    hammer(fleet, hosts, seconds=20, fresh_every=10_000)
    fleet.server.answer = lambda: httpx.Response(200, json=fleet.server.issue())
    fleet.server.now += 60
    hammer(fleet, hosts, seconds=60, fresh_every=10_000)
    assert hammer(fleet, hosts, seconds=2, fresh_every=10_000) == {200}


def test_the_pause_that_a_server_asks_for_is_that_of_all_accounts() -> None:
    """A 503 with Retry-After is nobody's in particular: one account is told, and all wait as long as it says."""
    fleet = Fleet(spec={"refresh": {"rotates": "never"}})
    hosts = accounts(fleet, 20)
    fleet.server.answer = lambda: httpx.Response(503, headers={"retry-after": "120"})
    asked_at = fleet.server.now
    hammer(fleet, hosts, seconds=118, fresh_every=10_000)
    assert fleet.server.calls == [asked_at]
    hammer(fleet, hosts, seconds=20, fresh_every=10_000)
    assert len(fleet.server.calls) == 2


def test_one_account_that_fails_keeps_no_other_waiting() -> None:
    """A server may fail over one login alone: it takes a second one to say that it is the server."""
    fleet = Fleet(spec={"refresh": {"rotates": "never"}})
    sick, *well = accounts(fleet, 5)
    fleet.server.answer = lambda: httpx.Response(500)
    for _ in range(100):
        assert sick.request() == "renewal_failed"
        fleet.server.now += 10
    fleet.server.answer = None
    fleet.server.answer = lambda: httpx.Response(200, json=fleet.server.issue())
    assert [host.request() for host in well] == [200] * 4


DAY_S = 86_400


def test_a_fleet_spreads_its_renewals_of_a_day() -> None:
    """Two hundred hosts got tokens of a day in the same second: they renew over five minutes, and none late."""
    fleet = Fleet(spec={"refresh": {"rotates": "never"}})
    fleet.server.lifetime_s = DAY_S
    random, hosts = Random(1), []
    for number in range(200):
        hosts.append(fleet.host(key=f"host{number}", jitter=random.random()))
        fleet.login(hosts[-1])
    fleet.server.answer = lambda: httpx.Response(200, json=fleet.server.issue())
    began = fleet.server.now
    assert {host.request() for host in hosts} == {200}
    fleet.server.now = began + DAY_S - 1510
    while fleet.server.now < began + DAY_S - 1190:
        assert {host.request() for host in hosts} == {200}
        fleet.server.now += 10
    assert len(fleet.server.calls) == 200
    left = [began + DAY_S - at for at in fleet.server.calls]
    assert max(left) <= 1500
    assert min(left) >= 1190
    for minute in range(1200, 1500, 60):
        assert 25 <= sum(minute <= seconds < minute + 60 for seconds in left) <= 55, "a stampede"


def test_a_fleet_with_one_login_renews_once() -> None:
    """Fifty hosts on one store: the first to find the token old renews, and the others take what it got."""
    fleet = Fleet()
    fleet.server.lifetime_s = DAY_S
    random = Random(1)
    hosts = [fleet.host(jitter=random.random()) for _ in range(50)]
    fleet.login(hosts[0])
    for _ in range(3 * 24 + 1):
        assert {host.request() for host in hosts} == {200}
        fleet.server.now += HOUR_S
    assert len(fleet.server.calls) == 3
    assert fleet.server.refused == 0
