"""The server's clock, by the Date of its replies: where a moment is signed, and where it tells one."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fleet import Fleet, Host

from connector.grants import JwtBearer
from connector.reading import clock_of
from connector.secret import Secret

KEY = Secret(
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
AT = 1_800_000_000.0


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [
        (0, 0),
        (4, 0),
        (-4, 0),
        (6, 6),
        (-90, -90),
        (3600, 3600),
        (86_399, 86_399),
        (90_000, None),
        (-1e9, None),
    ],
)
def test_what_a_date_says(ahead_s: float, said: float | None) -> None:
    """A few seconds are the way of the answer, more than a day is absurd."""
    assert clock_of({"date": formatdate(AT + ahead_s, usegmt=True)}, AT) == said


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": "x" * 99}, {"date": "0"}])
def test_no_date_is_no_clock(headers: dict[str, str]) -> None:
    """Nothing that can be read says nothing."""
    assert clock_of(headers, AT) is None


def test_a_cache_tells_the_time_of_another_day() -> None:
    """An answer that has aged says when it was made."""
    assert clock_of({"date": formatdate(AT + 60, usegmt=True), "age": "60"}, AT) is None


@pytest.mark.parametrize("ahead_s", [-3000, -10, 0, 10, 3000, 200_000])
def test_an_absolute_end_is_told_by_the_servers_clock(ahead_s: float) -> None:
    """`expires_at` of a server whose clock is off is as far away as its clock says; an absurd one is none."""
    fleet = Fleet()
    fleet.server.told, fleet.server.ahead_s = "at", ahead_s
    host = fleet.host()
    fleet.login(host)
    fleet.server.now += 700
    assert host.request() == 200
    token = host.record.token
    assert token is not None
    if abs(ahead_s) < 86_400:
        assert token.lifetime_s == pytest.approx(600, abs=1)
    else:
        assert token.lifetime_s == pytest.approx(600 + ahead_s)


def signing(ahead_s: float, *, checks: bool = True, dates: bool = True) -> tuple[Fleet, Callable[..., Host]]:
    """A server that takes an assertion for a minute, by its own clock; and what makes hosts that sign one."""
    fleet = Fleet(
        spec={"grants": ["jwt_bearer"], "refresh": {"rotates": "never"}},
        grant=JwtBearer(),
        account={"grant": "jwt_bearer", "secrets": {"private_key": KEY}},
    )
    fleet.server.ahead_s = ahead_s
    issue = fleet.server.issue

    def answer() -> httpx.Response:
        claims = json.loads(urlsafe_b64decode(fleet.server.forms[-1]["assertion"].split(".")[1] + "=="))
        now = fleet.server.now + (ahead_s if checks else 0)
        headers = {} if dates else {"date": "never"}
        if not claims["iat"] - 30 <= now <= claims["iat"] + 300:
            return httpx.Response(400, json={"error": "invalid_grant"}, headers=headers)
        reply = issue()
        del reply["refresh_token"]
        return httpx.Response(200, json=reply, headers=headers)

    fleet.server.answer = answer

    def make(machine: str = "here", skew_s: float = 0.0) -> Host:
        host = fleet.host(machine=machine, skew_s=skew_s, secrets={"private_key": KEY})
        return host

    return fleet, make


@pytest.mark.parametrize("ahead_s", [3600, -3600, -60])
def test_an_assertion_is_signed_by_the_servers_clock(ahead_s: float) -> None:
    """Refused for its moment, it is signed again in the same breath; the next ones are right at once, those of
    another process on this machine as well. A machine whose clock is right needs no correction.
    """
    fleet, make = signing(ahead_s)
    host = make()
    assert host.request() == 200
    assert len(fleet.server.calls) == 2
    assert (host.record.server_clock, host.record.clock_of) == (ahead_s, "here")
    assert host.source.server_now() == fleet.server.now + ahead_s  # what DPoP proofs for the API say
    for later in (host, make(), make("elsewhere", ahead_s)):
        fleet.server.now += 700
        calls = len(fleet.server.calls)
        assert later.request() == 200
        assert len(fleet.server.calls) == calls + 1


def test_a_clock_that_was_mended_is_found_out() -> None:
    """What is in the record is no longer true: one more call, and it is forgotten."""
    fleet, make = signing(3600)
    host = make()
    assert host.request() == 200
    host.skew_s = 3600
    fleet.server.now += 700
    calls = len(fleet.server.calls)
    assert host.request() == 200
    assert len(fleet.server.calls) == calls + 2
    assert host.record.server_clock == 0


def test_a_date_that_is_wrong_does_no_harm() -> None:
    """A gateway's clock is nobody's business as long as the server takes what is signed."""
    fleet, make = signing(3600, checks=False)
    host = make()
    for _ in range(3):
        assert host.request() == 200
        fleet.server.now += 700
    assert len(fleet.server.calls) == 3
    assert host.record.server_clock == 0


@pytest.mark.parametrize(("ahead_s", "dates"), [(3600, False), (200_000, True)])
def test_without_a_date_that_can_be_true_a_refusal_is_one(ahead_s: float, dates: bool) -> None:
    """No second call: there is nothing to correct it by."""
    fleet, make = signing(ahead_s, dates=dates)
    assert make().request() == "refused"
    assert len(fleet.server.calls) == 1


def test_a_refusal_without_a_moment_in_it_is_one() -> None:
    """A wrong client secret is not made right by the time: no second call, whatever the Date."""
    fleet = Fleet()
    fleet.server.ahead_s = 3600
    host = fleet.host()
    fleet.login(host)
    fleet.server.now += 700
    fleet.server.answer = lambda: httpx.Response(401, json={"error": "invalid_client"})
    assert host.request() == "client_refused"
    assert len(fleet.server.calls) == 1
