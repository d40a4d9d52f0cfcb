"""Edges of the engine: what a run does with hostile documents, interrupts and mistyped options."""

from __future__ import annotations

import asyncio
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pipeline_room import BUILT_IN, Room, lines, source_of

from connector import pipeline, registry
from connector.errors import SnapError
from connector.hookspecs import hookimpl
from connector.result import StepError
from connector.snap import PipelineSpec, Snap, StepSpec


class Refuses:
    """A snap to which every document is an error."""

    def process(self, document: Any, context: Any) -> None:
        raise ValueError("no")


def test_the_error_view_writes_whatever_failed(room: Room) -> None:
    """NaN, tuples as keys, a document that holds itself: a line of sound JSON each."""
    circle: dict[str, Any] = {"n": 4}
    circle["self"] = circle
    bad = [{"n": math.nan}, {("a", 1): 2}, circle, {"n": {5}}, {"n": "\ud800"}]
    room.run(source_of(bad), Refuses, on_error="collect", errors="bad.jsonl")
    written = lines(room.folder / "bad.jsonl")
    assert [line["message"] for line in written] == ["no"] * 5
    assert "nan" in str(written[0]["document"])
    assert written[3]["document"] == {"n": "{5}"}


def test_the_errors_file_begins_anew(room: Room) -> None:
    """An old one is never taken for this run's; a run that collects nothing leaves it alone."""
    file = room.folder / "bad.jsonl"
    file.write_text("old\n")
    room.run(source_of([{"n": 1}]), Refuses, on_error="skip", errors="bad.jsonl")
    assert file.read_text() == "old\n"
    room.run(source_of([]), Refuses, on_error="collect", errors="bad.jsonl")
    assert file.read_text() == ""


def test_an_errors_file_at_home(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde is the home folder, as in the paths of snaps."""
    monkeypatch.setenv("HOME", str(room.folder))
    room.run(source_of([{"n": 1}]), Refuses, on_error="collect", errors="~/deep/bad.jsonl")
    assert len(lines(room.folder / "deep/bad.jsonl")) == 1


def test_an_errors_file_that_cannot_be_written(room: Room) -> None:
    """It is said before the first document."""
    (room.folder / "bad.jsonl").mkdir()
    with pytest.raises(SnapError, match="cannot be written") as caught:
        room.run(source_of([{}]), Refuses, on_error="collect", errors="bad.jsonl")
    assert caught.value.code == "errors_file"


def test_a_preview_of_fewer_than_none(room: Room) -> None:
    """A negative number is refused; it would read everything."""
    with pytest.raises(SnapError, match="preview"):
        room.run(source_of([{}]), run={"preview": -1})


def test_cleanup_never_hides_an_interrupt(room: Room) -> None:
    """A class snap is cleaned up on Ctrl-C, and an error of its cleanup does not swallow the Ctrl-C."""

    class Snap:
        def configure(self, context: Any) -> None:
            room.events.append("configure")

        def process(self, document: Any, context: Any) -> None:
            raise KeyboardInterrupt

        def cleanup(self, context: Any) -> None:
            room.events.append("cleanup")
            raise OSError("cleanup")

    with pytest.raises(KeyboardInterrupt):
        room.run(source_of([{}]), Snap)
    assert room.events == ["configure", "cleanup"]


class Exits:
    """A snap that takes itself for the program."""

    def process(self, document: Any, context: Any) -> Any:
        if document["n"] == 2:
            sys.exit(7)
        return document


def test_exiting_is_an_error_of_the_document(room: Room) -> None:
    """`sys.exit` in a class fails the document it was asked about, as any exception would."""
    result = room.run(source_of([{"n": n} for n in range(4)]), Exits, on_error="collect")
    assert (result.documents, result.errors[0].message) == (3, "It called sys.exit(7)")
    with pytest.raises(StepError, match=r"Step 'Exits' .* It called sys[.]exit\(7\)"):
        room.run(source_of([{"n": 2}]), Exits)


@pytest.mark.parametrize("where", ["function", "task", "async", "cleanup"])
def test_exiting_ends_the_step_alone(room: Room, where: str) -> None:
    """Wherever a snap calls `sys.exit`, its step fails, and the process lives."""

    def function(documents: Any, context: Any) -> Any:
        yield {"n": 1}
        sys.exit("enough")

    async def leaves(documents: Any, context: Any) -> Any:
        yield {"n": 1}
        sys.exit("enough")

    async def task(documents: Any, context: Any) -> Any:
        async def leave() -> None:
            sys.exit("enough")

        yield {"n": 1}
        async with asyncio.TaskGroup() as group:
            group.create_task(leave())

    class Cleanup:
        def process(self, document: Any, context: Any) -> Any:
            return document

        def cleanup(self, context: Any) -> None:
            sys.exit("enough")

    snap = {"function": function, "async": leaves, "task": task, "cleanup": Cleanup}[where]
    with pytest.raises(StepError, match="enough"):
        room.run(source_of([{"n": 0}]), snap, on_error="collect")


def test_a_class_without_process(room: Room) -> None:
    """It is one error of its step before the first document, not one of every document."""

    class Half:
        def __init__(self) -> None:
            room.events.append("made")

    with pytest.raises(StepError, match="class Half has no method `process`"):
        room.run(source_of([{}, {}]), Half, on_error="collect")
    assert room.events == []


@pytest.mark.parametrize(
    ("snap", "said"),
    [
        (Snap(name="Bad Name", run=3), "'Bad Name' is no name.*run is of type int, no function or class"),
        (Snap(name="x", run=object), "class object has no method process"),
        (Snap(name="x", run=source_of([]), account="maybe"), "expected none, optional or required"),
        (Snap(name="x", run=source_of([]), check="yes"), "check is no function"),
    ],
)
def test_snaps_that_nobody_could_use(snap: Snap, said: str) -> None:
    """They are refused when their plugin is loaded, by its name; what else it brings is there."""

    class Plugin:
        @hookimpl
        def connector_snaps(self) -> list[Snap]:
            return [snap, Snap(name="own.fine", run=source_of([]))]

    found = registry.collect([], [Plugin()])
    [problem] = found.problems
    assert "Plugin" in str(problem)
    assert re.search(said, str(problem))
    assert snap.name not in found.snaps
    assert "own.fine" in found.snaps


def test_cleanup_after_a_configure_that_failed(room: Room) -> None:
    """Whatever configure had opened can be closed; its own error is the one that is told."""

    class Snap:
        def configure(self, context: Any) -> None:
            raise ValueError("no key")

        def process(self, document: Any, context: Any) -> None:
            raise AssertionError

        def cleanup(self, context: Any) -> None:
            room.events.append("cleanup")
            raise OSError("nothing to close")

    with pytest.raises(StepError, match="no key"):
        room.run(source_of([{}]), Snap)
    assert room.events == ["cleanup"]


def test_an_async_snap_that_cancels_itself(room: Room) -> None:
    """A stray CancelledError is an error of that step, not the end of the caller."""

    async def gives_up(documents: Any, context: Any) -> Any:
        raise asyncio.CancelledError
        yield {}

    with pytest.raises(StepError, match="cancelled") as caught:
        room.run(gives_up)
    assert caught.value.step == "gives_up"


def test_memory_is_bounded(room: Room) -> None:
    """Of a long stream through seven snaps only a handful of documents are alive at any time."""
    alive, most = [0], [0]

    class Tracked(dict[str, Any]):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            alive[0] += 1
            most[0] = max(most[0], alive[0])

        def __del__(self) -> None:
            alive[0] -= 1

    def stream(documents: Any, context: Any) -> Iterator[Any]:
        for n in range(3_000):
            yield Tracked({"id": n})

    async def slow(documents: Any, context: Any) -> Any:
        async for document in documents:
            yield document

    room.answer = lambda request: httpx.Response(200)
    write = {"snap": "http.write", "account": "a", "with": {"path": "/x", "output": "document"}}
    result = room.run(
        stream,
        {"snap": "filter", "with": {"where": "id"}},
        slow,
        write,
        {"snap": "file.write", "with": {"path": "x.jsonl"}},
        {"snap": "file.write", "with": {"path": "x.csv.gz"}},
    )
    assert result.documents == 3_000
    assert most[0] < 20


def test_network_errors_say_what_the_system_said(room: Room) -> None:
    """'Connection refused' helps; the URL's query stays out."""

    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    def own(documents: Any, context: Any) -> Any:
        context.client.get("/x?key=canary")
        yield {}

    room.answer = refused
    for step in (own, {"snap": "http.read", "account": "a", "with": {"path": "/x?key=canary"}}):
        with pytest.raises(StepError, match="Connection refused") as caught:
            room.run(step)
        assert "canary" not in str(caught.value)


def test_errors_that_may_hold_headers_do_not_say_them(room: Room) -> None:
    """h11 quotes the illegal header it was given, and that may be the token."""

    def illegal(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError("Illegal header value b'Bearer canary\\n'")

    def own(documents: Any, context: Any) -> Any:
        context.client.get("/x")
        yield {}

    room.answer = illegal
    for step in (own, {"snap": "http.read", "account": "a", "with": {"path": "/x"}}):
        with pytest.raises(StepError) as caught:
            room.run(step)
        assert "canary" not in str(caught.value)


def found(snap: str, **options: Any) -> list[tuple[str, str]]:
    """What `check` says about one step: pointer, and message with hint."""
    spec = PipelineSpec(name="p", steps=(StepSpec(id="s", snap=snap, with_=options),))
    return [(each.pointer, f"{each.message} | {each.hint}") for each in pipeline.check(spec, BUILT_IN)]


@pytest.mark.parametrize(
    ("options", "pointer", "said"),
    [
        ({"headers": {"X-Id": 5}}, "/with/headers/X-Id", "X-Id is a whole number, expected a text"),
        ({"headers": [1]}, "/with/headers", "headers is a list, expected a mapping"),
        ({"requests_per_second": math.nan}, "/with/requests_per_second", "more than 0"),
        ({"requests_per_second": -1}, "/with/requests_per_second", "more than 0"),
        ({"timeout": 0}, "/with/timeout", "more than 0"),
        ({"max_pages": 0}, "/with/max_pages", "1 or more"),
        ({"params": {"a": {"b": 1}}}, "/with/params/a", "a is a mapping"),
    ],
)
def test_findings_inside_options(options: Any, pointer: str, said: str) -> None:
    """A finding points at the value that is wrong, not at all that is around it."""
    [(at, message)] = found("http.read", path="/x", **options)
    assert at == pointer
    assert said in message


@pytest.mark.parametrize(
    ("snap", "options", "pointer"),
    [
        ("file.read", {"path": "x.csv", "encoding": "hex"}, "/with/encoding"),
        ("file.read", {"path": "x.csv", "encoding": "a\0b"}, "/with/encoding"),
        ("file.write", {"path": "x.csv", "columns": ["a", "b", "a"]}, "/with/columns"),
        ("file.write", {"path": "x.csv", "columns": ["a", 1]}, "/with/columns/1"),
        ("file.write", {"path": "x.csv", "delimiter": "ab"}, "/with/delimiter"),
        ("file.write", {"path": "-", "append": True}, "/with/append"),
        ("file.write", {"path": "-", "columns": ["a"]}, "/with/columns"),
        ("http.write", {"path": "/x", "requests_per_second": 0}, "/with/requests_per_second"),
        ("python", {"call": "a:b:c"}, "/with/call"),
    ],
)
def test_findings_of_own_checks(snap: str, options: Any, pointer: str) -> None:
    """What a snap knows about its own options, beyond their types."""
    assert [at for at, _ in found(snap, **options)] == [pointer]


@pytest.fixture
def module(room: Room) -> Iterator[Path]:
    """A module beside the manifest."""
    file = room.folder / "edge_snaps.py"
    file.write_text(
        "def tag(documents, context, *, word: str = 'x', times: int = 1):\n"
        "    for document in documents:\n"
        "        yield {**document, 'tag': word * times}\n"
    )
    yield file
    sys.modules.pop("edge_snaps", None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"wrod": "y"}, "did you mean word"),
        ({"word": 5}, "word is a whole number, expected a text"),
        ({"times": "${param:n}"}, "expected a whole number"),
    ],
)
def test_options_of_an_own_snap_are_checked(room: Room, module: Path, options: Any, said: str) -> None:
    """The same words as for a built-in snap's, before its first document."""
    step = {"snap": "python", "with": {"call": "edge_snaps:tag", "options": options}}
    with pytest.raises(StepError, match=said):
        room.run(source_of([{}]), step, parameters={"n": "many"})


def test_parameters_reach_the_options_of_an_own_snap(room: Room, module: Path) -> None:
    """Typed as it wants them."""
    options = {"word": "${param:w}", "times": "${param:n}"}
    step = {"snap": "python", "with": {"call": "edge_snaps:tag", "options": options}}
    got = room.documents(source_of([{}]), step, parameters={"w": "7", "n": "3"})
    assert got == [{"tag": "777"}]
