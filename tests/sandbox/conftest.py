"""A sandbox without a socket, a clock that one sets, and a wire that speaks to it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from connector.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox


class FakeClock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Wire:
    """Sends requests to a sandbox's application, one event loop each, no socket at all."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.sandbox.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
                return await http.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, token: str = "", **options: Any) -> httpx.Response:
        """GET with a bearer token, as JSON."""
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self("GET", path, headers=headers, **options)

    def token(self, path: str, **fields: str) -> httpx.Response:
        """A token call with the demo client's secret in the body, unless the fields say otherwise."""
        form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **fields}
        return self("POST", path, data={name: text for name, text in form.items() if text})

    def refresh(self, path: str, refresh_token: str, **fields: str) -> httpx.Response:
        """A refresh."""
        return self.token(path, grant_type="refresh_token", refresh_token=refresh_token, **fields)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Sandbox:
    return Sandbox(clock=clock)


@pytest.fixture
def wire(sandbox: Sandbox) -> Wire:
    return Wire(sandbox)


@pytest.fixture(scope="session")
def wire_to() -> type[Wire]:
    """For tests that make their own sandboxes."""
    return Wire
