"""file.read and file.write: round trips, bad lines, and files that are whole or not there."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_room import Room, source_of

from connector.result import StepError

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NO_SURROGATES = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | NO_SURROGATES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NO_SURROGATES, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.dictionaries(NO_SURROGATES, VALUES, max_size=4), max_size=6)


def save(path: str, **options: Any) -> dict[str, Any]:
    """A step that writes a file."""
    return {"snap": "file.write", "with": {"path": path, **options}}


def load(path: str, **options: Any) -> dict[str, Any]:
    """A step that reads a file."""
    return {"snap": "file.read", "with": {"path": path, **options}}


@given(documents=DOCUMENTS, name=st.sampled_from(["x.jsonl", "x.json", "x.jsonl.gz", "x.ndjson"]))
def test_json_round_trip(documents: list[dict[str, Any]], name: str) -> None:
    """Whatever is written is read again."""
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder))
        room.run(source_of(documents), save(name))
        assert room.documents(load(name)) == documents


@given(
    names=st.lists(NO_SURROGATES, min_size=1, max_size=4, unique=True),
    data=st.data(),
    name=st.sampled_from(["x.csv", "x.tsv", "x.csv.gz"]),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
)
def test_csv_round_trip(names: list[str], data: st.DataObject, name: str, encoding: str) -> None:
    """Any text in any column, newlines, quotes and delimiters included."""
    row = st.fixed_dictionaries(dict.fromkeys(names, NO_SURROGATES))
    documents = data.draw(st.lists(row, max_size=5))
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder))
        room.run(source_of(documents), save(name, encoding=encoding))
        assert room.documents(load(name, encoding=encoding)) == documents


def test_csv_values(room: Room) -> None:
    """None is empty, booleans are lower case, what is nested is JSON; numbers come back as text."""
    room.run(source_of([{"a": None, "b": True, "c": {"d": [1]}, "e": 1.5}]), save("x.csv"))
    assert room.documents(load("x.csv")) == [{"a": "", "b": "true", "c": '{"d": [1]}', "e": "1.5"}]


def test_csv_columns(room: Room) -> None:
    """`columns` selects and orders; a document with other fields than the first is an error without it."""
    documents = source_of([{"a": "1", "b": "2"}, {"b": "3", "c": "4"}])
    room.run(documents, save("x.csv", columns=["b", "a"]))
    assert (room.folder / "x.csv").read_text() == "b,a\n2,1\n3,\n"
    with pytest.raises(StepError, match="no column for c"):
        room.run(documents, save("y.csv"))
    assert room.documents(load("x.csv", columns=["a"])) == [{"a": "1"}, {"a": ""}]
    with pytest.raises(StepError, match="has no column z"):
        room.run(load("x.csv", columns=["z"]))


def test_csv_without_header(room: Room) -> None:
    """Names are given or made."""
    (room.folder / "x.csv").write_text("1;2\n")
    assert room.documents(load("x.csv", header=False, delimiter=";", columns=["p", "q"])) == [
        {"p": "1", "q": "2"}
    ]
    assert room.documents(load("x.csv", header=False, delimiter=";")) == [{"column1": "1", "column2": "2"}]


def test_bad_lines(room: Room) -> None:
    """A line that cannot be read is told with its number; the lines around it are read."""
    (room.folder / "x.jsonl").write_bytes(b'{"n": 1}\n\nnope\n[1]\n{"n": "\xff"}\n{"n": 2}')
    result = room.run(load("x.jsonl"), on_error="collect")
    assert result.documents == 2
    assert [record.document["line"] for record in result.errors if record.document] == [3, 4, 5]
    (room.folder / "x.csv").write_bytes(b"a,b\n1,2\n1,2,3\n\xff,1\n3\n5,6\n")
    result = room.run(load("x.csv"), on_error="collect")
    assert result.documents == 2
    assert sorted(record.document["line"] for record in result.errors if record.document) == [3, 4, 5]
    with pytest.raises(StepError, match="Line 3"):
        room.run(load("x.jsonl"))


def test_bad_items(room: Room) -> None:
    """An item of a JSON array that would be a bad line is told with its number; the items around it are read."""
    items = b'[{"n": 1}, 7, {"n": 1e400}, {"n": "\xff"}, {"n": "\\ud800"}, {"n": 2}]'
    (room.folder / "x.json").write_bytes(items)
    result = room.run(load("x.json"), on_error="collect")
    assert result.documents == 3
    assert [record.message for record in result.errors] == [
        f"Item {n} of x.json cannot be read" for n in (2, 3, 4)
    ]
    assert [record.document["item"] for record in result.errors if record.document] == [2, 3, 4]
    with pytest.raises(StepError, match=r"Item 2 of x[.]json"):
        room.run(load("x.json"))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
def test_numbers_that_no_file_can_hold(room: Room, name: str, value: float) -> None:
    """They are errors of their documents in every format alike."""
    result = room.run(source_of([{"n": value}, {"n": 1}]), save(name), on_error="collect")
    assert (result.documents, result.error_count) == (1, 1)
    assert "inf" not in (room.folder / name).read_text()


def test_byte_order_mark(room: Room) -> None:
    """A mark that Excel leaves is no part of the first column's name."""
    (room.folder / "x.csv").write_bytes(b"\xef\xbb\xbfa\r\n1\r\n")
    assert room.documents(load("x.csv")) == [{"a": "1"}]


@pytest.mark.parametrize(
    "content", [b"not gzip", gzip.compress(b'{"n": 1}\n' * 99)[:-12]], ids=["none", "cut short"]
)
def test_broken_gzip(room: Room, content: bytes) -> None:
    """A file that was cut short is an error, not half of its documents."""
    (room.folder / "x.jsonl.gz").write_bytes(content)
    with pytest.raises(StepError, match="cannot be read"):
        room.run(load("x.jsonl.gz"))


@pytest.mark.parametrize(("name", "content"), [("x.json", "{"), ("x.json", "1"), ("x.csv", "a,a\n1,2\n")])
def test_bad_files(room: Room, name: str, content: str) -> None:
    """What is wrong with a file as a whole ends the run."""
    (room.folder / name).write_text(content)
    with pytest.raises(StepError):
        room.run(load(name), on_error="collect")


def test_missing_file(room: Room) -> None:
    """The error names the file."""
    with pytest.raises(StepError, match=r"nowhere\.jsonl cannot be read"):
        room.run(load("nowhere.jsonl"))


def test_reading_is_lazy(room: Room) -> None:
    """A preview of a file does not see the bad line behind it."""
    (room.folder / "x.jsonl").write_text('{"n": 1}\n' * 5 + "nope\n")
    assert room.run(load("x.jsonl"), run={"preview": 5}).documents == 5


def test_failed_run_leaves_the_old_file(room: Room) -> None:
    """The new file is there when all documents have come, and not before; nothing is left behind."""
    target = room.folder / "deep/x.jsonl"
    room.run(source_of([{"n": 1}]), save("deep/x.jsonl"))
    target.chmod(0o640)

    def breaks(documents: Any, context: Any) -> Any:
        yield {"n": 2}
        assert target.read_text() == '{"n": 1}\n'
        raise ValueError("broken")

    with pytest.raises(StepError):
        room.run(breaks, save("deep/x.jsonl"))
    assert [path.name for path in target.parent.iterdir()] == ["x.jsonl"]
    assert target.read_text() == '{"n": 1}\n'
    room.run(source_of([{"n": 3}]), save("deep/x.jsonl"))
    assert target.read_text() == '{"n": 3}\n'
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_file_may_be_read_and_written_in_one_pipeline(room: Room) -> None:
    """Since the new one replaces the old one only at the end."""
    (room.folder / "x.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    grow = {"snap": "map", "with": {"expression": {"n": "n", "old": "`true`"}}}
    room.run(load("x.jsonl"), grow, save("x.jsonl"))
    assert len(room.documents(load("x.jsonl"))) == 2


def test_append(room: Room) -> None:
    """Lines are added; a CSV gets its header once."""
    for n in range(2):
        room.run(source_of([{"n": n}]), save("x.csv", append=True))
        room.run(source_of([{"n": n}]), save("x.jsonl.gz", append=True))
    assert (room.folder / "x.csv").read_text() == "n\n0\n1\n"
    assert room.documents(load("x.jsonl.gz")) == [{"n": 0}, {"n": 1}]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv"])
def test_documents_that_cannot_be_written(room: Room, name: str) -> None:
    """They go to the error view, and leave no comma, no header and no half line behind."""
    bad = [{"n": "\ud800"}, {"n": "1"}, {"n": [float("nan")]}, {"n": "2"}]
    result = room.run(source_of(bad), save(name), on_error="collect")
    assert (result.documents, result.error_count) == (2, 2)
    assert room.documents(load(name)) == [{"n": "1"}, {"n": "2"}]


def test_empty_files(room: Room) -> None:
    """No documents: an empty file, an empty array, a header where columns are given."""
    for name, options in (("x.jsonl", {}), ("x.json", {}), ("x.csv", {"columns": ["a"]})):
        room.run(source_of([]), save(name, **options))
        assert room.documents(load(name)) == []
    assert json.loads((room.folder / "x.json").read_text()) == []
    assert (room.folder / "x.csv").read_text() == "a\n"


def test_format_by_hand(room: Room) -> None:
    """A name that says nothing needs a format."""
    room.run(source_of([{"n": 1}]), save("x.dat", format="jsonl"))
    assert room.documents(load("x.dat", format="jsonl")) == [{"n": 1}]


def test_a_folder_is_no_file(room: Room) -> None:
    """What cannot be opened is told, not thrown."""
    (room.folder / "x.jsonl").mkdir()
    with pytest.raises(StepError, match="cannot be"):
        room.run(source_of([{"n": 1}]), save("x.jsonl"))
