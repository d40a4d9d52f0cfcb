"""YAML text to values with places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connector import yamlfile
from connector.errors import ManifestError
from connector.yamlfile import join
from connector.yamlnode import MAX_DEPTH


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("12:30", "12:30"),
        ("2026-11-24", "2026-11-24"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("17", 17),
        ("-1.5e3", -1500.0),
        ("1.", 1.0),
        (".nan", ".nan"),
        ('"0123"', "0123"),
        ("0", 0),
        ("= x", "= x"),
    ],
)
def test_only_what_looks_like_it_is_special(text: str, value: object) -> None:
    """Only true/false are booleans, only decimal digits numbers, and nothing a date."""
    data = yamlfile.read_text(f"a: {text}").data["a"]
    assert data == value
    assert type(data) is type(value)


def test_places_of_values_and_keys() -> None:
    """Each value and each key has its line and column."""
    document = yamlfile.read_text("a:\n  b/c: [1, {d~: x}]\n")
    assert document.marks == {
        "": (1, 1),
        "/a": (2, 3),
        "/a/b~1c": (2, 8),
        "/a/b~1c/0": (2, 9),
        "/a/b~1c/1": (2, 12),
        "/a/b~1c/1/d~0": (2, 17),
    }
    assert document.keys["/a/b~1c/1/d~0"] == (2, 13)
    assert document.where("/a/x/y") == (2, 3)


def test_an_alias_has_the_place_of_the_alias() -> None:
    """The value of an alias is the anchor's, and problems inside it lead to where it was written."""
    document = yamlfile.read_text("a: &x {b: 1}\nc: *x\n")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.marks["/c/b"] == document.marks["/a/b"]


KEYS = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=5)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(DATA, st.booleans())
def test_values_survive_and_places_hold_them(data: object, flow: bool) -> None:
    """What PyYAML writes is read back the same, and at each key's place the text begins with that key."""
    text = yaml.safe_dump(data, default_flow_style=flow, default_style='"', allow_unicode=True, width=10**6)
    text = (
        text.replace('!!null "null"', "null")
        .replace('!!bool "true"', "true")
        .replace('!!bool "false"', "false")
    )
    text = re.sub(r'!!int "(-?[0-9]+)"', r"\1", text)
    document = yamlfile.read_text(text)
    assert document.data == data
    lines = text.split("\n")
    for pointer, (line, column) in document.keys.items():
        name = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        assert yaml.safe_load(_quoted(lines[line - 1][column - 1 :])) == name
    for pointer, (line, column) in document.marks.items():
        assert len(lines[line - 1]) >= column or not data, pointer


def _quoted(text: str) -> str:
    """The quoted text that a line begins with (an explicit key's `? ` left out)."""
    end = 1
    while text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    return text[: end + 1]


def test_pointers_escape_what_they_must() -> None:
    """RFC 6901 section 3: ~ is ~0 and / is ~1."""
    assert join("/a", "b/c", 0, "~") == "/a/b~1c/0/~0"


def test_several_documents_where_they_are_allowed(tmp_path: Path) -> None:
    """read_all gives each document its own places; read wants one."""
    file = tmp_path / "e.yaml"
    file.write_text("a: 1\n---\na: 2\n")
    assert [d.data for d in yamlfile.read_all(file)] == [{"a": 1}, {"a": 2}]
    assert yamlfile.read_all(file)[1].where("/a") == (3, 4)
    with pytest.raises(ManifestError, match="second document"):
        yamlfile.read(file)


def test_all_readable_mistakes_of_a_file_come_at_once() -> None:
    """Duplicate keys, tags and doubtful numbers do not hide each other."""
    with pytest.raises(ManifestError) as caught:
        yamlfile.read_text("a: 0123\nb: !x y\na: 1\n")
    assert [(p.line, p.column) for p in caught.value.problems] == [(1, 4), (2, 4), (3, 1)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: \xff", "0xff is not UTF-8"),
        ("a: ü".encode("utf-16"), "UTF-16"),
        (b"a: \x00", "U+0000"),
        (b"a:\n  b: \xc3\x28", "2:6"),
    ],
)
def test_bytes_that_are_no_text(content: bytes, words: str) -> None:
    """Other encodings and control characters are named with their place."""
    with pytest.raises(ManifestError) as caught:
        yamlfile.read_text(content)
    assert words in str(caught.value)


def test_a_byte_order_mark_is_no_matter() -> None:
    """A UTF-8 BOM is dropped, and shifts no column."""
    assert yamlfile.read_text(b"\xef\xbb\xbfa: 1").marks["/a"] == (1, 4)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """Missing files and folders are told, with the name a near miss suggests."""
    (tmp_path / "m.yml").write_text("a: 1")
    with pytest.raises(ManifestError, match=r"did you mean m\.yml") as caught:
        yamlfile.read(tmp_path / "m.yaml")
    assert caught.value.code == "not_found"
    assert (caught.value.line, caught.value.column) == (1, 1)
    with pytest.raises(ManifestError, match="folder"):
        yamlfile.read(tmp_path)
    with pytest.raises(ManifestError, match="no such file"):
        yamlfile.read(tmp_path / "x" / "y.yaml")


def test_reading_costs_no_recursion() -> None:
    """The deepest allowed text is read from a nearly full stack of any size; one level more is refused."""
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert yamlfile.read_text(deepest).data
    with pytest.raises(ManifestError, match="levels deep"):
        yamlfile.read_text("[" + deepest + "]")
    with pytest.raises(ManifestError, match="levels deep"):
        yamlfile.read_text("".join(" " * i + "-\n" for i in range(900)))


def test_a_moderate_alias_is_welcome() -> None:
    """Sharing a list between accounts is fine."""
    text = "a: &s [x, y]\n" + "".join(f"b{i}: *s\n" for i in range(100))
    assert yamlfile.read_text(text).data["b99"] == ["x", "y"]
