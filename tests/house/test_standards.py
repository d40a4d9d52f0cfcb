"""docs/standards.md keeps its word: each test it names exists, and no cell is empty."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "standards.md"
HEAD = ["section", "what it demands", "what shows it"]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_RFCS = (6749, 6750, 7636, 8252, 8414, 8628, 7009, 7662, 9126, 9207, 9449, 9700, 7523, 8693, 8705, 8707, 9470)


def rows() -> list[tuple[int, list[str]]]:
    """Every row of every table: its line and its cells."""
    found = []
    for number, line in enumerate(PAGE.read_text("utf-8").splitlines(), 1):
        if line.startswith("|") and not line.startswith("|---"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells != HEAD:
                found.append((number, cells))
    return found


def names_in(path: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    }


def test_every_test_that_is_named_exists() -> None:
    """A renamed or deleted test takes its row along, or fails here."""
    missing = []
    for number, cells in rows():
        for path, name in _NAMED.findall(cells[-1]):
            if not (ROOT / path).is_file() or name not in names_in(path):
                missing.append(f"docs/standards.md:{number}: {path}::{name}")
    assert not missing, "\n".join(missing)


def test_enough_rows_name_a_test() -> None:
    """At least eighty, and the ones that name none say why."""
    assert sum(bool(_NAMED.search(cells[-1])) for _, cells in rows()) >= 80
    silent = [
        f"docs/standards.md:{number}"
        for number, cells in rows()
        if not _NAMED.search(cells[-1])
        and not cells[-1].startswith(("does not apply: ", "**does not hold yet**: "))
    ]
    assert not silent, "\n".join(silent)


def test_no_cell_is_empty() -> None:
    """Three cells in each row, with something in each, and nothing that only looks like the name of a test."""
    for number, cells in rows():
        assert len(cells) == 3, f"docs/standards.md:{number}"
        assert all(cells), f"docs/standards.md:{number}"
        assert cells[-1].count(".py::") == len(_NAMED.findall(cells[-1])), f"docs/standards.md:{number}"
        assert re.match(r"\d", cells[0]), f"docs/standards.md:{number}"


def test_no_row_stands_there_twice() -> None:
    """One demand, one row."""
    seen: dict[tuple[str, str], int] = {}
    chapter = ""
    for number, line in enumerate(PAGE.read_text("utf-8").splitlines(), 1):
        chapter = line if line.startswith("## ") else chapter
        if line.startswith("| "):
            assert (chapter, line) not in seen, (
                f"docs/standards.md:{number}: as in line {seen[chapter, line]}"
            )
            seen[chapter, line] = number


def test_every_specification_has_its_table() -> None:
    """A heading that leads to the RFC, and rows below it."""
    chapters = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    found = {
        int(number): text.count("\n| ")
        for text in chapters
        for number in re.findall(r"/rfc/rfc(\d+)\)", text)
    }
    assert set(found) == set(_RFCS)
    assert all(count >= 3 for count in found.values()), found
