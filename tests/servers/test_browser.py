"""`connector login` with a person in a real browser: what they see at the end, and how a no ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django_server import DjangoServer, toolkit_secret_of
from home import Done, Home
from oidc_server import OidcServer, secret_of


def at_oidc(oidc: OidcServer) -> dict[str, Any]:
    return {
        "oauth2_endpoint": {"discovery": oidc.url, "api": {"base_url": oidc.url}},
        "client_id": "basic",
        "client_secret": secret_of("basic"),
        "scopes": ["openid", "offline_access"],
        "auth_endpoint_config": {"prompt": "consent"},
    }


def at_toolkit(toolkit: DjangoServer) -> dict[str, Any]:
    """Bare URLs, and a redirect URI that is compared to the letter, of localhost."""
    return {
        "oauth2_endpoint": f"{toolkit.issuer}/authorize/",
        "oauth2_token": f"{toolkit.issuer}/token/",
        "api": {"base_url": toolkit.url},
        "client_id": "exact",
        "client_secret": toolkit_secret_of("exact"),
        "redirect_uri": toolkit.exact_redirect,
        "scopes": ["read"],
    }


def in_chromium(home: Home, *options: str) -> tuple[Done, dict[str, Any]]:
    """A login, and what the browser saw last."""
    report = home.folder / "report.json"
    done = home.connector("login", "main", chromium=("--report", str(report), *options))
    return done, json.loads(report.read_text("utf-8"))


@pytest.mark.parametrize("server", ["oidc", "toolkit"])
def test_a_login(tmp_path: Path, request: pytest.FixtureRequest, server: str) -> None:
    """The last page is a friendly one; it loads nothing, runs nothing, and keeps its address to itself."""
    rig = request.getfixturevalue(server)
    home = Home(tmp_path, {"main": at_oidc(rig) if server == "oidc" else at_toolkit(rig)})
    done, page = in_chromium(home)
    assert (done.code, done.out) == (0, ""), done.err
    assert "Account main is logged in" in done.err
    assert page["title"] == "You are logged in to main"
    text = re.sub(r"\s+", " ", page["text"]).strip()
    assert text == "✓ You are logged in to main You can close this page."
    assert (page["loaded"], page["scripts"]) == ([], 0)
    assert page["refused"] == "img-src"
    # Its look came along: the mark is green, and all stands in the middle.
    assert page["colour"] == "rgb(34, 170, 119)"
    assert page["middle"] is True
    code = re.search(r"[?&]code=([^&]+)", page["url"])
    assert code is not None
    assert code[1] not in page["html"]
    assert code[1] not in done.err
    with home.open() as host, host.client("main") as http:
        assert http.get("/api/whoami").json()["sub"] == "ada"
        host.renew("main")
        assert http.get("/api/whoami").status_code == 200


def test_a_no(tmp_path: Path, oidc: OidcServer) -> None:
    """Whoever presses the other button reads so in the browser, and the command ends with one sentence."""
    home = Home(tmp_path, {"main": at_oidc(oidc)})
    done, page = in_chromium(home, "--deny")
    assert (done.code, done.out) == (1, "")
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(
        "error: the login of account 'main' was denied. the server said access_denied"
    )
    assert page["title"] == "Not logged in: the login of account 'main' was denied"
    assert "The terminal says more." in page["text"]
    assert (page["loaded"], page["scripts"], page["refused"]) == ([], 0, "img-src")
    assert home.connector("status", "main").code == 4
