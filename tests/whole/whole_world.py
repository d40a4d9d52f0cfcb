"""A manifest, a sandbox and a host on real sockets, with a gate before the token endpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import yaml

import connector
from connector.host import Host
from connector.moment import steady
from connector.opening import open_manifest
from connector.sandbox import PersonaCounts, Sandbox
from connector.store import SqliteStore
from connector.vault import open_vault

# Nothing here waits this long; it only keeps a broken test from hanging.
BOUND_S = 20.0


class Gate:
    """An ASGI application in front of another: holds token calls back while it is shut.

    Attributes:
        arrived: set once a token call stands before the gate.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._opened = threading.Event()
        self._opened.set()
        self.arrived = threading.Event()

    def shut(self) -> None:
        """Hold every token call from now on."""
        self.arrived.clear()
        self._opened.clear()

    def open(self) -> None:
        """Let them through."""
        self._opened.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and "token" in scope["path"]:
            self.arrived.set()
            # In a thread: the loop of the sandbox goes on serving API requests meanwhile.
            await anyio.to_thread.run_sync(self._opened.wait, BOUND_S)
        await self._app(scope, receive, send)


@dataclass
class World:
    """One sandbox, one folder, and the hosts opened on a manifest in it."""

    folder: Path
    sandbox: Sandbox
    gate: Gate
    hosts: list[Host] = field(default_factory=list)

    def account(self, persona: str = "strict", **more: Any) -> dict[str, Any]:
        """An account of the sandbox, as a manifest says it; `settings` are added to its origin."""
        settings = {"origin": self.sandbox.url, **more.pop("settings", {})}
        return {
            "oauth2_endpoint": f"sandbox.{persona}",
            "client_id": "sandbox",
            "client_secret": "sandbox-secret",
            "grant": "authorization_code",
            "settings": settings,
            **more,
        }

    def manifest(self, accounts: dict[str, Any], name: str = "manifest.yaml", **more: Any) -> Path:
        """Write a manifest; its store is a file beside it."""
        path = self.folder / name
        data = {"version": 1, "store": "sqlite:///tokens.db", "accounts": accounts, **more}
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    def open(
        self,
        accounts: dict[str, Any],
        name: str = "manifest.yaml",
        *,
        clock: Callable[[], float] | None = None,
        **more: Any,
    ) -> Host:
        """Open a host on a manifest, with a clock of its own if need be; it is closed after the test."""
        path = self.manifest(accounts, name, **more)
        if clock is None:
            host = connector.open(path)
        else:
            opening = open_manifest(path)
            vault = open_vault(opening.manifest.store, opening.registry.stores, opening.manifest.folder)
            if isinstance(vault.store, SqliteStore):
                # Pauses are told by the store's clock, so it is set along with that of the host.
                moved = SqliteStore(vault.store.path, clock=clock, steady=steady)
                vault = open_vault(moved, opening.registry.stores, opening.manifest.folder)
            host = Host(opening, vault, clock=clock)
        self.hosts.append(host)
        return host

    def login(self, persona: str = "strict", *, expired: bool = True, **options: Any) -> dict[str, Any]:
        """A token reply as if a person had consented; `expired`: its access token has ended."""
        reply = self.sandbox.authorize(persona, **options)
        return {**reply, "expires_in": 0} if expired else reply

    def signed_in(self, persona: str = "strict", *, expired: bool = True, **more: Any) -> Host:
        """A host with one account ``main`` that somebody has authorized."""
        host = self.open({"main": self.account(persona, **more)})
        host.adopt("main", self.login(persona, expired=expired))
        return host

    def counts(self, persona: str = "strict") -> PersonaCounts:
        """What a persona has seen."""
        return self.sandbox.counts[persona]

    def close(self) -> None:
        """Let whatever still waits go, and close what was opened."""
        self.gate.open()
        for host in self.hosts:
            host.close()


def in_threads(functions: list[Callable[[], Any]]) -> list[Any]:
    """Run functions in a thread each, begun together; return results in order, an exception as itself."""
    results: list[Any] = [None] * len(functions)
    together = threading.Barrier(len(functions))

    def run(index: int) -> None:
        try:
            together.wait(BOUND_S)
            results[index] = functions[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * BOUND_S)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return results


def alive(world: World, host: Host, persona: str = "strict") -> None:
    """Assert that an account can still renew, and that no refresh token was ever shown twice."""
    before = host.token("main").fingerprint
    assert host.renew("main").fingerprint != before
    with host.client("main") as http:
        assert http.get("/api/items").status_code == 200
    assert max(world.counts(persona).presentations.values()) == 1
    assert host.status("main").state == "ready"
