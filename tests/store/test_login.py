"""The login of an account: adopting, its state by an injected clock, and what a person can always mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.account import Account
from connector.endpoint import endpoint_from_spec
from connector.errors import ConnectorError, NotAuthorizedError, StoreError
from connector.grants import RefreshToken
from connector.keys import encode
from connector.login import Login
from connector.post import Poster
from connector.secret import Hidden, Secret
from connector.store import MemoryStore, SqliteStore
from connector.tokenstore import TokenStore, VersionConflict
from connector.vault import Vault

ENDPOINT = endpoint_from_spec(
    {
        "endpoint": "example",
        "token": {"url": "https://login.example.com/token", "auth": "client_secret_post"},
        "grants": ["authorization_code"],
        "api": {"base_url": "https://api.example.com"},
    }
)
REPLY = {"access_token": "first", "refresh_token": "refresh-1", "expires_in": 1000}
Make = Callable[..., Login]


@pytest.fixture
def make(tmp_path: Path, clock: Any) -> Make:
    """Makes a login over a store; `serve` answers its token calls, `begin` is what the sandbox gives."""

    def build(
        store: TokenStore | None = None,
        *,
        serve: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(500),
        begin: Callable[[], Mapping[str, Any] | None] | None = None,
    ) -> Login:
        account = Account(
            name="acme",
            client_id="id",
            client_secret=Secret("very-secret"),
            endpoint=ENDPOINT,
            grant="authorization_code",
        )
        return Login(
            account,
            RefreshToken(name="authorization_code"),
            Vault(store or SqliteStore(tmp_path / "t.db", clock=clock), url="u", environ={}, keyring=None),
            key="acme#1",
            reveal=lambda: Secret("very-secret"),
            poster=Poster(lambda url: httpx.MockTransport(serve), clock=clock),
            identity="test",
            clock=clock,
            begin=begin,
        )

    return build


def test_a_life(make: Make, clock: Any) -> None:
    """Needs authorization, ready, expiring, expired, in doubt, ready again: each at its moment."""
    answers: list[httpx.Response | Exception] = []

    def serve(request: httpx.Request) -> httpx.Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    login = make(serve=serve)
    assert login.status().state == "needs_authorization"
    login.adopt(Hidden(REPLY))
    assert login.status().state == "ready"
    assert login.status().refreshable
    clock.now += 900
    assert login.status().state == "expiring"
    clock.now += 200
    assert login.status().state == "expired"
    answers.append(httpx.ReadError("gone"))
    with pytest.raises(ConnectorError):
        login.renew()
    found = login.status()
    assert (found.state, found.failures, found.holder) == ("in_doubt", 1, "")
    clock.now += 600
    answers.append(httpx.Response(200, json={**REPLY, "access_token": "second", "token_type": "Bearer"}))
    assert login.renew().access_token.reveal() == "second"
    found = login.status()
    assert (found.state, found.failures, found.renewals) == ("ready", 0, 1)


def test_looking_at_a_login_leaves_nothing(make: Make, tmp_path: Path) -> None:
    """`connector accounts` on a fresh machine makes neither a store nor a key."""
    assert make().status().state == "needs_authorization"
    assert list(tmp_path.iterdir()) == []


def test_renewing_what_nobody_authorized(make: Make) -> None:
    """It says how to authorize, and asks no server."""
    with pytest.raises(NotAuthorizedError) as caught:
        make().renew()
    assert caught.value.code == "needs_authorization"
    assert "acme" in caught.value.resolution


@pytest.mark.parametrize(
    "reply", [{}, {"access_token": 3}, {"error": "invalid_grant"}, {"refresh_token": ""}]
)
def test_a_bad_reply_changes_nothing(make: Make, reply: dict[str, Any]) -> None:
    """The login there was stays."""
    login = make()
    login.adopt(Hidden(REPLY))
    with pytest.raises(ConnectorError) as caught:
        login.adopt(Hidden(reply))
    assert caught.value.code == "bad_token_reply"
    assert login.source.token().access_token.reveal() == "first"


def test_adopting_replaces_what_memory_holds(make: Make) -> None:
    """The next request already goes out with the login that a person just brought."""
    login = make()
    login.adopt(Hidden(REPLY))
    assert login.source.token().access_token.reveal() == "first"
    login.adopt(Hidden({**REPLY, "access_token": "brought"}))
    assert login.source.token().access_token.reveal() == "brought"


@pytest.mark.parametrize("damage", ["bytes", "key"])
def test_adopting_mends_a_record_that_nobody_can_open(make: Make, tmp_path: Path, damage: str) -> None:
    """What every message about a lost key or a damaged record advises does work."""
    store = SqliteStore(tmp_path / "t.db")
    make(store).adopt(Hidden(REPLY))
    if damage == "bytes":
        store.save("acme#1", b"junk", version=2)
    else:
        other = Vault(MemoryStore(), url="u").sealer
        key = tmp_path / "t.db.key"
        key.write_text(encode(other.keys))
    login = make(store)
    with pytest.raises(StoreError) as caught:
        login.status()
    assert caught.value.code == {"bytes": "corrupt_record", "key": "wrong_key"}[damage]
    login.adopt(Hidden(REPLY))
    assert login.status().state == "ready"


class Busy(MemoryStore):
    """A store in which somebody else saves in the very moment, a number of times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def save(self, account: str, sealed: bytes, *, version: int) -> None:
        if self.times:
            self.times -= 1
            raise VersionConflict("somebody saved first")
        super().save(account, sealed, version=version)


def test_adopting_insists_but_not_for_ever(make: Make) -> None:
    """A person's word counts over a renewal at the same moment; a store that always refuses is told of."""
    login = make(Busy(10))
    assert login.adopt(Hidden(REPLY)).access_token.reveal() == "first"
    assert login.status().state == "ready"
    with pytest.raises(VersionConflict):
        make(Busy(10**9)).adopt(Hidden(REPLY))


def test_a_beginning_without_a_person(make: Make, tmp_path: Path) -> None:
    """The sandbox's login begins by itself, once, and is not asked for again while it lives."""
    asked: list[int] = []

    def begin() -> Mapping[str, Any]:
        asked.append(1)
        return REPLY

    store = SqliteStore(tmp_path / "t.db")
    assert make(store, begin=begin).source.token().access_token.reveal() == "first"
    assert make(store, begin=begin).status().state == "ready"
    assert asked == [1]
    assert make(MemoryStore(), begin=lambda: None).status().state == "needs_authorization"
