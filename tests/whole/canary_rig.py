"""Accounts and hosts that hold canaries, and everything they show, kept to be searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import yaml
from canary import Canaries, Ear, files_below, texts_of_error, texts_of_value
from plain_server import Answer, Asked, PlainServer

import connector
from connector.host import Host

CLIENT_ID = "app"


@dataclass(repr=False)  # it is a variable in the frames of anyio, and holds the canaries
class Rig:
    """An account whose every secret is a canary, and all that was said and shown while it was used."""

    folder: Path
    server: PlainServer
    canaries: Canaries
    ear: Ear
    size: int
    account: dict[str, Any] = field(default_factory=dict)
    hosts: list[Host] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    shown: list[object] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    current: str = ""

    def manifest(self, *, pipelines: Any = None, **more: Any) -> Path:
        data = {
            "version": 1,
            "store": "sqlite:///tokens.db",
            "accounts": {"main": {**self.account, **more}},
            "pipelines": pipelines or {},
        }
        path = self.folder / "manifest.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    def open(self, *, plugins: Any = (), store: Any = None, **more: Any) -> Host:
        host = connector.open(self.manifest(**more), plugins=plugins, store=store)
        self.hosts.append(host)
        return host

    def signed_in(self, *, expires_in: float = 0, **more: Any) -> Host:
        host = self.open(**more)
        self.shown.append(host.adopt("main", self.login(expires_in)))
        return host

    def login(self, expires_in: float = 0) -> dict[str, Any]:
        """A token reply made of canaries."""
        self.current = self.canaries.new("access token", length=self.size)
        refresh = self.canaries.new("refresh token", length=self.size)
        return {"access_token": self.current, "refresh_token": refresh, "expires_in": expires_in}

    def grants(self, asked: Asked) -> Answer:
        """A token endpoint that always says yes."""
        return Answer(body=self.login(3600))

    def guarded(self, asked: Asked) -> Answer:
        """An API that knows the last token only."""
        good = asked.headers.get("authorization") == f"Bearer {self.current}" or self.current in asked.path
        return Answer(body={"ok": True}) if good else Answer(status=401, body={"error": "invalid_token"})

    def attempt(self, function: Callable[[], object], kind: type[BaseException] = Exception) -> None:
        """Call something that may fail, and keep what it showed."""
        try:
            self.shown.append(function())
        except kind as error:
            self.errors.append(error)

    def get(self, host: Host, url: str = "/things") -> None:
        """One request in each of the three ways, whatever comes of it."""
        self.attempt(lambda: self._sync(host, url))
        for backend in ("asyncio", "trio"):
            self.attempt(lambda backend=backend: anyio.run(self._async, host, url, backend=backend))

    def _sync(self, host: Host, url: str) -> None:
        with host.client("main") as http:
            self.shown += [http, http._transport]
            self._keep(http.get(url))

    async def _async(self, host: Host, url: str) -> None:
        async with host.async_client("main") as http:
            self.shown += [http, http._transport]
            self._keep(await http.get(url))

    def _keep(self, response: httpx.Response) -> None:
        for one in [response, *response.history]:
            self.shown += [one, one.headers, one.request, one.request.url, one.request.headers.raw]
            self.shown.append([*map(str, one.request.headers.items())])

    def failures(self) -> list[type[BaseException]]:
        return [type(error) for error in self.errors]

    def verdict(self, *, frames: bool = True) -> list[str]:
        """Where canaries were found; empty when all is well. `frames`: also in those of errors."""
        for host in self.hosts:
            self._look_at(host)
        for host in self.hosts:
            host.close()
        # Most objects print alike many times over: each text is searched once.
        texts: dict[str | bytes, str] = {self.ear.heard: "log"}
        for error in self.errors:
            for where, text in texts_of_error(error, frames=frames):
                texts.setdefault(text, f"{type(error).__name__} {where}")
        for value in self.shown:
            for where, text in texts_of_value(value):
                texts.setdefault(text, where)
        texts.update(dict.fromkeys(self.printed, "printed"))
        found = []
        for path, data, mode in files_below(self.folder):
            texts[data] = f"file {path.name}"
            if path.name.startswith("tokens.db") and mode & 0o077:
                found.append(f"file {path.name}: mode {mode:04o}")
        for text, where in texts.items():
            found += [f"{where}: {kind}" for kind in self.canaries.found_in(text)]
        return sorted(set(found))

    def _look_at(self, host: Host) -> None:
        self.shown += [host, dict(host.accounts), *host.accounts.values(), *host.problems]
        self.shown += [account.endpoint for account in host.accounts.values()]
        for login in list(host._logins.values()):
            source = login.source
            inside = [
                source._held,
                source._record,
                source._error,
                source._world,
                source._window,
                source._grant,
            ]
            self.shown += [login, login.account, source, source.counts, *inside, vars(source)]
            self.attempt(lambda login=login: login.status())
            self.attempt(lambda login=login: login._world.load())
        self.shown += [host._vault, host._maker, host._opening]
