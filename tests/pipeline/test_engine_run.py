"""The engine: laziness, errors, preview, parameters, closing."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import httpx
import pytest
from pipeline_room import OddFails, Room, numbers, source_of, ten

from connector.errors import NotAuthorizedError, RenewalError, SnapError, StoreError
from connector.result import Progress, StepError


def test_documents_flow_one_at_a_time(room: Room) -> None:
    """A document reaches the last step before the next one leaves the first: nothing piles up."""
    seen: list[str] = []

    def first(documents: Any, context: Any) -> Any:
        for n in range(3):
            seen.append(f"made {n}")
            yield {"n": n}

    def last(documents: Any, context: Any) -> Any:
        for document in documents:
            seen.append(f"used {document['n']}")
            yield document

    room.run(first, last)
    assert seen == ["made 0", "used 0", "made 1", "used 1", "made 2", "used 2"]


def test_counts_and_times_of_steps(room: Room) -> None:
    """Each step's time is its own; counts say what went in and out."""
    now = [0.0]

    def slow(documents: Any, context: Any) -> Any:
        for n in range(3):
            now[0] += 2.0
            yield {"n": n}

    def half(documents: Any, context: Any) -> Any:
        for document in documents:
            now[0] += 0.5
            if document["n"]:
                yield document

    result = room.run(slow, half, run={"clock": lambda: now[0]})
    assert result.documents == 2
    assert dict(result.seconds) == {"slow": 6.0, "half": 1.5}
    assert result.elapsed_s == 7.5
    assert [(s.documents_in, s.documents_out) for s in result.steps] == [(0, 3), (3, 2)]
    assert result.ok


def test_stop_names_the_step(room: Room) -> None:
    """By default the first failed document ends the run, with its step, reason and cause; it pickles."""
    with pytest.raises(StepError) as caught:
        room.run(ten, OddFails)
    error = caught.value
    assert (error.step, error.pipeline) == ("OddFails", "p")
    assert re.fullmatch(r"ValueError at \S*pipeline_room\.py:\d+", error.reason)
    assert "1 is odd" in str(error)
    assert isinstance(error.__cause__, ValueError)
    assert pickle.loads(pickle.dumps(error)).step == "OddFails"


def test_collect_keeps_failed_documents(room: Room) -> None:
    """With collect they go to the result and to the file of the error view; the others go on."""
    result = room.run(ten, OddFails, on_error="collect", errors="out/bad.jsonl")
    assert (result.documents, result.error_count, result.ok) == (5, 5, False)
    assert result.errors[0].document == {"n": 1}
    assert result.errors[0].message == "1 is odd"
    lines = [json.loads(line) for line in (room.folder / "out/bad.jsonl").read_text().splitlines()]
    assert [line["document"]["n"] for line in lines] == [1, 3, 5, 7, 9]
    assert lines[0]["step"] == "OddFails"


def test_skip_only_counts(room: Room) -> None:
    """With skip they are counted and gone; a step's own word goes before the pipeline's."""
    result = room.run(ten, OddFails, on_error="skip")
    assert (result.documents, result.error_count, result.errors) == (5, 5, ())
    room.spec(OddFails)
    result = room.run(ten, {"snap": "OddFails", "on_error": "collect"}, on_error="stop")
    assert len(result.errors) == 5


def test_error_view_is_bounded(room: Room) -> None:
    """A million failures do not fill the memory: a thousand are kept, all are counted."""
    many = source_of([{"n": 1}] * 1_200)
    result = room.run(many, OddFails, on_error="collect")
    assert (len(result.errors), result.error_count) == (1_000, 1_200)


@pytest.mark.parametrize("error", [NotAuthorizedError("log in"), RenewalError("later"), StoreError("disk")])
def test_errors_that_are_no_documents_fault_end_the_run(room: Room, error: Exception) -> None:
    """Whatever on_error says, and as they are."""

    class Calls:
        def process(self, document: Any, context: Any) -> None:
            raise error

    with pytest.raises(type(error)) as caught:
        room.run(ten, Calls, on_error="collect")
    assert caught.value is error
    assert "in step 'Calls' of pipeline 'p'" in caught.value.__notes__


def test_generator_that_raises_ends_the_run(room: Room) -> None:
    """A generator cannot be resumed, so its exception ends the run even with collect."""

    def breaks(documents: Any, context: Any) -> Any:
        for document in documents:
            if document["n"] == 2:
                raise RuntimeError("broken")
            yield document

    with pytest.raises(StepError, match="broken"):
        room.run(ten, breaks, on_error="collect")


def test_swallowed_failure_still_ends_the_run(room: Room) -> None:
    """A step that catches what came from above cannot make half a stream look whole."""

    def swallows(documents: Any, context: Any) -> Any:
        try:
            yield from documents
        except Exception:
            return

    with pytest.raises(StepError, match="1 is odd"):
        room.run(ten, OddFails, swallows)


def test_httpx_errors_leave_no_request_behind(room: Room) -> None:
    """httpx's errors hold request and response, query included: neither is in ours, nor its cause."""
    room.answer = lambda request: httpx.Response(500)

    def calls(documents: Any, context: Any) -> Any:
        context.client.get("/x?api_key=canary").raise_for_status()
        yield {}

    room.spec(calls)
    with pytest.raises(StepError) as caught:
        room.run({"snap": "calls", "account": "a"})
    error = caught.value
    assert "canary" not in str(error)
    assert "500" in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_not_a_document(room: Room) -> None:
    """What is no dict is refused where it comes from."""

    def source(documents: Any, context: Any) -> Any:
        yield [1, 2]

    with pytest.raises(StepError, match="yielded a list"):
        room.run(source)


def test_plain_functions_and_nothing(room: Room) -> None:
    """A function may return a list, or nothing at all; the first step gets one empty document."""

    def doubled(documents: Any, context: Any) -> list[dict[str, Any]]:
        return [*documents, {"n": 1}]

    def sink(documents: Any, context: Any) -> None:
        assert list(documents) == [{}, {"n": 1}]

    assert room.run(doubled, sink).documents == 0


def test_preview_pulls_only_what_it_shows(room: Room) -> None:
    """A preview takes fifty documents from an endless source, or as many as it was asked for."""
    pulled: list[int] = []

    def counted(documents: Any, context: Any) -> Any:
        for document in documents:
            pulled.append(document["n"])
            yield document

    result = room.run(numbers, counted, run={"preview": True})
    assert (len(result.preview), len(pulled)) == (50, 50)
    result = room.run(numbers, counted, run={"preview": 3})
    assert result.preview == ({"n": 0}, {"n": 1}, {"n": 2})


def test_preview_of_few_documents_bounds_the_source(room: Room) -> None:
    """A filter that lets nothing pass does not make a preview read an endless source."""
    never = {"snap": "filter", "with": {"where": "n < `0`"}}
    assert room.run(numbers, never, run={"preview": 5}).preview == ()


def test_preview_writes_nothing(room: Room) -> None:
    """Writers pass documents on: no file, no request, no file of the error view."""
    result = room.run(
        ten,
        {"snap": "http.write", "account": "a", "with": {"path": "/x"}},
        {"snap": "file.write", "with": {"path": "out.jsonl"}},
        run={"preview": 4},
        on_error="collect",
        errors="bad.jsonl",
    )
    assert (len(result.preview), room.requests, list(room.folder.iterdir())) == (4, [], [])


def test_closing_in_order(room: Room) -> None:
    """When a run fails, the last step closes first, then the others, then the clients."""

    def tells(name: str) -> Any:
        def step(documents: Any, context: Any) -> Any:
            assert context.client
            try:
                yield from documents
            finally:
                room.events.append(f"close {name}")

        step.__name__ = name
        return step

    class Cleans:
        def configure(self, context: Any) -> None:
            room.events.append("configure")

        def process(self, document: Any, context: Any) -> Any:
            return document

        def cleanup(self, context: Any) -> None:
            room.events.append("cleanup")

    result = room.run(numbers, tells("a"), Cleans, tells("b"), run={"preview": 1})
    assert result.documents == 1
    assert room.events == ["configure", "close b", "cleanup", "close a", "close client "]


def test_interrupt_closes_everything(room: Room) -> None:
    """Ctrl-C passes as it is, and generators and clients are closed."""

    def interrupted(documents: Any, context: Any) -> Any:
        assert context.client
        try:
            for _ in documents:
                raise KeyboardInterrupt
            yield {}
        finally:
            room.events.append("closed")

    with pytest.raises(KeyboardInterrupt):
        room.run(ten, interrupted, {"snap": "file.write", "with": {"path": "x.jsonl"}})
    assert room.events == ["closed", "close client "]
    assert list(room.folder.iterdir()) == []


def test_failing_cleanup_is_told(room: Room) -> None:
    """A cleanup that raises is an error of its own, but never hides the one that ended the run."""

    class Bad:
        def process(self, document: Any, context: Any) -> Any:
            if document["n"] == 3:
                raise ValueError("first")
            return document

        def cleanup(self, context: Any) -> None:
            raise OSError("second")

    with pytest.raises(StepError, match="first"):
        room.run(ten, Bad)
    with pytest.raises(StepError, match="second"):
        room.run(source_of([{"n": 1}]), Bad)


def test_parameters(room: Room) -> None:
    """`${param:name}` fills whole values, typed as the option wants; context shows them all."""
    seen: list[Any] = []

    def typed(documents: Any, context: Any, *, size: int, on: bool = False, names: list[str]) -> Any:
        seen.extend([size, on, names, context.parameters["size"], context.account])
        yield from documents

    room.spec(typed)
    step = {
        "snap": "typed",
        "account": "${param:who}",
        "with": {"size": "${param:size}", "on": "${param:on}", "names": ["x", "${param:on}"]},
    }
    declared = {"size": None, "on": "true", "who": "me"}
    room.run(ten, step, parameters=declared, run={"parameters": {"size": "50"}})
    assert seen == [50, True, ["x", "true"], "50", "me"]


@pytest.mark.parametrize(
    ("given", "message"),
    [({}, "needs a value for size"), ({"sice": "1"}, "did you mean size"), ({"size": "ten"}, "whole number")],
)
def test_bad_parameters(room: Room, given: dict[str, str], message: str) -> None:
    """A missing, unknown or unfit parameter is said before anything runs."""

    def typed(documents: Any, context: Any, *, size: int) -> Any:
        raise AssertionError("it ran")

    room.spec(typed)
    step = {"snap": "typed", "with": {"size": "${param:size}"}}
    with pytest.raises(SnapError, match=message):
        room.run(step, parameters={"size": None}, run={"parameters": given})


def test_progress(room: Room) -> None:
    """Progress comes at most every 0.2 s, and once at the end, also after a failure."""
    now = [0.0]
    told: list[Progress] = []

    def slow(documents: Any, context: Any) -> Any:
        for n in range(30):
            now[0] += 0.05
            yield {"n": n}

    room.run(slow, run={"clock": lambda: now[0], "progress": told.append})
    assert 5 <= len(told) <= 9
    assert (told[-1].done, told[-1].steps[0].documents_out) == (True, 30)
    assert not told[0].done
    with pytest.raises(StepError):
        room.run(slow, OddFails, run={"clock": lambda: now[0], "progress": told.append})
    assert (told[-1].done, told[-1].steps[1].errors) == (True, 1)
