"""map, filter and python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pipeline_room import Room, source_of

from connector.result import StepError

INVOICES = source_of([{"id": 1, "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": 2, "lines": []}])


def shape(expression: Any) -> dict[str, Any]:
    """A map step."""
    return {"snap": "map", "with": {"expression": expression}}


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ("{n: id}", [{"n": 1}, {"n": 2}]),
        ({"n": "id", "first": "lines[0].sku"}, [{"n": 1, "first": "a"}, {"n": 2, "first": None}]),
        ("lines", [{"sku": "a"}, {"sku": "b"}]),
    ],
)
def test_map(room: Room, expression: Any, made: list[Any]) -> None:
    """One object, fields one by one, or a list of objects that become documents."""
    assert room.documents(INVOICES, shape(expression)) == made


@pytest.mark.parametrize("expression", ["id", "nothing", "lines[].sku", "abs(lines)"])
def test_map_errors_are_the_documents(room: Room, expression: str) -> None:
    """What is no object fails for its document only."""
    result = room.run(source_of([{"id": 1, "lines": [{"sku": "a"}]}]), shape(expression), on_error="collect")
    assert (result.documents, result.error_count) == (0, 1)


@pytest.mark.parametrize(("where", "ids"), [("id > `1`", [2]), ("lines", [1]), ("`0`", [1, 2]), ("x", [])])
def test_filter(room: Room, where: str, ids: list[int]) -> None:
    """True by JMESPath's rules: empty is false, zero is true."""
    got = room.documents(INVOICES, {"snap": "filter", "with": {"where": where}})
    assert [document["id"] for document in got] == ids


@pytest.fixture
def module(room: Room) -> Iterator[str]:
    """A module beside the manifest."""
    (room.folder / "own_snaps.py").write_text(
        "def tag(documents, context, *, word='x'):\n"
        "    for document in documents:\n"
        "        yield {**document, 'tag': word}\n"
        "async def slow(documents, context):\n"
        "    async for document in documents:\n"
        "        yield {'slow': document['id']}\n"
        "class Each:\n"
        "    def __init__(self, *, by):\n"
        "        self.by = by\n"
        "    def process(self, document, context):\n"
        "        return {'id': document['id'] * self.by}\n"
    )
    yield "own_snaps"
    sys.modules.pop("own_snaps", None)


@pytest.mark.parametrize(
    ("call", "options", "made"),
    [("tag", {"word": "y"}, {"tag": "y"}), ("slow", {}, {"slow": 1}), ("Each", {"by": 5}, {"id": 5})],
)
def test_python(room: Room, module: str, call: str, options: Any, made: dict[str, Any]) -> None:
    """A function, an async generator or a class of one's own, found beside the manifest."""
    step = {"snap": "python", "with": {"call": f"{module}:{call}", "options": options}}
    path = list(sys.path)
    got = room.documents(INVOICES, step)[0]
    assert made.items() <= got.items()
    assert sys.path == path


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("own_snaps:tags", "own_snaps:tag"),
        ("no_such_module:f", "beside the manifest"),
        ("own_snaps:Each", "by"),
    ],
)
def test_python_errors(room: Room, module: str, call: str, said: str) -> None:
    """A name that is not there, a module that is not there, options that do not fit."""
    with pytest.raises(StepError, match=said) as caught:
        room.run(INVOICES, {"snap": "python", "with": {"call": call}})
    assert caught.value.step == "python"


def test_python_namesakes(room: Room, module: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A second manifest's module of the same name is refused, not silently replaced by the first's."""
    step = {"snap": "python", "with": {"call": "own_snaps:tag"}}
    room.run(INVOICES, step)
    other = Room(tmp_path_factory.mktemp("other"))
    (other.folder / "own_snaps.py").write_text("def tag(documents, context): return []\n")
    with pytest.raises(StepError, match="Another module"):
        other.run(INVOICES, step)
