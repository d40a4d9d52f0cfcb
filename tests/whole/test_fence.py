"""The fence, on real sockets: what another host is sent, and token endpoints that misbehave."""

from __future__ import annotations

import time
from typing import Any

import anyio
import httpx
import pytest
from whole_world import World, alive

from connector import ConnectorError, ForeignHostError, NotAuthorizedError, RenewalError
from connector.host import Host


def send(host: Host, kind: str, method: str, url: str, **options: Any) -> httpx.Response:
    """One request of a client that follows redirects, in one of the three ways."""
    if kind == "sync":
        with host.client("main", follow_redirects=True) as http:
            return http.request(method, url, **options)

    async def ask() -> httpx.Response:
        async with host.async_client("main", follow_redirects=True) as http:
            return await http.request(method, url, **options)

    return anyio.run(ask, backend=kind)


def assert_nothing_leaked(world: World, reply: dict[str, Any]) -> None:
    secrets = [reply["access_token"], reply["refresh_token"], "sandbox-secret"]
    for seen in world.sandbox.foreign_requests:
        assert "authorization" not in seen.headers
        assert "cookie" not in seen.headers
        text = " ".join([seen.path, *map(str, seen.headers.items()), seen.body.decode("utf-8", "replace")])
        assert [secret for secret in secrets if secret in text] == []


KINDS = pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])


@KINDS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_elsewhere_takes_nothing_along(world: World, kind: str, status: int, method: str) -> None:
    """Followed redirects reach the other host without token, secret or cookie, body or not."""
    host = world.open({"main": world.account()})
    reply = world.login(expired=False)
    host.adopt("main", reply)
    body = {"content": b"a document"} if method == "POST" else {}
    response = send(host, kind, method, f"/api/elsewhere?status={status}", **body)
    assert response.json()["foreign"] is True
    assert len(response.history) == 1
    assert all("authorization" not in r.request.headers for r in [response, *response.history])
    [seen] = world.sandbox.foreign_requests
    assert (seen.method == "POST") == (method == "POST" and status in (307, 308))
    assert_nothing_leaked(world, reply)


@KINDS
def test_a_direct_request_elsewhere_goes_without_the_token(world: World, kind: str) -> None:
    """Pre-signed downloads need it: the request is sent, the token is not; twice, also after a renewal."""
    host = world.open({"main": world.account()})
    reply = world.login()
    host.adopt("main", reply)
    assert send(host, kind, "GET", world.sandbox.foreign_url + "/file").status_code == 200
    assert world.counts().token_calls == 0  # it is no reason to renew either
    assert send(host, kind, "GET", "/api/items").status_code == 200
    assert send(host, kind, "POST", world.sandbox.foreign_url + "/x", content=b"x").status_code == 200
    assert len(world.sandbox.foreign_requests) == 2
    assert_nothing_leaked(world, reply)
    shown = host.token("main").access_token.reveal()
    assert all(shown not in str(seen.headers) for seen in world.sandbox.foreign_requests)


@KINDS
def test_foreign_hosts_refuse(world: World, kind: str) -> None:
    """The strict setting sends nothing at all to another host, by redirect or directly."""
    host = world.signed_in(expired=False, foreign_hosts="refuse")
    for url in ("/api/elsewhere?status=307", world.sandbox.foreign_url + "/file?token=abc"):
        with pytest.raises(ForeignHostError, match="foreign_hosts: refuse") as caught:
            send(host, kind, "GET", url)
        assert caught.value.host in world.sandbox.foreign_url
        assert "abc" not in str(caught.value)
    assert world.sandbox.foreign_requests == ()
    alive(world, host)


# fault -> error, code, whether the server has used the refresh token up, state afterwards
FAULTS = {
    "redirect": (RenewalError, "bad_token_reply", False, "expired"),
    "500": (RenewalError, "in_doubt", False, "in_doubt"),
    "503": (RenewalError, "in_doubt", False, "in_doubt"),
    "truncate": (RenewalError, "in_doubt", True, "in_doubt"),
    "huge": (RenewalError, "in_doubt", True, "in_doubt"),
    "502-after": (RenewalError, "in_doubt", True, "in_doubt"),
    "html": (RenewalError, "bad_token_reply", True, "in_doubt"),
    "empty-400": (NotAuthorizedError, "needs_authorization", False, "needs_authorization"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_endpoint_that_misbehaves(world: World, fault: str) -> None:
    """Each bad answer gives its typed error and state; a login that the server still knows lives on."""
    kind, code, spent, state = FAULTS[fault]
    later = [0.0]
    broken = world.open({"main": world.account(token_endpoint_config={"sandbox_fault": fault})})
    reply = world.login()
    broken.adopt("main", reply)
    with broken.client("main") as http, pytest.raises(ConnectorError) as caught:
        http.get("/api/items")
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert isinstance(caught.value, httpx.TransportError) == (kind is RenewalError)
    assert "main" in str(caught.value)
    assert broken.status("main").state == state
    assert broken.status("main").holder == ""  # the lease was given back
    assert world.counts().token_calls == 1  # not asked again of itself
    assert world.sandbox.foreign_requests == ()
    if fault == "redirect":
        assert "redirect" in str(caught.value)
        assert "307" in str(caught.value)

    mended = world.open({"main": world.account()}, "mended.yaml", clock=lambda: time.time() + later[0])
    later[0] = 400.0  # past every pause
    if state == "needs_authorization":
        with pytest.raises(NotAuthorizedError, match="connector login main"):
            mended.token("main")
        mended.adopt("main", world.login())
        assert mended.token("main").access_token
    elif spent:
        with pytest.raises(NotAuthorizedError, match="must be authorized again"):
            mended.token("main")
        assert mended.status("main").state == "needs_authorization"
    else:
        assert mended.token("main").access_token
        assert mended.status("main").state == "ready"
        assert mended.status("main").last_refusal == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_an_early_renewal_that_fails_costs_no_request(world: World, fault: str) -> None:
    """While the old access token works, a failing renewal behind it is nobody's failed request."""
    later = [0.0]
    host = world.open(
        {"main": world.account(token_endpoint_config={"sandbox_fault": fault})},
        clock=lambda: time.time() + later[0],
    )
    host.adopt("main", world.login(expired=False))
    host.token("main")
    later[0] = 260.0  # of 300 s: stale, not expired
    with host.client("main") as http:
        assert http.get("/api/items").status_code == 200
        host._login("main").source.settle()  # the failure is known now
        assert host.counts("main").failed_renewals == 1
        assert [http.get("/api/items").status_code for _ in range(5)] == [200] * 5
    assert host.counts("main").failed_requests == 0
    assert world.counts().token_calls == 1
    if fault in ("500", "503", "redirect"):
        # The sandbox failed before it used anything up, so another host can renew.
        mended = world.open({"main": world.account()}, "mended.yaml", clock=lambda: time.time() + 800.0)
        assert mended.token("main").access_token
