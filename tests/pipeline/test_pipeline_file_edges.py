"""Edges of ``file.read`` and ``file.write``: appending, broken files, and what is no JSON."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
from typing import Any

import pytest
from pipeline_room import Room, source_of

from connector.result import StepError


def save(path: str, **options: Any) -> dict[str, Any]:
    """A step that writes a file."""
    return {"snap": "file.write", "with": {"path": path, **options}}


def load(path: str, **options: Any) -> dict[str, Any]:
    """A step that reads a file."""
    return {"snap": "file.read", "with": {"path": path, **options}}


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv"])
def test_appending_keeps_to_the_columns_of_the_file(room: Room, name: str) -> None:
    """Whatever the order of the new documents' fields; one with a field more is an error."""
    room.run(source_of([{"id": "1", "name": "a"}]), save(name))
    result = room.run(
        source_of([{"name": "b", "id": "2"}, {"id": "3", "more": "c"}, {"id": "4"}]),
        save(name, append=True),
        on_error="collect",
    )
    assert result.errors[0].message == "There is no column for more"
    assert room.documents(load(name)) == [
        {"id": "1", "name": "a"},
        {"id": "2", "name": "b"},
        {"id": "4", "name": ""},
    ]


def test_appending_other_columns_is_refused(room: Room) -> None:
    """The file stays as it was."""
    (room.folder / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(StepError, match="has other columns already"):
        room.run(source_of([{"b": 1}]), save("x.csv", append=True, columns=["b", "a"]))
    assert (room.folder / "x.csv").read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "utf-8-sig", "latin-1", "shift_jis"])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.jsonl.gz"])
def test_appending_in_every_encoding(room: Room, encoding: str, name: str) -> None:
    """One byte order mark at most, and only at the beginning."""
    for n in "123":
        room.run(source_of([{"n": n}]), save(name, encoding=encoding, append=True))
    assert room.documents(load(name, encoding=encoding)) == [{"n": "1"}, {"n": "2"}, {"n": "3"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_appending_after_half_a_line(room: Room, encoding: str) -> None:
    """A run that was killed left half a line; the next one begins a line of its own."""
    file = room.folder / "x.jsonl"
    file.write_bytes('{"n": 1}\n{"n":'.encode(encoding))
    room.run(source_of([{"n": 2}]), save("x.jsonl", encoding=encoding, append=True))
    result = room.run(load("x.jsonl", encoding=encoding), on_error="collect")
    assert result.documents == 2
    assert [record.message for record in result.errors] == ["Line 2 of x.jsonl cannot be read"]


def test_a_quote_that_never_ends(room: Room) -> None:
    """It is an error with its line, not the rest of the file as one field."""
    (room.folder / "x.csv").write_text('a,b\n1,2\n3,"4\n5,6\n')
    result = room.run(load("x.csv"), on_error="collect")
    assert (result.documents, result.error_count) == (1, 1)
    assert "end of data" in result.errors[0].reason


def test_bad_bytes_inside_a_field_of_several_lines(room: Room) -> None:
    """The whole row is refused: no document with half of its text goes on."""
    (room.folder / "x.csv").write_bytes(b'a,b\n1,"x\n\xff\ny"\n3,4\n')
    kept: list[Any] = []

    def keep(documents: Any, context: Any) -> Any:
        for document in documents:
            kept.append(document)
            yield document

    result = room.run(load("x.csv"), keep, on_error="collect")
    assert kept == [{"a": "3", "b": "4"}]
    assert result.errors[0].document is not None
    assert result.errors[0].document["line"] == 4


@pytest.mark.parametrize(
    "text",
    [
        '{"n": NaN}',
        '{"n": -Infinity}',
        "[" * 100_000,
        '{"n": ' + "9" * 5_000 + "}",
        '{"n": 1e400}',
        '{"n": [-1e999]}',
    ],
)
def test_what_is_no_json(room: Room, text: str) -> None:
    """NaN, depth and numbers without end are bad lines, and a bad file."""
    (room.folder / "x.jsonl").write_text(text + '\n{"n": 1}\n')
    result = room.run(load("x.jsonl"), on_error="collect")
    assert (result.documents, result.error_count) == (1, 1)
    (room.folder / "x.json").write_text(text)
    with pytest.raises(StepError, match=r"x\.json (is not JSON|cannot be read)"):
        room.run(load("x.json"))


def test_a_full_disk(room: Room) -> None:
    """What the system says is told, with the file's name."""
    with pytest.raises(StepError, match=r"/dev/full cannot be written[.] No space left"):
        room.run(source_of([{"n": 1}]), save("/dev/full", format="jsonl"))


def test_an_interrupt_leaves_the_old_file(room: Room) -> None:
    """Ctrl-C after a thousand documents: the old file, and nothing beside it."""
    file = room.path("x.jsonl.gz", gzip.compress(b'{"n": 0}\n'))

    def interrupted(documents: Any, context: Any) -> Any:
        yield from ({"n": n} for n in range(1_000))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        room.run(interrupted, save("x.jsonl.gz"))
    assert list(room.folder.iterdir()) == [file]
    assert room.documents(load("x.jsonl.gz")) == [{"n": 0}]


def test_parts_of_killed_writers_are_removed(room: Room) -> None:
    """When the same file is written again; never one that is being written, is young, or is another file's."""
    names = {".x.jsonl.00000000.part", ".x.jsonl.11111111.part", ".x.jsonl.22222222.part"}
    others = {".y.jsonl.00000000.part", ".x.jsonl.notes.part"}
    for name in names | others:
        os.utime(room.path(name, "half"), (1_000_000_000, 1_000_000_000))
    room.path(".x.jsonl.22222222.part", "of a process that began after this one")
    with (room.folder / ".x.jsonl.11111111.part").open("ab") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        room.run(source_of([{"n": 1}]), save("x.jsonl"))
    left = {path.name for path in room.folder.iterdir()}
    assert left == {"x.jsonl", ".x.jsonl.11111111.part", ".x.jsonl.22222222.part", *others}


def test_a_part_is_locked_while_it_is_written(room: Room) -> None:
    """Another process sees by that lock that somebody is at work; a killed writer holds none."""
    locked: list[bool] = []

    def looks(documents: Any, context: Any) -> Any:
        for document in documents:
            [part] = room.folder.glob(".x.jsonl.*.part")
            with part.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    locked.append(True)
            yield document

    room.run(source_of([{"n": 1}]), save("x.jsonl"), looks)
    assert locked == [True]


def test_a_link_is_followed(room: Room) -> None:
    """A symbolic link keeps pointing where it points; the file behind it is replaced."""
    behind = room.path("behind.jsonl", "old\n")
    (room.folder / "x.jsonl").symlink_to(behind)
    room.run(source_of([{"n": 1}]), save("x.jsonl"))
    assert (room.folder / "x.jsonl").is_symlink()
    assert json.loads(behind.read_text()) == {"n": 1}
