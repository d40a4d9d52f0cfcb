"""Everything around a host: a manifest, a token endpoint, an API, a clock and a store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import httpx

from connector.host import Host
from connector.store import MemoryStore

NOW = 1_800_000_000.0
MANIFEST: dict[str, Any] = {
    "version": 1,
    "store": "memory:",
    "accounts": {
        "person": {
            "client_id": "me",
            "client_secret": "${env:HOST_TEST_SECRET}",
            "oauth2_endpoint": "https://login.example.com/authorize",
            "oauth2_token": "https://login.example.com/token",
            "api": {"base_url": "https://api.example.com/v1"},
        },
        "machine": {
            "client_id": "me",
            "client_secret": "${env:HOST_TEST_SECRET}",
            "oauth2_token": "https://login.example.com/token",
            "grant": "client_credentials",
            "api": {"base_url": "https://api.example.com"},
        },
    },
}
REPLY = {"access_token": "adopted", "refresh_token": "refresh", "expires_in": 3600}


class Wire(httpx.MockTransport):
    """An API that answers what it was asked with, and knows whether it was closed."""

    def __init__(self) -> None:
        super().__init__(lambda request: httpx.Response(200, json=dict(request.headers)))
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Outside:
    """Everything around a host: a token endpoint, wires, a clock, a store."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.wires: list[Wire] = []
        self.now = NOW
        self.store = MemoryStore(clock=lambda: self.now)
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()

    def token_endpoint(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.content)
        self.arrived.set()
        assert self.gate.wait(10)
        number = len(self.calls)
        return httpx.Response(
            200,
            json={
                "access_token": f"token-{number}",
                "refresh_token": f"refresh-{number}",
                "expires_in": 3600,
            },
        )

    def wire(self) -> Wire:
        self.wires.append(Wire())
        return self.wires[-1]


Open = Callable[..., Host]


def get(host: Host, kind: str, account: str = "machine", url: str = "/things", **options: Any) -> Any:
    """What the API saw of a request, made in one of the three ways."""
    if kind == "sync":
        with host.client(account, **options) as http:
            return http.get(url).json()

    async def ask() -> Any:
        async with host.async_client(account, **options) as http:
            return (await http.get(url)).json()

    return anyio.run(ask, backend=kind)
