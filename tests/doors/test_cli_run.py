"""`connector run`: pipelines that end badly, snaps that behave badly, and where their words and data go."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

STEP = "      - {snap: python, with: {call: 'door_snaps:NAME'}}\n"


@pytest.fixture
def pipelines(folder: Path) -> Iterator[Callable[..., None]]:
    """Writes a manifest of pipelines, each a list of functions of a module beside it."""

    def write(code: str, **named: list[str]) -> None:
        (folder / "door_snaps.py").write_text(code, "utf-8")
        text = "version: 1\nstore: 'memory:'\npipelines:\n"
        for name, calls in named.items():
            steps = (c if c.startswith(" ") else STEP.replace("NAME", c) for c in calls)
            text += f"  {name}:\n    snaps:\n" + "".join(steps)
        (folder / "manifest.yaml").write_text(text, "utf-8")

    yield write
    sys.modules.pop("door_snaps", None)


EXITS = """
import sys
def three(documents, context):
    yield from ({"n": n} for n in range(3))
def leaves(documents, context):
    for document in documents:
        sys.exit(42)
        yield document
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_snap_that_exits(call: Any, pipelines: Any, jobs: str) -> None:
    """`sys.exit` in a snap is the failure of its pipeline: the others run, and the outcome is told."""
    pipelines(EXITS, bad=["three", "leaves"], good=["three"])
    done = call("run", "--json", "--jobs", jobs)
    assert done.code == 1
    assert "sys.exit(42)" in done.json["pipelines"]["bad"]["error"]
    assert done.json["pipelines"]["good"]["documents"] == 3
    assert "sys.exit(42)" in done.err


COUNTS = """
def three(documents, context):
    yield from ({"n": n} for n in range(3))
"""
SAVES = "      - {snap: file.write, with: {path: out/same.jsonl}}\n"


def test_two_pipelines_that_write_one_file(call: Any, pipelines: Any, folder: Path) -> None:
    """Run together the second would replace what the first wrote: nothing is run. One by one they may."""
    pipelines(COUNTS, one=["three", SAVES], two=["three", SAVES])
    done = call("run")
    assert (done.code, done.out) == (2, "")
    assert (
        "/pipelines/two/snaps/1/with/path: the pipeline 'one' of this run writes to the same place"
        in done.err
    )
    assert not (folder / "out").exists()
    assert call("check").code == call("run", "one").code == call("run", "two").code == 0


def test_a_relative_path_without_a_base_url(call: Any, folder: Path) -> None:
    """It is found by `check`, with its place, for a step without account and for an account of bare URLs."""
    text = (
        (folder / "manifest.yaml").read_text("utf-8").replace("path: https://login.example.com/x", "path: /x")
    )
    text += "  none:\n    snaps:\n      - {snap: http.write, with: {path: /y}}\n"
    (folder / "manifest.yaml").write_text(text, "utf-8")
    first, second, _ = call("check").err.splitlines()
    assert "needs/snaps/0/with/path: path is no whole URL, and the account 'person' has no base URL" in first
    assert "none/snaps/0/with/path: path is no whole URL, and the step has no account" in second


TALKS = """
print("at the door")
def three(documents, context):
    for n in range(3):
        print("hello", n)
        yield {"n": n}
def fails(documents, context):
    for document in documents:
        yield document
        if document["n"] == 1:
            raise ValueError("two is too many")
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_snaps_print(call: Any, pipelines: Any, jobs: str) -> None:
    """A `print` in a snap is words on standard error: the data on standard output stays what it is."""
    pipelines(TALKS, one=["three"], two=["three"])
    done = call("run", "--json", "--jobs", jobs)
    assert done.json["pipelines"]["two"]["documents"] == 3
    assert done.err.count("hello 2") == 2
    shown = call("run", "one", "--preview")
    assert shown.out.splitlines() == ['{"n": 0}', '{"n": 1}', '{"n": 2}']


def test_a_snap_that_fails_is_told_with_its_line(process: Any, pipelines: Any) -> None:
    """Without asking only the line; with -vv the way there, source lines and no values of variables."""
    code = (
        "def three(documents, context):\n"
        "    secret = 'CAN' + 'ARY'\n"
        "    yield from look(documents, secret)\n"
        "def look(documents, held):\n"
        "    yield {}[len(held)]\n"
    )
    pipelines(code, p=["three"])
    done = process("run", "-q")
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: Step 'python' of pipeline 'p' failed: 6. KeyError at door_snaps.py:5.\n"
    asked = process("-vv", "run", "-q").err
    assert 'door_snaps.py", line 3, in three\n    yield from look(documents, secret)' in asked
    assert 'door_snaps.py", line 5, in look' in asked
    assert asked.endswith(done.err)
    assert "CANARY" not in asked


def test_previews_of_several(call: Any, pipelines: Any) -> None:
    """With --json they come by pipeline; as lines they could not be told apart, so that is refused."""
    pipelines(TALKS, one=["three"], two=["three"])
    told = call("run", "--preview", "2", "--json").json
    assert told["preview"] == {name: [{"n": 0}, {"n": 1}] for name in ("one", "two")}
    assert call("run", "one", "--preview", "1", "--json").json["preview"] == {"one": [{"n": 0}]}
    refused = call("run", "--preview")
    assert (refused.code, refused.out) == (2, "")
    assert "one, two" in refused.err


def test_a_failed_pipeline_keeps_its_numbers(call: Any, pipelines: Any) -> None:
    """What it had done until then is in the table and in the JSON; the last line of progress says the same."""
    pipelines(TALKS, bad=["three", "fails"], good=["three"])
    done = call("run", "--json")
    bad = done.json["pipelines"]["bad"]
    assert (bad["result"], bad["documents"], bad["failed"]) == ("failed", 2, 1)
    assert [(step["documents_in"], step["documents_out"], step["errors"]) for step in bad["steps"]] == [
        (0, 2, 0),
        (2, 2, 1),
    ]
    row = next(line.split() for line in done.err.splitlines() if line.startswith("bad "))
    assert row[:4] == ["bad", "failed", "2", "1"]
    last = [line for line in done.err.splitlines() if line.startswith("bad: ")][-1]
    assert re.fullmatch(r"bad: 2 documents, [\d,]+/s, 1 failed", last)
    assert f"{row[-1]}/s" in last


def test_the_last_line_says_what_the_summary_says(call: Any) -> None:
    """Documents and documents a second, however short the run was."""
    lines = call("run", "invoices").err.splitlines()
    last = [line for line in lines if line.startswith("invoices: ")][-1]
    row = next(line.split() for line in lines if line.startswith("invoices "))
    assert last == f"invoices: {row[2]} documents, {row[-1]}/s"


READS = "      - {snap: file.read, with: {path: '-'}}\n"
WRITES = "      - {snap: file.write, with: {path: '-'}}\n"


def test_from_standard_input_to_standard_output(process: Any, pipelines: Any) -> None:
    """A pipeline may stand between two others of a shell; prints and words are no part of its data."""
    pipelines(
        "def loud(documents, context):\n    print('hello')\n    yield from documents\n",
        pipe=[READS, "loud", WRITES],
    )
    done = process("run", "pipe", stdin=b'{"n": "\xc3\xa4"}\nnope\n')
    assert (done.code, done.out) == (1, '{"n": "ä"}\n')
    assert "Line 2 of standard input cannot be read" in done.err
    assert "hello" in done.err
    shown = process("run", "pipe", "--preview", "1", stdin=b'{"n": 1}\n')
    assert (shown.code, shown.out) == (0, '{"n": 1}\n')


def test_standard_output_is_for_one(call: Any, pipelines: Any) -> None:
    """Not for --json and documents, nor for two pipelines or two steps."""
    pipelines(TALKS, one=["three", WRITES], two=["three", WRITES])
    taken = call("run", "one", "--json")
    assert (taken.code, taken.json["ok"], taken.json["code"]) == (2, False, "manifest")
    assert "/pipelines/one/snaps/1/with/path: --json writes there already" in taken.err
    assert call("run").code == 2
    assert call("run", "one").out.splitlines() == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
    pipelines(TALKS, one=["three", WRITES, WRITES])
    assert call("check").code == 2
