"""django-oauth-toolkit with nothing but an endpoint in YAML: the core of it at a server of other habits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from byhand import get, post
from django_server import DjangoServer, toolkit_secret_of
from home import Done, Home
from living import WAYS, Life, live

from connector.source import Counts

RENEWALS = 3
ENDPOINT = """
grants: [authorization_code, client_credentials, device_code]
authorize: {url: "{o}/o/authorize/"}
token: {url: "{o}/o/token/", auth: client_secret_basic}
refresh: {rotates: always}
device: {url: "{o}/o/device-authorization/"}
revoke: {url: "{o}/o/revoke_token/"}
introspect: {url: "{o}/o/introspect/"}
api: {base_url: "{o}"}
test: {path: /api/whoami, label: /sub}
"""
ACCOUNTS: dict[str, dict[str, Any]] = {
    "code-confidential": {"client_id": "confidential"},
    "code-public": {"client_id": "public", "client_auth": "none"},
    "machine": {"client_id": "machine", "grant": "client_credentials"},
    "device": {"client_id": "device", "client_auth": "none", "grant": "device_code"},
}
PEOPLES = [name for name in ACCOUNTS if name != "machine"]


def account(server: DjangoServer, name: str) -> dict[str, Any]:
    endpoint = yaml.safe_load(ENDPOINT.replace("{o}", server.url))
    said = {"oauth2_endpoint": endpoint, "scopes": ["read"], **ACCOUNTS[name]}
    if "client_auth" not in said:
        said["client_secret"] = toolkit_secret_of(said["client_id"])
    return said


@dataclass(frozen=True)
class Lived:
    """All accounts, after they were used."""

    server: DjangoServer
    home: Home
    logins: dict[str, Done]
    lives: dict[str, Life]
    counts: dict[str, Counts]
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, own_key: None) -> Iterator[Lived]:
    """Log in to all of them, then let all live at the same time."""
    folder = tmp_path_factory.mktemp("toolkit-life")
    with DjangoServer(log=folder / "server.log", device_interval=1) as server:
        home = Home(folder, {name: account(server, name) for name in ACCOUNTS})

        def log_in(name: str) -> Done:
            return (home.login_on_device if name == "device" else home.login)(name)

        with ThreadPoolExecutor(len(ACCOUNTS)) as pool:
            logins = dict(zip(ACCOUNTS, pool.map(log_in, ACCOUNTS), strict=True))
        failed = [f"{name}: {done.err}" for name, done in logins.items() if done.code]
        assert not failed, "\n".join([*failed, server.said[-8000:]])
        before = server.stats()
        with home.open() as host:
            lives = live(host, ACCOUNTS, renewals=RENEWALS)
            counts = {name: host.counts(name) for name in ACCOUNTS}
        yield Lived(server, home, logins, lives, counts, before, server.stats())


@pytest.mark.parametrize("name", ACCOUNTS)
def test_lives(lived: Lived, name: str) -> None:
    """Begun by the command, an account answers all kinds of clients through three renewals and more."""
    life, counts = lived.lives[name], lived.counts[name]
    assert f"Account {name} is logged in" in lived.logins[name].err
    assert life.errors == []
    assert {status for _, status in life.answers} == {200}
    assert all(life.answers[way, 200] >= RENEWALS * 4 for way in WAYS), life.answers
    assert counts.renewals >= RENEWALS
    assert (counts.failed_requests, counts.failed_renewals) == (0, 0)
    assert life.said["client_id"] == ACCOUNTS[name]["client_id"]
    assert life.said["sub"] == ("ada" if name in PEOPLES else None)


@pytest.mark.parametrize("name", PEOPLES)
def test_rotates(lived: Lived, name: str) -> None:
    """Each renewal brings a new refresh token, and none is presented twice."""
    shown = [lived.server.shown(token) for token in lived.lives[name].refresh_tokens]
    assert len(shown) >= RENEWALS
    assert max(shown) == 1


def test_at_the_token_endpoint(lived: Lived) -> None:
    """Confidential clients prove themselves in the header, public ones not at all; nothing is refused."""
    calls = {name: counts.token_calls for name, counts in lived.counts.items()}
    before, after = lived.before["token"]["auth"], lived.after["token"]["auth"]
    assert after["header"] - before["header"] == calls["code-confidential"] + calls["machine"]
    assert after["none"] - before["none"] == calls["code-public"] + calls["device"]
    assert "post" not in after
    assert set(lived.after["token"]["errors"]) <= {"authorization_pending"}
    assert max(lived.after["refresh_tokens"].values()) == 1


@pytest.mark.parametrize("name", ["code-confidential", "code-public"])
def test_logout(lived: Lived, name: str) -> None:
    """`test` says who one is, `logout` ends it at the server, and only another login helps."""
    told = lived.home.call("test", name)
    assert (told.code, told.err.endswith("; logged in as ada.\n")) == (0, True)
    with lived.home.open() as host:
        token = host.token(name)
    access, refresh = token.access_token.reveal(), token.refresh_token
    assert refresh is not None
    assert lived.home.call("logout", name).err == f"Account {name} is revoked and forgotten.\n"
    assert get(f"{lived.server.url}/api/whoami", access).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": refresh.reveal()}
    client_id = ACCOUNTS[name]["client_id"]
    auth = client_id if client_id == "public" else (client_id, toolkit_secret_of(client_id))
    assert post(f"{lived.server.issuer}/token/", form, auth=auth).json()["error"] == "invalid_grant"
    assert lived.home.call("status", name).code == 4
    lived.home.quick_login(name)
    assert lived.home.call("status", name).code == 0


def test_introspection(lived: Lived) -> None:
    """What the server says of a token at hand."""
    told = lived.home.call("introspect", "machine")
    assert told.code == 0
    assert (told.json["active"], told.json["client_id"], told.json["scope"]) == (True, "machine", "read")
