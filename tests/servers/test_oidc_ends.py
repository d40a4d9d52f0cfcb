"""How logins end at oidc-provider, and begin again: reuse, logout, introspection, what status says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byhand import get, post
from home import Home
from oidc_server import OidcServer, secret_of

import connector
from connector import NotAuthorizedError, RenewalError


def account(oidc: OidcServer, client_id: str = "basic", **endpoint: Any) -> dict[str, Any]:
    return {
        "oauth2_endpoint": {
            "discovery": oidc.discovery,
            "grants": ["authorization_code"],
            "scopes": {"offline": ["offline_access"]},
            "api": {"base_url": oidc.url},
            **endpoint,
        },
        "client_id": client_id,
        "client_secret": secret_of(client_id),
        "scopes": ["openid", "profile"],
        "auth_endpoint_config": {"prompt": "consent"},
    }


@pytest.fixture
def home(tmp_path: Path, oidc: OidcServer) -> Home:
    """One account, `main`, that nobody has logged in to."""
    return Home(tmp_path, {"main": account(oidc)})


def refresh_token(token: connector.Token) -> str:
    assert token.refresh_token is not None
    return token.refresh_token.reveal()


def introspected(oidc: OidcServer, token: str) -> Any:
    form = {"token": token}
    return post(f"{oidc.url}/token/introspection", form, auth=("basic", secret_of("basic"))).json()


def state(home: Home) -> tuple[int, Any]:
    """The exit code of `connector status`, and the state it tells."""
    done = home.call("status", "main", "--json")
    return done.code, done.json["state"]


def test_a_stolen_refresh_token(home: Home, oidc: OidcServer) -> None:
    """Whoever renews with a token that was used before ends the login for both; a login brings it back."""
    stolen = home.quick_login("main")
    thief = {"grant_type": "refresh_token", "refresh_token": refresh_token(stolen)}
    basic = "basic", secret_of("basic")
    assert post(f"{oidc.url}/token", thief, auth=basic).status_code == 200
    with home.open() as host:
        with pytest.raises(NotAuthorizedError) as caught:
            host.renew("main")
        assert caught.value.code == "needs_authorization"
        assert "connector login main" in caught.value.resolution
        assert "invalid_grant" in caught.value.reason
        calls = host.counts("main").token_calls
        with pytest.raises(NotAuthorizedError), host.client("main") as http:
            http.get("/api/whoami")
        assert host.counts("main").token_calls == calls, "a dead login is not tried again"
    assert oidc.shown(refresh_token(stolen)) == 2
    done = home.call("refresh", "main")
    assert (done.code, done.out) == (4, "")
    assert "connector login main" in done.err
    assert state(home) == (4, "needs_authorization")
    with home.open() as host, host.client("main") as http:
        # In another process, while this one is open.
        assert home.login("main").code == 0
        assert http.get("/api/whoami").json()["sub"] == "ada"
    assert state(home) == (0, "ready")


def test_logout_revokes(home: Home, oidc: OidcServer) -> None:
    """`logout` revokes at the server and forgets; the second time there is nothing to revoke."""
    token = home.quick_login("main")
    assert introspected(oidc, refresh_token(token))["active"] is True
    done = home.call("logout", "main")
    assert (done.code, done.out, done.err) == (0, "", "Account main is revoked and forgotten.\n")
    assert introspected(oidc, refresh_token(token)) == {"active": False}
    assert get(f"{oidc.url}/api/whoami", token.access_token.reveal()).status_code == 401
    again = home.call("logout", "main")
    assert (again.code, again.err) == (0, "Account main was not logged in.\n")
    assert home.call("token", "main").code == 4
    assert home.call("test", "main").code == 4
    assert state(home) == (4, "needs_authorization")
    home.quick_login("main")
    assert state(home)[0] == 0


def test_logout_here_alone(home: Home, oidc: OidcServer) -> None:
    """`logout --local` forgets, and the server knows nothing of it."""
    token = home.quick_login("main")
    before = oidc.stats()["routes"].get("revocation", 0)
    done = home.call("logout", "main", "--local")
    assert (done.code, done.err) == (0, "Account main is forgotten.\n")
    assert oidc.stats()["routes"].get("revocation", 0) == before
    assert introspected(oidc, refresh_token(token))["active"] is True
    assert state(home) == (4, "needs_authorization")


def test_logout_that_cannot_revoke(home: Home, oidc: OidcServer) -> None:
    """Where the server refuses, or is not there, nothing is forgotten and it can be tried again."""
    home.quick_login("main")
    nowhere = {"revoke": {"url": "http://127.0.0.1:9/revoke"}}
    home.write({"main": account(oidc, **nowhere)}, "unreachable.yaml")
    wrong = account(oidc) | {"client_secret": "wrong"}
    home.write({"main": wrong}, "wrong.yaml")
    for manifest, words in (("unreachable.yaml", "could not be reached"), ("wrong.yaml", "Client Secret")):
        done = home.call("logout", "main", manifest=manifest)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("error: ")
        assert words in done.err
        with home.open() as host, host.client("main") as http:
            assert http.get("/api/whoami").status_code == 200
    assert home.call("logout", "main", "--local", manifest="wrong.yaml").code == 0


def test_introspection(home: Home, oidc: OidcServer) -> None:
    """`introspect` prints what the server says of the token at hand, renewed if need be."""
    home.quick_login("main")
    done = home.call("introspect", "main")
    assert (done.code, done.err) == (0, "")
    assert (done.json["active"], done.json["client_id"], done.json["sub"]) == (True, "basic", "ada")
    with home.open() as host:
        told = host.introspect("main")
        assert (told.active, told.subject, told.client_id) == (True, "ada", "basic")
        assert {"openid", "profile"} <= set(told.scopes or ())
        form = {"token": host.token("main").access_token.reveal()}
        revoked = post(f"{oidc.url}/token/revocation", form, auth=("basic", secret_of("basic")))
        assert revoked.status_code == 200
    none = home.call("introspect", "main")
    assert (none.code, none.json, none.err) == (1, {"active": False}, "")


def test_who_one_is(home: Home, oidc: OidcServer) -> None:
    """`test` makes a request and names the person, from user info or from what the endpoint declares."""
    home.write(
        {
            "main": account(oidc),
            "declared": account(oidc, test={"path": "/api/whoami", "label": "/sub"}),
            "broken": account(oidc, test={"path": "/nothing/here"}),
        }
    )
    for name in ("main", "declared", "broken"):
        home.quick_login(name)
    done = home.call("test", "main")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"Account main works: {oidc.url}/me answered 200; logged in as ada of the tests.\n"
    told = home.call("test", "declared", "--json")
    assert told.code == 0
    assert told.json["person"] == "ada"
    assert told.json["works"] is True
    broken = home.call("test", "broken")
    assert (broken.code, broken.out) == (1, "")
    assert broken.err == f"error: account broken does not work: {oidc.url}/nothing/here answered 404\n"


def test_status(home: Home, oidc: OidcServer) -> None:
    """Exit code 0: all are fine; 4: one needs a login; 1: one cannot be used. No server is asked."""
    home.quick_login("main")
    fine = home.call("status")
    assert (fine.code, fine.err) == (0, "")
    assert "renewed by itself  yes" in fine.out
    broken = account(oidc) | {"client_id": "${env:CONNECTOR_TESTS_NOT_SET}"}
    home.write({"main": account(oidc), "later": account(oidc), "unset": broken})
    before = oidc.stats()["routes"]
    assert home.call("status", "main").code == 0
    assert home.call("status", "main", "unset").code == 1
    assert home.call("status", "main", "later").code == 4
    assert home.call("status", "unset", "later").code == 4
    all_of_them = home.call("status", "--json")
    assert all_of_them.code == 4
    rows = {row["account"]: row for row in all_of_them.json}
    assert {name: row["state"] for name, row in rows.items()} == {
        "main": rows["main"]["state"],
        "later": "needs_authorization",
        "unset": "error",
    }
    assert rows["main"]["state"] in ("ready", "expiring", "expired")
    assert (rows["main"]["refreshable"], rows["main"]["renews"]) == (True, True)
    assert rows["unset"]["code"] == "secret_missing"
    assert home.call("status", "nobody").code == 2
    assert oidc.stats()["routes"] == before


def test_a_server_that_is_away(home: Home, oidc: OidcServer) -> None:
    """A login is not lost while its server is away: the error is one to try later, and the token goes on."""
    home.quick_login("main")
    away = account(oidc, refresh={"url": "http://127.0.0.1:9/token"})
    path = home.write({"main": away}, "away.yaml")
    with connector.open(path) as host:
        with pytest.raises(RenewalError, match="could not be reached") as caught:
            host.renew("main")
        assert (caught.value.code, caught.value.retry_after) == ("renewal_failed", 1.0)
        with host.client("main") as http:
            assert http.get("/api/whoami").status_code == 200
    row = home.call("status", "main", "--json").json
    assert (row["state"], row["failures"]) == ("ready", 1)
    assert "could not be reached" in row["last_refusal"]
    home.quick_login("main")
    assert home.call("refresh", "main").code == 0
