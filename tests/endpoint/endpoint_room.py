"""A host on a manifest of one account, before servers that a test plays: what was asked is kept."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio
import httpx
import yaml

from connector.host import Host
from connector.opening import open_manifest
from connector.post import Poster
from connector.store.memory import MemoryStore
from connector.vault import open_vault

KINDS = ("sync", "asyncio", "trio")
NOW = 1_800_000_000.0
CANARY = "canary-5d1f0b7a42"
API = "https://api.acme.example"
TOKEN = {"url": "https://login.acme.example/token"}
LOGIN = "POST login.acme.example/token"
ACCOUNT = {"client_id": "me", "client_auth": "none"}


@dataclass
class Room:
    """Servers, a clock and hosts on one store.

    Attributes:
        answers: ``"METHOD host/path"`` -> what is answered: a mapping, a response, or what makes one of a request.
        seen: every request that arrived, token calls and API requests alike.
    """

    folder: Path
    endpoint: dict[str, Any]
    account: dict[str, Any]
    answers: dict[str, Any] = field(default_factory=dict)
    seen: list[httpx.Request] = field(default_factory=list)
    pipelines: dict[str, Any] = field(default_factory=dict)
    file: str = ""  # an endpoint file in the folder that the account names, instead of `endpoint`
    now: float = NOW

    def __post_init__(self) -> None:
        self.store = MemoryStore(clock=lambda: self.now)

    def host(self) -> Host:
        """Another process on the same manifest and store."""
        manifest = {
            "version": 1,
            **({"plugins": [self.file]} if self.file else {"endpoints": {"acme": self.endpoint}}),
            "accounts": {"acme": {"oauth2_endpoint": "acme", **self.account}},
            "pipelines": self.pipelines,
        }
        path = self.folder / "manifest.yaml"
        path.write_text(yaml.safe_dump(manifest))
        opening = open_manifest(path)
        assert not opening.problems, opening.problems
        return Host(
            opening,
            open_vault(self.store, {}, self.folder),
            poster=Poster(transport=lambda url: httpx.MockTransport(self.answer), clock=lambda: self.now),
            wire=lambda **given: httpx.MockTransport(self.answer),
            async_wire=lambda **given: httpx.MockTransport(self.answer),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What the servers say."""
        request.read()
        self.seen.append(request)
        said = self.answers[f"{request.method} {request.url.host}{request.url.path}"]
        said = said(request) if callable(said) else said
        return said if isinstance(said, httpx.Response) else httpx.Response(200, json=said)

    def hooks(self, source: str) -> None:
        """Put the module ``acme_hooks`` beside the manifest."""
        (self.folder / "acme_hooks.py").write_text(textwrap.dedent(source))

    def asked(self, path: str) -> list[httpx.Request]:
        """The requests to a path, in order."""
        return [request for request in self.seen if request.url.path == path]


def endpoint(**more: Any) -> dict[str, Any]:
    """A server with client credentials and what a test adds."""
    return {"grants": ["client_credentials"], "token": TOKEN, "api": {"base_url": API}, **more}


def form(request: httpx.Request) -> dict[str, str]:
    """A form that was sent."""
    return dict(parse_qsl(request.content.decode(), keep_blank_values=True))


def get(host: Host, kind: str, path: str, **more: Any) -> httpx.Response:
    """One request of a snap, in the way of `kind`."""
    if kind == "sync":
        with host.client("acme") as http:
            return http.get(path, **more)

    async def ask() -> httpx.Response:
        async with host.async_client("acme") as http:
            return await http.get(path, **more)

    return anyio.run(ask, backend=kind)
