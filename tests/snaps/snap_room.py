"""Pipelines in a room of their own: an API that a test controls, and one call to run steps against it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from connector import pipeline
from connector.plugins import snaps_file, snaps_http, snaps_shape
from connector.result import RunResult
from connector.snap import PipelineSpec, Snap, StepSpec

BUILT_IN = {
    snap.name: snap for module in (snaps_http, snaps_file, snaps_shape) for snap in module.connector_snaps()
}


class Room:
    """What a test needs to run a pipeline.

    Attributes:
        folder: where relative paths start.
        answer: what the API does with a request; tests replace it.
        requests: every request, in order.
        events: what was opened and closed, in order.
        waits: seconds that http.read would have waited.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(200, json=[])
        self.requests: list[httpx.Request] = []
        self.events: list[str] = []
        self.waits: list[float] = []
        self.snaps: dict[str, Snap] = dict(BUILT_IN)

    def client(self, account: str) -> httpx.Client:
        """A client that tells when it is closed; without an account it has no base URL."""
        room = self

        class Client(httpx.Client):
            def close(self) -> None:
                room.events.append(f"close client {account}")
                super().close()

        base = "https://api.example.com" if account else ""
        return Client(base_url=base, transport=httpx.MockTransport(self._handle))

    def async_client(self, account: str) -> httpx.AsyncClient:
        """The same for async snaps."""
        room = self

        class Client(httpx.AsyncClient):
            async def aclose(self) -> None:
                room.events.append(f"close async client {account}")
                await super().aclose()

        async def handle(request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(0)
            return self._handle(request)

        return Client(base_url="https://api.example.com", transport=httpx.MockTransport(handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    def spec(self, *steps: Mapping[str, Any] | Callable[..., Any], **more: Any) -> PipelineSpec:
        """A pipeline of steps as in a manifest; a bare function or class is a snap of its own name."""
        made: list[StepSpec] = []
        for each in steps:
            step: Any = each
            if callable(each):
                self.snaps[each.__name__] = Snap(name=each.__name__, run=each, account="optional")
                step = {"snap": each.__name__}
            if step["snap"] == "http.read":
                self._inject_sleep()
            made.append(
                StepSpec(
                    id=step.get("id", step["snap"]),
                    snap=step["snap"],
                    account=step.get("account", ""),
                    with_=dict(step.get("with", {})),
                    on_error=step.get("on_error", ""),
                )
            )
        return PipelineSpec(name="p", steps=tuple(made), **more)

    def _inject_sleep(self) -> None:
        def read(documents: Any, context: Any, **options: Any) -> Any:
            return snaps_http.read(documents, context, _sleep=self.waits.append, **options)

        self.snaps["http.read"] = Snap(name="http.read", run=read, account="optional")

    def run(self, *steps: Any, run: Mapping[str, Any] | None = None, **more: Any) -> RunResult:
        """Run steps; `run` holds further arguments of `pipeline.run`, `more` those of the PipelineSpec."""
        spec = self.spec(*steps, **more)
        return pipeline.run(spec, snaps=self.snaps, clients=self, folder=self.folder, **(run or {}))

    def documents(self, *steps: Any, **more: Any) -> list[dict[str, Any]]:
        """What comes out of the last step."""
        got: list[dict[str, Any]] = []

        def take(documents: Any, context: Any) -> Any:
            for document in documents:
                got.append(document)
                yield document

        self.run(*steps, take, **more)
        return got


def source_of(documents: list[dict[str, Any]]) -> Callable[..., Any]:
    """A first step that yields these."""

    def source(_documents: Any, context: Any) -> Any:
        yield from [dict(document) for document in documents]

    return source
