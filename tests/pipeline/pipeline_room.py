"""A room for pipelines: a folder, an API in memory, and a clock that moves when somebody sleeps."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from connector import pipeline
from connector.plugins import snaps_file, snaps_http, snaps_shape
from connector.plugins.snaps_http import read
from connector.result import RunResult
from connector.snap import PipelineSpec, Snap, StepSpec

BASE = "https://api.example.com"
BUILT_IN: Mapping[str, Snap] = {
    snap.name: snap for module in (snaps_http, snaps_file, snaps_shape) for snap in module.connector_snaps()
}

Answer = Callable[[httpx.Request], httpx.Response]
Step = Mapping[str, Any] | Callable[..., Any]


def source_of(documents: Iterable[Any]) -> Callable[..., Any]:
    """A snap that yields these documents, whatever comes in."""

    def source(incoming: Iterable[Any], context: Any) -> Any:
        yield from documents

    return source


@dataclass
class Room:
    """Where a pipeline runs, and the API of all its accounts.

    Attributes:
        answer: how the API answers.
        requests: what it was asked.
        accounts: for which accounts a client was made.
        events: which clients were closed, and whatever a test adds.
        now, waits: the clock of the run and of ``http.read``, and for how long anybody slept.
    """

    folder: Path
    answer: Answer = lambda request: httpx.Response(200, json=[])
    requests: list[httpx.Request] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    now: float = 100.0
    waits: list[float] = field(default_factory=list)
    snaps: dict[str, Snap] = field(default_factory=lambda: dict(BUILT_IN))

    def __post_init__(self) -> None:
        for name, run in (("http.read", snaps_http.read), ("http.write", snaps_http.write)):
            quick = functools.partial(run, _sleep=self.sleep, _clock=lambda: self.now)
            self.snaps[name] = replace(BUILT_IN[name], run=quick)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def client(self, account: str) -> httpx.Client:
        """As the engine asks for it."""
        self.accounts.append(account)
        return _Client(self.events, account, transport=httpx.MockTransport(self._api), base_url=BASE)

    def async_client(self, account: str) -> httpx.AsyncClient:
        """As the engine asks for it."""
        self.accounts.append(account)
        return _AsyncClient(self.events, account, transport=httpx.MockTransport(self._api), base_url=BASE)

    def _api(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    @property
    def queries(self) -> list[dict[str, str]]:
        """The parameters of each request."""
        return [dict(request.url.params) for request in self.requests]

    def spec(self, *steps: Step, **more: Any) -> PipelineSpec:
        """A pipeline of steps; a function or class among them is added as a snap of its name."""
        made: list[StepSpec] = []
        for step in steps:
            if not isinstance(step, Mapping):
                name = step.__name__
                self.snaps[name] = Snap(name=name, run=step, account="optional")
                step = {"snap": name}
            count = sum(each.snap == step["snap"] for each in made)
            made.append(
                StepSpec(
                    id=step.get("id") or step["snap"] + (f"-{count + 1}" if count else ""),
                    snap=step["snap"],
                    account=step.get("account", ""),
                    with_=step.get("with", {}),
                    on_error=step.get("on_error", ""),
                )
            )
        return PipelineSpec(name="p", steps=tuple(made), **more)

    def run(self, *steps: Step, run: Mapping[str, Any] | None = None, **more: Any) -> RunResult:
        """Run these steps; `run` are arguments of the run, `more` fields of the `PipelineSpec`."""
        options = {"clock": lambda: self.now, **(run or {})}
        spec = self.spec(*steps, **more)
        return pipeline.run(spec, snaps=self.snaps, clients=self, folder=self.folder, **options)

    def documents(self, *steps: Step, **more: Any) -> list[dict[str, Any]]:
        """What comes out of the last step."""
        kept: list[dict[str, Any]] = []

        def kept_here(documents: Iterable[Any], context: Any) -> Any:
            for document in documents:
                kept.append(document)
                yield document

        self.run(*steps, kept_here, **more)
        return kept

    def path(self, name: str, content: str | bytes) -> Path:
        """A file of the folder, with this content."""
        file = self.folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def read(self, answer: Answer, **options: Any) -> list[dict[str, Any]]:
        """The documents of one ``http.read`` of ``/things`` from an API that answers like this."""
        self.answer = answer
        return self.documents({"snap": "http.read", "account": "a", "with": {"path": "/things", **options}})


class _Client(httpx.Client):
    """Tells when it is closed."""

    def __init__(self, events: list[str], account: str, **options: Any) -> None:
        super().__init__(**options)
        self._events, self._account = events, account

    def close(self) -> None:
        super().close()
        self._events.append(f"close client {self._account}")


class _AsyncClient(httpx.AsyncClient):
    """Tells when it is closed."""

    def __init__(self, events: list[str], account: str, **options: Any) -> None:
        super().__init__(**options)
        self._events, self._account = events, account

    async def aclose(self) -> None:
        await super().aclose()
        self._events.append(f"close async client {self._account}")


def lines(file: Path) -> list[Any]:
    """The documents of a JSON Lines file; NaN and its kind are refused."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    text = file.read_text("utf-8")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def numbers(documents: Any, context: Any) -> Iterator[dict[str, Any]]:
    """An endless source."""
    n = 0
    while True:
        yield {"n": n}
        n += 1


def ten(documents: Any, context: Any) -> Iterator[dict[str, Any]]:
    """A source of ten."""
    yield from ({"n": n} for n in range(10))


class OddFails:
    """A class snap to which odd numbers are an error."""

    def process(self, document: dict[str, Any], context: Any) -> dict[str, Any]:
        if document["n"] % 2:
            raise ValueError(f"{document['n']} is odd")
        return document


ROWS = [{"id": n} for n in range(1_000)]


def get(**options: Any) -> dict[str, Any]:
    """A step that reads."""
    return {"snap": "http.read", "account": "a", "with": {"path": "/rows", **options}}


def put(**options: Any) -> dict[str, Any]:
    """A step that writes."""
    return {"snap": "http.write", "account": "a", "with": {"path": "/rows/{id}", **options}}


def listing(
    rows: list[dict[str, Any]],
    *,
    most: int = 10**6,
    hidden: frozenset[int] = frozenset(),
    total: bool = False,
) -> Callable[[httpx.Request], httpx.Response]:
    """An API that pages by offset and page, gives at most `most` rows, and hides some after the limit."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        size = min(int(query.get("limit", query.get("per_page", most))), most)
        start = int(query.get("offset", (int(query.get("page", 1)) - 1) * size))
        page = [row for row in rows[start : start + size] if row["id"] not in hidden]
        return httpx.Response(200, json=page, headers={"X-Total-Count": str(len(rows))} if total else {})

    return answer


class Direct:
    """A context for calling http.read itself, where a fixture would cost each Hypothesis example."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        transport = httpx.MockTransport(answer)
        self.client = httpx.Client(base_url="https://api.example.com", transport=transport)
        self.preview = False
        self.account = "a"

    def read(self, **options: Any) -> list[dict[str, Any]]:
        with self.client:
            return list(read([{}], self, path="/rows", **options))  # type: ignore[arg-type]
