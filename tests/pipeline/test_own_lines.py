"""An error that a snap did not mean says at which line of the snap's own file it came up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipeline_room import Room

from connector.ownline import at_line
from connector.result import StepError

SNAPS = """\
import asyncio, json, sys
import httpx

def look(document):
    return document["nope"]

def one(documents, context):
    yield {"n": 1}

def function(documents, context):
    for document in documents:
        yield {"found": look(document)}

class Each:
    def process(self, document, context):
        return json.loads("{")

async def waits(documents, context):
    async for document in documents:
        await asyncio.sleep(0)
        yield {"found": look(document)}

async def tasks(documents, context):
    async for document in documents:
        async with asyncio.TaskGroup() as group:
            group.create_task(later())
        yield document

async def later():
    raise ValueError("in a task")

def exits(documents, context):
    for document in documents:
        sys.exit(3)
        yield document

def asks(documents, context):
    for document in documents:
        with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(404))) as client:
            client.get("https://api.example.com/x").raise_for_status()
        yield document

class Cleans:
    def process(self, document, context):
        return document

    def cleanup(self, context):
        raise ValueError("not clean")
"""


@pytest.fixture
def snaps(room: Room) -> Iterator[Path]:
    """A file of snaps beside the manifest."""
    file = room.folder / "own_line_snaps.py"
    file.write_text(SNAPS)
    yield file
    sys.modules.pop("own_line_snaps", None)


def call(name: str) -> dict[str, object]:
    return {"snap": "python", "id": name, "with": {"call": f"own_line_snaps:{name}"}}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("function", "KeyError at own_line_snaps.py:5"),
        ("Each", "JSONDecodeError at own_line_snaps.py:16"),
        ("waits", "KeyError at own_line_snaps.py:5"),
        ("tasks", "ExceptionGroup at own_line_snaps.py:30"),
        ("exits", "SystemExit at own_line_snaps.py:34"),
        ("asks", "HTTPStatusError at own_line_snaps.py:40"),
        ("Cleans", "ValueError at own_line_snaps.py:48"),
    ],
)
def test_a_failure_says_where(room: Room, snaps: Path, name: str, reason: str) -> None:
    """The innermost line that is the author's: not that of a library, nor of the engine; sync and async."""
    with pytest.raises(StepError) as caught:
        room.run(call("one"), call(name))
    assert caught.value.reason == reason
    assert f"{reason}." in str(caught.value)


def test_a_document_that_fails_says_where(room: Room, snaps: Path) -> None:
    """In the error view too."""
    result = room.run(call("one"), call("Each"), on_error="collect")
    assert [record.reason for record in result.errors] == ["JSONDecodeError at own_line_snaps.py:16"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os\nimport nowhere_to_be_found\n", "ModuleNotFoundError at own_line_snaps.py:2"),
        ("def one(:\n", "SyntaxError at own_line_snaps.py:1"),
    ],
)
def test_a_file_that_cannot_be_imported(room: Room, snaps: Path, text: str, reason: str) -> None:
    """A module of snaps that fails while it is imported is told by its own line."""
    snaps.write_text(text)
    with pytest.raises(StepError) as caught:
        room.run(call("one"))
    assert caught.value.reason == reason


def test_where_no_line_is_an_authors(room: Room) -> None:
    """A library's function that is called as a snap: none is named."""
    step = {"snap": "python", "with": {"call": "json:loads"}}
    with pytest.raises(StepError) as caught:
        room.run(step)
    assert caught.value.reason == "TypeError"


def caught_in(run: Callable[[], object]) -> BaseException:
    try:
        run()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_from_where_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folder that is given, else from the working directory, else as it is."""
    file = tmp_path / "deep" / "own.py"
    error = caught_in(lambda: exec(compile("\n1 / 0", file, "exec"), {}))
    monkeypatch.chdir(tmp_path / "..")
    assert at_line(error, tmp_path / "deep") == " at own.py:2"
    assert at_line(error) == f" at {file.relative_to(tmp_path.parent)}:2"
    assert at_line(error, tmp_path / "elsewhere") == at_line(error)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert at_line(error) == f" at {file.resolve()}:2"
