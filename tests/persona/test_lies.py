"""A check that passes means something: each key of a file that lies about its provider is found out.

The persona is made from the file that tells the truth, the account from the one that lies.
"""

from __future__ import annotations

from typing import Any

import pytest
from persona_room import (
    ALL,
    ASSERTING,
    BOUND,
    CLIENT,
    DEVICE,
    GONE,
    JWT,
    KEY,
    LOGIN,
    META,
    METADATA,
    PASSED,
    RICH,
    changed,
)

from connector.registry import Registry
from connector.testing.checked import check_endpoints
from connector.testing.report import EndpointReport
from connector.testing.wires import Stage

# The honest file, a place in it, what the lying file says there, and a part of the key that is blamed.
LIES: list[tuple[dict[str, Any], str, Any, str]] = [
    (RICH, "authorize|url", "https://auth.example.com/elsewhere", "authorize"),
    (RICH, "authorize|params|audience", "other", "authorize/params/audience"),
    (RICH, "authorize|params", GONE, "authorize/params/audience"),
    (RICH, "authorize|rename|client_id", "client", "authorize"),
    (RICH, "authorize|rename|scope", "scope", "authorize/rename"),
    (RICH, "authorize|pkce", "plain", "authorize"),
    (RICH, "authorize|pkce", "none", "authorize"),
    (RICH, "authorize|pkce", "S256-hex", "authorize/pkce"),
    (RICH, "authorize|callback|code", "code", "token"),
    (RICH, "authorize|callback|state", "state", "token"),
    (RICH, "authorize|callback|capture|realm", "realm", "api"),
    (RICH, "token|url", "https://auth.example.com/token", "token"),
    (RICH, "token|method", "PUT", "token/method"),
    (RICH, "token|body", "json", "token/body"),
    (RICH, "token|body", "query", "token"),
    (RICH, "token|auth", "client_secret_basic", "token/auth"),
    (RICH, "token|auth", "none", "token"),
    (RICH, "token|rename|client_secret", "secret", "token/rename/client_secret"),
    (RICH, "token|params|device", "x{shop}", "token/params/device"),
    (RICH, "token|params", GONE, "token/params/device"),
    (RICH, "token|query|v", "3", "token/query"),
    (RICH, "token|headers|X-Version", "3", "token/headers/X-Version"),
    (RICH, "token|headers", GONE, "token/headers/X-Version"),
    (RICH, "token|grant_type", "code", "token/grant_type"),
    (RICH, "refresh|url", "https://auth.example.com/oauth/token", "token"),
    (RICH, "refresh|grant_type", GONE, "refresh/grant_type"),
    (RICH, "refresh|with", "access_token", "refresh"),
    (RICH, "refresh|with", "client", "refresh"),
    (RICH, "refresh|params", {"more": "1"}, "refresh/params/more"),
    (RICH, "scopes|separator", " ", "authorize"),
    (RICH, "scopes|default", ["a.read"], "authorize"),
    (RICH, "scopes|offline", GONE, "authorize"),
    (RICH, "scopes|on_token_request", True, "token"),
    (RICH, "scopes|encode", False, ""),
    (RICH, "response|access_token", "/token", "token"),
    (RICH, "response|refresh_token", "/refresh", "refresh"),
    (RICH, "response|capture|number", "/data/id", "api"),
    (RICH, "response|error", GONE, ""),
    (RICH, "response|error|at", "/fine", "errors"),
    (RICH, "exchange", GONE, "exchange"),
    (RICH, "exchange|url", "https://auth.example.com/oauth/short", "exchange"),
    (RICH, "exchange|params|short", "{refresh_token}", "exchange"),
    (RICH, "exchange|method", "POST", "exchange/method"),
    (RICH, "exchange|response|access_token", "/longer", "exchange"),
    (RICH, "exchange|response|expires_in", "/minutes", "response"),
    (RICH, "discover|0|url", "https://api.example.com/clouds", "discover"),
    (RICH, "discover|0|set|cloud_id", "/key", "api"),
    (RICH, "discover|0|pick|from", "/items", "discover"),
    (RICH, "discover|0|pick|where", {"/name": "https://{site}"}, "discover"),
    (RICH, "discover|0|authenticated", False, "api"),
    (RICH, "revoke|url", "https://auth.example.com/revoke", "revoke"),
    (RICH, "revoke|auth", "client_secret_post", "revoke/auth"),
    (RICH, "introspect|auth", "client_secret_basic", "token/auth"),
    (RICH, "api|base_url", "https://api.example.com/v1/{cloud_id}", "api"),
    (RICH, "api|token|in", "query", "api/token"),
    (RICH, "api|token|name", "X-Key", "api/token"),
    (RICH, "api|token|prefix", "Bearer ", "api/token"),
    (RICH, "api|headers", GONE, "api/headers/X-Shop"),
    (RICH, "api|headers|X-Shop", "x", "api/headers/X-Shop"),
    (RICH, "api|query|lang", "fr", "api/query/lang"),
    (RICH, "api|expired|body", {"/code": [1]}, "refresh"),
    (RICH, "api|expired", GONE, "refresh"),
    (RICH, "api|retry|0|after", ["X-Later"], "api"),
    (RICH, "api|retry|0|status", [500], "api"),
    (RICH, "api|retry|1|body", {"/busy": ["maybe"]}, "api"),
    (RICH, "api|retry|1|at", ["X-Then"], "api"),
    (RICH, "api|retry", {"status": [429, 403], "after": ["X-Wait"]}, "api"),
    (RICH, "test|path", "/users/me", "test"),
    (RICH, "test|label", "/name", "test"),
    (RICH, "test|expect", [201], "test"),
    (RICH, "test|method", "POST", "test/method"),
    (CLIENT, "token|auth", "client_secret_post", "token/auth"),
    (CLIENT, "token|auth", "private_key_jwt", "token/auth"),
    (CLIENT, "token|basic", "raw", "token/basic"),
    (CLIENT, "token|basic", {"username": "{client_id}", "password": "x"}, "token/basic"),
    (CLIENT, "response|expires_in", "/lasts", "response"),
    (CLIENT, "api|token|in", "cookie", "api/token"),
    (JWT, "jwt|claims|aud", "store", "api"),
    (JWT, "jwt|claims|sub", "me", "api"),
    (JWT, "jwt|header", {"typ": "at+jwt"}, "api"),
    (JWT, "jwt|alg", "RS256", "api"),
    (JWT, "jwt|lifetime", 900, "api"),
    (JWT, "jwt|backdate", 60, "api"),
    (JWT, "jwt|claims|aud", ["appstore"], "api"),
    (LOGIN, "token|params|pass", "{username}", "token/params/pass"),
    (LOGIN, "token|params|keep", "true", ""),
    (LOGIN, "token|params|keep", False, "token/params/keep"),
    (LOGIN, "token|body", "form", "token/body"),
    (LOGIN, "token|auth", "client_secret_post", "token/auth"),
    (LOGIN, "response|access_token", "cookie:X-Session", "token"),
    (LOGIN, "response|access_token", "/session", "token"),
    (LOGIN, "api|token|name", "session", "api/token"),
    (LOGIN, "api|token|in", "header", "api/token"),
    (KEY, "api|token|name", "X-Api-Key", "api/token"),
    (KEY, "api|token|prefix", "Bearer ", "api/token"),
    (PASSED, "api|basic|username", "{username}", "api/basic/username"),
    (PASSED, "api|basic", GONE, "api/basic"),
    (META, "authorize|pkce", "S256", "authorize"),
    (META, "authorize|fragment", "/signin?", "authorize/fragment"),
    (META, "authorize|fragment", GONE, "authorize/fragment"),
    (META, "authorize|drop_empty", True, "authorize"),
    (META, "token|method", "POST", "token"),
    (META, "refresh|with", "refresh_token", "refresh"),
    (META, "response|format", "json", "token"),
    (META, "api|token|in", "header", "api/token"),
    (META, "api|token|name", "token", "api/token"),
    (DEVICE, "device|url", "https://auth.example.com/codes", "token"),
    (DEVICE, "device|auth", "client_secret_basic", "token/auth"),
    (DEVICE, "token|auth", "client_secret_post", "token/auth"),
    (DEVICE, "api|token|prefix", "", "api/token"),
    (DEVICE, "api|token|in", "header", "api"),
    (METADATA, "par", GONE, "par"),
    (METADATA, "issuer", "https://id.example.com/other", "token"),
    (ASSERTING, "token|auth", "client_secret_jwt", "token/auth"),
    (ASSERTING, "token|auth", "client_secret_basic", "token/auth"),
    (ASSERTING, "jwt|claims|aud", "https://other.example.com/", "token"),
    (ASSERTING, "jwt|claims|scope", GONE, "token"),
    (ASSERTING, "api|basic|password", "y", "api/basic/password"),
    (BOUND, "dpop", False, "dpop"),
    (BOUND, "token|auth", "client_secret_post", "token/auth"),
]


def played(
    spec: dict[str, Any], stage: Stage, registry: Registry, persona: dict[str, Any] | None = None
) -> EndpointReport:
    return check_endpoints([spec], registry=registry, stage=stage, persona=persona)[0]


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec["endpoint"])
def test_the_truth_passes(spec: dict[str, Any], stage: Stage, registry: Registry) -> None:
    """Without a lie nothing is complained of, and every grant that the file names is played."""
    report = played(spec, stage, registry)
    assert [str(problem) for problem in report.problems] == []
    assert [grant.grant for grant in report.grants] == list(spec["grants"])


@pytest.mark.parametrize(
    ("spec", "place", "lie", "blamed"), LIES, ids=lambda v: str(v)[:40] if isinstance(v, str) else ""
)
def test_a_lie_is_found_out(
    spec: dict[str, Any], place: str, lie: Any, blamed: str, stage: Stage, registry: Registry
) -> None:
    """The failure names the key, or one that follows from it."""
    report = played(changed(spec, place, lie), stage, registry, persona=spec)
    assert report.flaws == []
    if not blamed:  # no difference on the wire: nothing can be found out
        assert report.problems == []
        return
    assert report.problems, "nobody noticed"
    told = [f"{problem.pointer} {problem.hint.replace('.', '/')}" for problem in report.problems]
    assert any(blamed in text for text in told), "\n".join(str(problem) for problem in report.problems)
