"""What a stranger sees of the package: its names, its words, its size."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import connector

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "connector").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
MOST_LINES = 400


def test_the_surface_is_sorted_and_whole() -> None:
    """`__all__` is sorted and names exactly what `connector/__init__.py` imports for others."""
    assert connector.__all__ == sorted(connector.__all__)
    tree = ast.parse((ROOT / "connector" / "__init__.py").read_text("utf-8"))
    brought = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert sorted(brought) == connector.__all__
    for name in connector.__all__:
        assert getattr(connector, name).__doc__, name


def undocumented(node: ast.AST, name: str) -> Iterator[str]:
    """Public classes and functions below a node without a docstring; a class may speak for its attributes."""
    told = (ast.get_docstring(node) or "") if isinstance(node, ast.ClassDef) else ""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if child.name.startswith("_") or re.search(rf"^\s*{child.name}\b.*:", told, re.MULTILINE):
            continue
        if any(
            "setter" in ast.unparse(mark) or "overload" in ast.unparse(mark) for mark in child.decorator_list
        ):
            continue
        if ast.get_docstring(child) is None:
            yield f"{name}:{child.lineno}: {child.name}"
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, name)


def test_everything_public_says_what_it_is() -> None:
    """Each module, and each public class, method and function, has a docstring."""
    missing = []
    for file in SOURCES:
        tree, name = ast.parse(file.read_text("utf-8")), str(file.relative_to(ROOT))
        if ast.get_docstring(tree) is None:
            missing.append(f"{name}:1: the module")
        missing += undocumented(tree, name)
    assert not missing, "\n".join(missing)


def test_no_file_is_too_long() -> None:
    """A file is one subject; beyond 400 lines it is two."""
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in SOURCES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_each_dependency_is_named_once() -> None:
    """What pip shows of the package names nothing twice, in the extras neither."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for listed in (project["dependencies"], *project["optional-dependencies"].values()):
        names = [re.split(r"[\[<>=~! ]", each)[0].lower() for each in listed]
        assert len(names) == len(set(names)), names


# Put together here, so that this file does not hold them.
_MACHINE = re.compile(
    "|".join([r"/ro{1}ot/", r"/ho{1}me/[a-z]", r"/Us{1}ers/[A-Za-z]", r"/wo{1}rk/", r"C:\\{1,2}Us{1}ers"])
)


def test_no_path_of_a_machine_is_tracked() -> None:
    """Nothing that is handed out knows where it was made."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    wrong = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        file = ROOT / name
        if not file.is_file():
            continue
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
            if _MACHINE.search(line):
                wrong.append(f"{name}:{number}: {line.strip()[:80]}")
    assert not wrong, "\n".join(wrong)
