"""docs/errors.md and the sources speak of the same errors; and no error carries what it must not."""

from __future__ import annotations

import ast
import importlib
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from connector import errors
from connector.errors import ConnectorError, Problem

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "errors.md"
# The sandbox answers with OAuth errors of its own: no part of what this package raises.
SOURCES = [
    file
    for folder in ("connector", "plugins")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "sandbox" not in file.parts
]


def texts(node: ast.expr) -> Iterator[str]:
    """The codes an expression may have; ``*`` where a part is put in at run time."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(part.value if isinstance(part, ast.Constant) else "*" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from texts(one)
            yield from texts(other)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from texts(part)


def takers(tree: ast.Module) -> dict[str, int]:
    """Functions of a file that take a code by position: at which."""
    return {
        node.name: names.index("code")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "code" in (names := [word.arg for word in node.args.args])
    }


def of_a_table(node: ast.Assign) -> list[ast.expr]:
    """The codes of ``code, message = {"case": ("the_code", "the message"), ...}[case]``."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Subscript(value=ast.Dict(values=rows))):
            words = [ast.unparse(name) for name in names]
            if "code" in words:
                return [row.elts[words.index("code")] for row in rows if isinstance(row, ast.Tuple)]
    return []


def in_sources() -> dict[str, str]:
    """Every code in the sources, and one place where it stands."""
    found: dict[str, str] = {}
    for file in SOURCES:
        tree = ast.parse(file.read_text("utf-8"))
        places = takers(tree)
        for node in ast.walk(tree):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call):
                values = [word.value for word in node.keywords if word.arg == "code"]
                place = places.get(ast.unparse(node.func), len(node.args))
                values += node.args[place : place + 1]
            elif isinstance(node, ast.Assign):
                values = of_a_table(node)
            elif isinstance(node, ast.ClassDef):
                values = [
                    line.value
                    for line in node.body
                    if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code"
                ]
            for value in values:
                for text in filter(None, texts(value)):
                    found.setdefault(text, f"{file.relative_to(ROOT)}:{value.lineno}")
    return found


def classes() -> list[type[ConnectorError]]:
    """All error classes of the package."""
    for file in SOURCES:
        if "class " in (text := file.read_text("utf-8")) and "Error" in text:
            package = "connector." + (file.parent.name + "." if file.parent.name == "plugins" else "")
            parts = file.relative_to(ROOT / file.relative_to(ROOT).parts[0]).with_suffix("").parts
            if parts[-1] != "__main__":
                importlib.import_module((package + ".".join(parts)).removesuffix(".__init__"))
    found, todo = [], [ConnectorError]
    while todo:
        cls = todo.pop()
        if cls.__module__.startswith("connector"):
            found.append(cls)
            todo += cls.__subclasses__()
    return sorted(set(found), key=lambda cls: cls.__name__)


def test_each_code_is_documented_and_each_documented_code_exists() -> None:
    """A row of a table per code, no more, no less."""
    written = set(re.findall(r"^\| `([a-z_*]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    used = in_sources()
    assert {code: used[code] for code in sorted(used.keys() - written)} == {}, "not in docs/errors.md"
    assert sorted(written - used.keys()) == [], "in docs/errors.md only"


def test_each_class_is_documented() -> None:
    """Every class stands on the page."""
    page = PAGE.read_text("utf-8")
    assert [cls.__name__ for cls in classes() if f"`{cls.__name__}`" not in page] == []


def made(cls: type[ConnectorError]) -> ConnectorError:
    if issubclass(cls, errors.ManifestError):
        return cls([Problem(file="m.yaml", line=1, column=2, message="wrong")], code="not_found")
    return cls("it failed", code="a_code", reason="no reason", resolution="try again")


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_each_class_pickles(cls: type[ConnectorError]) -> None:
    """An error crosses to another process with all it says, and its class keeps a code of its own."""
    error = made(cls)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error)
    # httpx's own attribute of an unsent request, None, is left behind.
    assert vars(again) == {name: value for name, value in vars(error).items() if not name.startswith("_")}
    assert re.fullmatch("[a-z_]+", cls.code)


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_no_class_carries_a_request(cls: type[ConnectorError]) -> None:
    """httpx attaches the request to what passes through its client: of ours only method and URL are kept."""
    error = made(cls)
    with pytest.raises((RuntimeError, AttributeError)):
        _ = error.request  # type: ignore[attr-defined]
    if isinstance(error, httpx.RequestError):
        error.request = httpx.Request(
            "POST", "https://a/b?token=CANARY", headers={"Authorization": "Bearer CANARY"}, content=b"CANARY"
        )
        kept = error.request
        assert (kept.method, str(kept.url)) == ("POST", "https://a/b")
        assert b"CANARY" not in pickle.dumps(error)
        assert "CANARY" not in f"{kept.headers} {kept.read()!r}"
