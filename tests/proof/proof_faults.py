"""Every accident between client and token endpoint, met by each way to get a token."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django_server import DjangoServer
from landing import Landing
from oidc_server import OidcServer
from people import plain_person
from proof_proxy import FAULTS, FaultProxy
from proof_world import (
    SECRETS,
    Place,
    oidc_account,
    quick_poster,
    record_of,
    sign_in,
    toolkit_account,
)

from connector.errors import ConnectorError
from connector.host import Host

WAYS = ("refresh", "refresh, with grace", "client_credentials", "code", "device")
# The server was asked, and what it answered cannot be read.
UNHEARD = ("drop after", "truncate", "too late", "502 after", "not HTTP", "web page", "huge", "slow drip")
TOKEN, LOGIN = "a token", "another login"
HOUR_S = 3600


@dataclass(kw_only=True)
class Case:
    """One accident in one way, and what came of it.

    Attributes:
        saw: what the caller was given: a token, or the code of an error.
        state: of the account right afterwards, when its old access token has ended.
        then: what the next try brought, without an accident.
        calls: token calls in all, as they came to the proxy.
        reached: those that came to the server.
        shown: the most that one refresh token was shown to it.
    """

    fault: str
    way: str
    saw: str = ""
    state: str = ""
    then: str = ""
    calls: int = 0
    reached: int = 0
    shown: int = 0

    def check(self) -> None:
        """What must be true, whatever the accident."""
        # One call for one wish; the wait for a device asks again by itself.
        assert self.calls <= (3 if self.way == "device" else 1 if self.saw == TOKEN else 2), self
        assert self.shown <= 2, self
        unheard = self.fault in UNHEARD
        if self.way == "device" and self.fault in ("too late", "slow drip"):
            # A server may hold the question of a device for a while, so its patience is longer.
            unheard = False
        if self.way == "refresh":
            # Shown again only because the answer was lost, and to a strict server that is the end.
            assert (self.shown == 2) == unheard, self
            assert self.then == ("needs_authorization" if unheard else TOKEN), self
        elif self.way == "refresh, with grace":
            assert (self.shown == 2) == unheard, self
            assert self.then == TOKEN, self
        else:
            # A code is worth one answer, and it takes a person to get another one.
            assert self.then == (LOGIN if unheard and self.way in ("code", "device") else TOKEN), self
            assert self.shown == 0, self
        if self.fault == "delay":
            assert self.saw == TOKEN, self

    def row(self) -> dict[str, Any]:
        """For the table."""
        return {
            "accident": self.fault,
            "the caller saw": self.saw,
            "state": self.state,
            "next try": self.then,
            "token calls": self.calls,
            "at the server": self.reached,
            "most showings of one": self.shown,
        }


def faults(folder: Path, ways: tuple[str, ...] = WAYS, names: tuple[str, ...] = tuple(FAULTS)) -> list[Case]:
    """Try them all: the accidents one after the other, the ways at once."""
    with ExitStack() as stack:
        strict = OidcServer(log=folder / "oidc.log", access_token_ttl=HOUR_S, device_interval=1)
        stack.enter_context(strict)
        lenient = DjangoServer(log=folder / "toolkit.log", access_token_ttl=HOUR_S, grace=HOUR_S)
        stack.enter_context(lenient)
        pool = stack.enter_context(ThreadPoolExecutor(len(ways)))
        running = []
        for number, way in enumerate(ways):
            own = folder / str(number)
            own.mkdir()
            server = lenient if way == "refresh, with grace" else strict
            running.append(pool.submit(_one_way, own, server, way, names))
        return [case for one in running for case in one.result()]


def _one_way(folder: Path, server: OidcServer | DjangoServer, way: str, names: tuple[str, ...]) -> list[Case]:
    cases = [Case(fault=name, way=way) for name in names]
    later = [0.0]

    def clock() -> float:
        return time.time() + later[0]

    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(server.port))
        accounts = {_name(case): _account(server, proxy, way) for case in cases}
        place = Place(folder=folder, accounts=accounts, environment=dict(SECRETS))
        host = stack.enter_context(place.open(poster=quick_poster(clock), clock=clock))
        vault = stack.enter_context(place.vault())
        landing = stack.enter_context(Landing())
        if way.startswith("refresh"):
            sign_in(host, accounts, person="ada" if _known_people_only(server) else "")
        keys = place.keys(host)
        for case in cases:
            name = _name(case)
            record = record_of(vault, keys[name])
            if record.token is not None:
                assert record.token.expires_at is not None
                # It has just ended.
                later[0] += max(0.0, record.token.expires_at - clock()) + 1.0
            attempt = _Attempt(host, landing, name)
            calls, asked = proxy.calls, proxy.asked
            proxy.plan = [case.fault]
            case.saw = attempt.outcome(way)
            case.state = host.status(name).state
            proxy.plan = []
            later[0] += 60.0  # past every pause, and within every grace
            case.then = case.saw if case.saw == TOKEN else attempt.outcome(way, again=True)
            case.calls, case.reached = proxy.calls - calls, proxy.asked - asked
            if record.token is not None and record.token.refresh_token is not None:
                case.shown = server.shown(record.token.refresh_token.reveal())
    return cases


def _known_people_only(server: OidcServer | DjangoServer) -> bool:
    """Whether only certain people may sign in there."""
    return isinstance(server, DjangoServer)


def _name(case: Case) -> str:
    return case.fault.replace(" ", "_").lower()


def _account(server: OidcServer | DjangoServer, proxy: FaultProxy, way: str) -> dict[str, Any]:
    if isinstance(server, DjangoServer):
        return toolkit_account(server, token_port=proxy.port, grace_s=HOUR_S)
    if way == "client_credentials":
        return oidc_account(server, token_port=proxy.port, grant=way, scopes=["read"])
    if way == "device":
        return oidc_account(
            server,
            token_port=proxy.port,
            grant="device_code",
            endpoint={"device": {"url": f"{server.url}/device/auth"}},
            client_id="device-conf",
            client_secret="${env:PROOF_SECRET_DEVICE}",
        )
    return oidc_account(server, token_port=proxy.port)


class _Attempt:
    """Gets a token in one way; a login is taken to its end once, and once more with what is at hand."""

    def __init__(self, host: Host, landing: Landing, name: str) -> None:
        self._host, self._landing, self._name = host, landing, name
        self._finish: Callable[[], Any] | None = None

    def outcome(self, way: str, *, again: bool = False) -> str:
        try:
            if way not in ("code", "device"):
                self._host.token(self._name)
            elif way == "code":
                self._code()
            else:
                self._device()
        except ConnectorError as error:
            spent = again and way in ("code", "device") and error.code in ("refused", "login_failed")
            return LOGIN if spent else error.code
        return TOKEN

    def _code(self) -> None:
        if self._finish is None:
            login = self._host.authorization(self._name, redirect_uri=self._landing.url)
            page = plain_person(login.url, self._name)
            self._finish = lambda: login.finish(str(page.url))
        self._finish()

    def _device(self) -> None:
        if self._finish is None:
            login = self._host.device(self._name)
            plain_person(login.verification_uri, self._name, user_code=login.user_code)
            # Time goes by its own clock here, so that asking again costs none.
            self._finish = lambda: login.wait(sleep=lambda seconds: None)
        self._finish()
