"""How long tokens live where the server does not say: learnt from refusals, tried again, and never trusted too far."""

from __future__ import annotations

import httpx
from fleet import Fleet, Host

# The first two 401s teach it.
TO_LEARN = 2


def silent(lifetime_s: float = 600.0) -> tuple[Fleet, Host]:
    """A fleet whose server says nothing of ends, with a login."""
    fleet = Fleet()
    fleet.server.told, fleet.server.lifetime_s = "", lifetime_s
    host = fleet.host()
    fleet.login(host)
    return fleet, host


def use(fleet: Fleet, *hosts: Host, seconds: float, every_s: float = 10.0) -> None:
    """Requests, all of them good."""
    for _ in range(int(seconds / every_s)):
        assert [host.request() for host in hosts] == [200] * len(hosts)
        fleet.server.now += every_s


def revoke(fleet: Fleet, host: Host) -> None:
    """All access tokens end now, the login does not."""
    fleet.server.ends.clear()
    assert host.request() == 200


def test_tokens_are_renewed_early_by_what_earlier_ones_have_lived() -> None:
    """Two refusals teach it; from then on an eighth of the tokens sees a 401, on purpose, and no other."""
    fleet, host = silent()
    use(fleet, host, seconds=40 * 600)
    calls = len(fleet.server.calls)
    assert host.record.lifetimes[0] == 600
    assert fleet.server.refused <= TO_LEARN + calls / 8 + 1
    assert calls <= 40 / 0.8 + TO_LEARN


def test_a_token_that_is_old_by_what_was_learnt_is_still_handed_out() -> None:
    """A lesson begins a renewal in the background, and is no reason to wait or to fail."""
    fleet, host = silent()
    use(fleet, host, seconds=3 * 600)
    token = host.record.token
    assert token is not None
    assert token.learnt_s == 600
    fleet.server.answer = lambda: httpx.Response(503)
    fleet.server.now = token.obtained_at + 500
    calls = len(fleet.server.calls)
    assert host.request() == 200
    assert len(fleet.server.calls) == calls + 1
    assert host.request() == 200
    assert len(fleet.server.calls) == calls + 1


def test_another_process_knows_what_one_has_learnt() -> None:
    """It is in the record: a process that begins has no refusal to make first."""
    fleet, host = silent()
    use(fleet, host, seconds=2.1 * 600)
    refused = fleet.server.refused
    late = fleet.host()
    use(fleet, late, seconds=3 * 600)
    assert fleet.server.refused == refused


def test_one_refusal_counts_once_however_many_see_it() -> None:
    """The process that renewed tells it; eight that saw the same 401 are no eight lessons."""
    fleet, host = silent()
    hosts = [host, *(fleet.host() for _ in range(7))]
    use(fleet, *hosts, seconds=610)
    assert host.record.lifetimes == (600.0,)
    assert len(fleet.server.calls) == 1


def test_one_revocation_teaches_nothing() -> None:
    """It takes two to agree, and the second shortest counts."""
    fleet, host = silent(3600)
    use(fleet, host, seconds=20)
    revoke(fleet, host)
    assert host.record.lifetimes == (20.0,)
    use(fleet, host, seconds=3 * 3600, every_s=60)
    assert sorted(host.record.lifetimes)[-1] == 3600
    assert len(fleet.server.calls) <= 1 + 4


def test_revocations_that_taught_a_short_life_are_forgotten() -> None:
    """A wrong lesson costs at most seven renewals: the eighth token is used to its end, and disproves it."""
    fleet, host = silent(3600)
    for _ in range(2):
        use(fleet, host, seconds=20)
        revoke(fleet, host)
    assert host.record.lifetimes == (20, 20)
    calls = len(fleet.server.calls)
    use(fleet, host, seconds=3500)
    assert len(fleet.server.calls) <= calls + 8
    use(fleet, host, seconds=5 * 3600, every_s=60)
    assert min(host.record.lifetimes) > 3000
    assert len(fleet.server.calls) <= calls + 8 + 8


def test_what_never_worked_teaches_nothing() -> None:
    """An API that refuses everything has nothing to say about lifetimes."""
    fleet, host = silent()
    fleet.server.accepts = False
    for _ in range(100):
        assert host.request() == 401
        fleet.server.now += 20
    fleet.server.accepts = True
    use(fleet, host, seconds=100)
    assert host.record.lifetimes == ()


def test_short_lives_are_learnt_too() -> None:
    """Of five seconds: no request fails, and there is one renewal for each four seconds."""
    fleet, host = silent(5)
    use(fleet, host, seconds=120, every_s=0.25)
    assert host.record.lifetimes[0] == 5
    assert len(fleet.server.calls) <= 120 / 4 + 1
    assert fleet.server.refused <= TO_LEARN + len(fleet.server.calls) / 8 + 1


def test_what_the_endpoint_declares_comes_first() -> None:
    """With `response: {lifetime: ...}` there is an end, and nothing is learnt."""
    fleet = Fleet(spec={"response": {"lifetime": 300}})
    host = fleet.host()
    fleet.login(host)
    fleet.server.told = ""
    use(fleet, host, seconds=2000)
    assert fleet.server.refused == 0
    assert host.record.lifetimes == ()
    assert host.record.token is not None
    assert host.record.token.lifetime_s == 300
