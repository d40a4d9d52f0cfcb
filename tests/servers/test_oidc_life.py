"""Every way to sign in to oidc-provider: begun with `connector login`, alive through five tokens and more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from home import Done, Home
from living import WAYS, Life, live
from oidc_server import OidcServer, secret_of

from connector.source import Counts

RENEWALS = 5
MACHINE = {"grant": "client_credentials", "scopes": ["read"], "auth_endpoint_config": None}
DEVICE = {"grant": "device_code", "auth_endpoint_config": None}
NO_SECRET = {"client_secret": None}


@dataclass(frozen=True)
class Kind:
    """One way to sign in.

    Attributes:
        client_id: whose habits are in oidc/clients.mjs.
        more: of the account, beside what all have; None takes away.
        endpoint: of its endpoint, beside what all have.
        proves: how the client proves itself at the token endpoint, as the server sees it.
    """

    client_id: str
    more: dict[str, Any]
    endpoint: dict[str, Any]
    proves: str


POST, SIGNED = {"client_auth": "client_secret_post"}, {"client_auth": "client_secret_jwt"}
KEY = NO_SECRET | {"client_auth": "private_key_jwt", "private_key": "${file:pkjwt.pem}", "key_id": "pkjwt"}
BOUND = {"dpop": True}
KINDS = {
    "machine-basic": Kind("basic", MACHINE, {}, "header"),
    "machine-post": Kind("post", MACHINE | POST, {}, "post"),
    "machine-dpop": Kind("dpop-conf", MACHINE, BOUND, "header"),
    "code-basic": Kind("basic", {}, {}, "header"),
    "code-post": Kind("post", POST, {}, "post"),
    "code-secret-jwt": Kind("jwt", SIGNED, {}, "assertion"),
    "code-key-jwt": Kind("pkjwt", KEY, {}, "assertion"),
    "public": Kind("public", NO_SECRET, {}, "none"),
    "exact-redirect": Kind("exact", {"redirect_uri": "EXACT"}, {}, "header"),
    "odd-client": Kind("odd:client", {}, {}, "header"),
    "device-public": Kind("device", DEVICE | NO_SECRET, {}, "none"),
    "device-confidential": Kind("device-conf", DEVICE, {}, "header"),
    "pushed": Kind("par", {}, {"par": {}}, "header"),
    "dpop-public": Kind("dpop", NO_SECRET, BOUND, "none"),
    "dpop-confidential": Kind("dpop-conf", {}, BOUND, "header"),
}
PEOPLES = [name for name, kind in KINDS.items() if kind.more.get("grant") != "client_credentials"]


def account(oidc: OidcServer, kind: Kind) -> dict[str, Any]:
    """As a person would write it: an inline endpoint that is found by discovery."""
    endpoint = {
        "discovery": oidc.discovery,
        "grants": [kind.more.get("grant", "authorization_code")],
        "scopes": {"offline": ["offline_access"]},
        "api": {"base_url": oidc.url},
        **kind.endpoint,
    }
    said = {
        "oauth2_endpoint": endpoint,
        "client_id": kind.client_id,
        "client_secret": secret_of(kind.client_id),
        "scopes": ["openid", "read"],
        "auth_endpoint_config": {"prompt": "consent"},
        **kind.more,
    }
    if said.get("redirect_uri"):
        said["redirect_uri"] = oidc.exact_redirect
    return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Lived:
    """All of it, and what the server saw before and after the clients were at work."""

    oidc: OidcServer
    logins: dict[str, Done]
    lives: dict[str, Life]
    counts: dict[str, Counts]
    before: dict[str, Any]
    after: dict[str, Any]

    def grown(self, *steps: str) -> dict[str, int]:
        """What was counted at the server meanwhile."""
        before, after = self.before, self.after
        for step in steps:
            before, after = before[step], after[step]
        return {name: number - before.get(name, 0) for name, number in after.items() if number}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, own_key: None) -> Iterator[Lived]:
    """Log in to all of them, then let all live at the same time."""
    folder = tmp_path_factory.mktemp("life")
    with OidcServer(log=folder / "server.log", dpop_nonce="required", device_interval=1) as oidc:
        (folder / "pkjwt.pem").write_bytes(oidc.key_pem)
        home = Home(folder, {name: account(oidc, kind) for name, kind in KINDS.items()})

        def log_in(name: str) -> Done:
            return (home.login_on_device if name.startswith("device") else home.login)(name)

        with ThreadPoolExecutor(4) as pool:
            logins = dict(zip(KINDS, pool.map(log_in, KINDS), strict=True))
        failed = [f"{name}: {done.err}" for name, done in logins.items() if done.code]
        assert not failed, "\n".join([*failed, oidc.said[-8000:]])
        before = oidc.stats()
        with home.open() as host:
            lives = live(host, KINDS, renewals=RENEWALS)
            counts = {name: host.counts(name) for name in KINDS}
        yield Lived(oidc, logins, lives, counts, before, oidc.stats())


@pytest.mark.parametrize("name", KINDS)
def test_begins(lived: Lived, name: str) -> None:
    """`connector login` says in words that it is done, and prints no data."""
    done = lived.logins[name]
    assert (done.code, done.out) == (0, "")
    assert f"Account {name} is logged in, with token " in done.err
    assert "warning" not in done.err


@pytest.mark.parametrize("name", KINDS)
def test_lives(lived: Lived, name: str) -> None:
    """Sync, asyncio and trio clients get 200 and nothing else, through five renewals and more."""
    life, counts = lived.lives[name], lived.counts[name]
    assert life.errors == []
    assert {status for _, status in life.answers} == {200}
    assert all(life.answers[way, 200] >= RENEWALS * 4 for way in WAYS), life.answers
    assert counts.renewals >= RENEWALS
    assert (counts.failed_requests, counts.failed_renewals) == (0, 0)
    who = "ada" if name in PEOPLES else None
    assert (life.said["sub"], life.said["client_id"]) == (who, KINDS[name].client_id)


@pytest.mark.parametrize("name", PEOPLES)
def test_rotates(lived: Lived, name: str) -> None:
    """Each renewal brings a new refresh token, and none is presented twice.

    But for the one that goes along while the server only asks for its nonce (RFC 9449 section 8).
    """
    shown = [lived.oidc.shown(token) for token in lived.lives[name].refresh_tokens]
    assert len(shown) >= RENEWALS
    assert shown[0] in ((1, 2) if KINDS[name].endpoint == BOUND else (1,))
    assert max(shown[1:]) == 1


def test_no_refresh_token_twice(lived: Lived) -> None:
    """Of all that the server was ever shown, twice are those alone that a nonce was asked for."""
    again = sum(times - 1 for times in lived.after["refresh_tokens"].values())
    assert again == sum(1 for name in PEOPLES if KINDS[name].endpoint == BOUND)


def test_proves_itself(lived: Lived) -> None:
    """Each client proves itself in its own way at each call; nothing else reaches the token endpoint."""
    expected: Counter[str] = Counter()
    for name, kind in KINDS.items():
        expected[kind.proves] += lived.counts[name].token_calls
    assert Counter(lived.grown("token", "auth")) == expected


def test_nothing_is_refused(lived: Lived) -> None:
    """The only refusals are those that ask for a nonce, once for each account that binds its tokens."""
    bound = [name for name, kind in KINDS.items() if kind.endpoint == BOUND]
    grown = {error: number for error, number in lived.grown("token", "errors").items() if number}
    assert grown == {"use_dpop_nonce": len(bound)}
    # The clients of an account share the API's nonce; those that begin at the same moment each ask for it. Tokens that
    # ended on their way, on a machine that does much else, are refused as well.
    ended = sum(counts.rejections for counts in lived.counts.values())
    assert len(bound) <= lived.grown("api")["unauthorized"] - ended <= len(bound) * len(WAYS)


def test_bound(lived: Lived) -> None:
    """Tokens of the accounts with DPoP are bound to a key; the API takes them with a proof only."""
    kinds = {name: lived.lives[name].said["token_type"] for name in KINDS}
    assert {name for name, kind in kinds.items() if kind == "DPoP"} == {
        name for name, kind in KINDS.items() if kind.endpoint == BOUND
    }


def test_pushed_and_discovered(lived: Lived) -> None:
    """One request was pushed before the browser went; metadata is asked for once per process."""
    routes = lived.after["routes"]
    assert routes["pushed_authorization_request"] == 1
    assert lived.grown("routes")["discovery"] == 1
    assert lived.before["routes"]["discovery"] == len(KINDS)
