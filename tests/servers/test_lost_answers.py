"""A renewal whose answer is lost: at servers with and without a grace, and with an old token that goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django_server import DjangoServer, toolkit_secret_of
from dropping import Dropping
from home import Home
from oidc_server import OidcServer, secret_of
from rig_process import RigProcess

from connector import NotAuthorizedError, RenewalError, Token
from connector.host import Host
from connector.opening import open_manifest
from connector.store import SqliteStore
from connector.vault import open_vault

LIFETIME_S = 60


def at_toolkit(server: DjangoServer, token: str, grace: float) -> dict[str, Any]:
    return {
        "oauth2_endpoint": {
            "authorize": {"url": f"{server.issuer}/authorize/"},
            "token": {"url": f"{token}/o/token/"},
            "refresh": {"rotates": "always", "grace": grace},
            "api": {"base_url": server.url},
        },
        "client_id": "confidential",
        "client_secret": toolkit_secret_of("confidential"),
        "scopes": ["read"],
    }


def at_oidc(server: OidcServer, token: str) -> dict[str, Any]:
    return {
        "oauth2_endpoint": {
            "authorize": {"url": f"{server.url}/auth", "params": {"prompt": "consent"}},
            "token": {"url": f"{token}/token", "auth": "client_secret_basic"},
            "api": {"base_url": server.url},
        },
        "client_id": "basic",
        "client_secret": secret_of("basic"),
        "scopes": ["openid", "offline_access"],
    }


def refresh_token(token: Token) -> str:
    assert token.refresh_token is not None
    return token.refresh_token.reveal()


@dataclass
class Doubt:
    """An account whose renewal just lost its answer.

    Attributes:
        first: the refresh token that the lost call presented.
        later_s: how much later it is for the client; the server's own time goes on as ever.
    """

    server: RigProcess
    host: Host
    first: str
    later_s: float = 0.0

    def get(self) -> int:
        with self.host.client("main") as http:
            return http.get("/api/whoami").status_code

    @property
    def shown(self) -> int:
        return self.server.shown(self.first)


@pytest.fixture
def doubt(tmp_path: Path) -> Iterator[Callable[..., Doubt]]:
    """Log in, renew, and lose the answer."""
    with ExitStack() as stack:

        def make(server: RigProcess, account: Callable[[str], dict[str, Any]]) -> Doubt:
            wire = stack.enter_context(Dropping(server.port))
            first = refresh_token(Home(tmp_path, {"main": account(wire.url)}).quick_login("main"))
            opening = open_manifest(tmp_path / "manifest.yaml")
            # Pauses are told by the store's clock, so it is set along with that of the host.
            moved = SqliteStore(tmp_path / "tokens.db", clock=lambda: time.time() + made.later_s)
            vault = open_vault(moved, opening.registry.stores, opening.manifest.folder)
            host = stack.enter_context(Host(opening, vault, clock=lambda: time.time() + made.later_s))
            made = Doubt(server, host, first)
            wire.lose = 1
            with pytest.raises(RenewalError) as caught:
                host.renew("main")
            assert (caught.value.code, caught.value.retry_after) == ("in_doubt", 1.0)
            assert (wire.lost, made.shown) == (1, 1)
            return made

        yield make


def test_within_the_grace(make_toolkit: Callable[..., DjangoServer], doubt: Callable[..., Doubt]) -> None:
    """Where the server still knows the token it replaced, one careful attempt settles it."""
    server = make_toolkit(access_token_ttl=LIFETIME_S, grace=30)
    doubted = doubt(server, lambda token: at_toolkit(server, token, 30))
    # This server ends the old access token with the renewal, so that its API is no help.
    with pytest.raises(RenewalError, match="next attempt may be made in 1 s"):
        doubted.get()
    assert doubted.shown == 1, "not before its pause is over"
    doubted.later_s = 2
    assert doubted.get() == 200
    assert doubted.shown == 2
    assert server.stats()["token"]["errors"] == {}
    successor = refresh_token(doubted.host.token("main"))
    assert successor != doubted.first
    assert refresh_token(doubted.host.renew("main")) != successor
    assert server.shown(successor) == 1
    assert doubted.get() == 200
    status = doubted.host.status("main")
    assert (status.state, status.failures) == ("ready", 0)


def test_without_a_grace(make_toolkit: Callable[..., DjangoServer], doubt: Callable[..., Doubt]) -> None:
    """Once the API refuses the old access token there is nothing to lose: one more try, and a clear error."""
    server = make_toolkit(access_token_ttl=LIFETIME_S)
    doubted = doubt(server, lambda token: at_toolkit(server, token, 0))
    with pytest.raises(RenewalError, match="next attempt may be made in 1 s"):
        doubted.get()
    doubted.later_s = 2
    with pytest.raises(NotAuthorizedError, match="an earlier attempt got no answer"):
        doubted.get()
    assert doubted.shown == 2
    assert doubted.host.status("main").state == "needs_authorization"


def test_an_old_token_that_goes_on(make_oidc: Callable[..., OidcServer], doubt: Callable[..., Doubt]) -> None:
    """Where the old access token still works it is used to its end, and the refresh token is left alone."""
    server = make_oidc(access_token_ttl=LIFETIME_S)
    doubted = doubt(server, lambda token: at_oidc(server, token))
    for later_s in (0, 2, LIFETIME_S * 0.9):  # before its pause, after it, and when it should be renewed
        doubted.later_s = later_s
        assert doubted.get() == 200
    assert doubted.host.status("main").state == "expiring"
    assert doubted.shown == 1
    doubted.later_s = LIFETIME_S + 1
    with pytest.raises(NotAuthorizedError, match="an earlier attempt got no answer"):
        doubted.get()
    assert doubted.shown == 2
    assert doubted.host.status("main").state == "needs_authorization"
