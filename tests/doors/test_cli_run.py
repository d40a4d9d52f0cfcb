"""`connector run`: pipelines that end badly, snaps that behave badly, and where their words and data go."""

from __future__ import annotations

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
