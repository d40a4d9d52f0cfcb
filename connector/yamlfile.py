"""YAML text -> plain values that remember where they stood.

Rules of this room: what YAML 1.1 reads in surprising ways is read as YAML 1.2's core schema does, or
refused: only true/false are booleans, only decimal digits are numbers, nothing is a date.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connector.errors import ManifestError, Problem
from connector.yamlnode import MAX_BYTES, Mark, Node, compose, decode, fatal

MAX_DIGITS = 40
MAX_PROBLEMS = 100  # more than anybody reads at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document.

    Attributes:
        file: the file as the person named it.
        data: dict, list, str, int, float, bool, None; keys are always text.
        marks: JSON pointer of a value -> its (line, column), counted from 1.
        keys: JSON pointer of a value -> (line, column) of its key.
        written: JSON pointer -> the text as written, for unquoted values that are, or look, special.
        problems: what is wrong though it could be read (duplicate keys, tags, doubtful numbers).
    """

    file: str
    data: Any = field(repr=False)
    marks: Mapping[str, Mark] = field(default_factory=dict, repr=False)
    keys: Mapping[str, Mark] = field(default_factory=dict, repr=False)
    written: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()

    def where(self, pointer: str, *, key: bool = False) -> Mark:
        """Line and column of a value (`key`: of its key), or of the nearest thing around it."""
        if key and pointer in self.keys:
            return self.keys[pointer]
        while pointer and pointer not in self.marks:
            pointer = pointer.rpartition("/")[0]
        return self.marks.get(pointer, (1, 1))

    def problem(self, pointer: str, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A Problem at the place of a value or of its key."""
        line, column = self.where(pointer, key=key)
        return Problem(file=self.file, line=line, column=column, pointer=pointer, message=message, hint=hint)


def join(pointer: str, *steps: str | int) -> str:
    """Append steps to a JSON pointer (RFC 6901)."""
    return pointer + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def read(path: str | Path) -> Document:
    """Read a file of exactly one document; raises ManifestError with all its problems."""
    documents = read_all(path)
    return one(documents)


def read_text(text: str | bytes, *, file: str = "<text>") -> Document:
    """The same for text at hand."""
    return one(parse(text, file=file))


def one(documents: list[Document]) -> Document:
    """The only document of a file; raises ManifestError with all problems, a second document among them."""
    problems = [problem for document in documents for problem in document.problems]
    if len(documents) > 1:
        message = "a second document begins here, and this file must hold one"
        problems.append(documents[1].problem("", message, "remove the line '---' before it"))
    if problems:
        raise ManifestError(problems)
    return documents[0]


def read_all(path: str | Path) -> list[Document]:
    """Read a file of one or more documents (``---`` between them). Raises ManifestError."""
    return parse(_bytes(Path(path).expanduser(), str(path)), file=str(path))


def parse(text: str | bytes, *, file: str = "<text>") -> list[Document]:
    """Parse text into documents; what is wrong but readable is in their `problems`.

    Raises ManifestError when the text cannot be read at all.
    """
    return [_document(root, problems, file) for root, problems in compose(decode(text, file), file)]


def _bytes(path: Path, file: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "give its path, or create it; `connector --help` shows where one is looked for"
        if near := [p.name for p in _siblings(path)]:
            hint = f"did you mean {near[0]}?"
        raise fatal(file, 1, 1, "there is no such file", hint, code="not_found") from None
    except IsADirectoryError:
        raise fatal(file, 1, 1, "this is a folder, not a file", code="not_found") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be a file's"
        raise fatal(file, 1, 1, f"cannot be read: {reason}", code="not_found") from None


def _siblings(path: Path) -> list[Path]:
    try:
        return [p for suffix in (".yaml", ".yml") if (p := path.with_suffix(suffix)) != path and p.is_file()]
    except (OSError, ValueError):
        return []


def _document(root: Node | None, problems: list[Problem], file: str) -> Document:
    reading = _Reading(file, problems)
    data = None if root is None else reading.value(root, "")
    return Document(
        file=file,
        data=data,
        marks=reading.marks,
        keys=reading.keys,
        written=reading.written,
        problems=tuple(sorted(reading.problems, key=lambda p: (p.line, p.column))),
    )


_TAGGED, _UNTAG = "tags (!...) are not read here", "remove the tag, or put the value in quotes"
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {w: w[0] in "tT" for w in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
# What other YAML readers take for something else than text: kept, so that a message can explain it.
_LOOKS_SPECIAL = re.compile(
    r"(?i:y|n|yes|no|on|off)|[-+]?[0-9][0-9_]*|0[xob][0-9a-fA-F_]+|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|[-+]?\.(?i:inf|nan)"
)


class _Reading:
    """Turns nodes into values. Recursion is safe here: the composer has bounded the depth."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file, self.problems = file, problems
        self.marks: dict[str, Mark] = {}
        self.keys: dict[str, Mark] = {}
        self.written: dict[str, str] = {}

    def value(self, node: Node, pointer: str) -> Any:
        self.marks[pointer] = (node.line, node.column)
        if node.tag is not None:
            self.report(node, pointer, _TAGGED, _UNTAG)
        if node.children is None:
            return self.scalar(node, pointer)
        if node.text == "list":
            return [self.value(child, join(pointer, i)) for i, (_, child) in enumerate(node.children)]
        return self.mapping(node.children, pointer)

    def mapping(self, pairs: list[tuple[Node | None, Node]], pointer: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, child in pairs:
            assert key is not None
            name = self.name(key, pointer)
            if name is None:
                continue
            at = join(pointer, name)
            if name in result:
                line, column = self.keys[at]
                message = f"the key {_short(name)} is given twice, first at {line}:{column}"
                self.report(key, at, message, "keep one of the two")
                continue
            self.keys[at] = (key.line, key.column)
            result[name] = self.value(child, at)
        return result

    def name(self, key: Node, pointer: str) -> str | None:
        if key.children is not None:
            hint = (
                "{{...}} is not filled in here; put text in quotes"
                if key.text == "map"
                else "put text in quotes"
            )
            self.report(key, pointer, f"a {'mapping' if key.text == 'map' else 'list'} cannot be a key", hint)
            return None
        text = key.text or ""
        if key.tag is not None:
            self.report(key, pointer, _TAGGED, _UNTAG)
            return None
        if key.plain and text == "<<":
            hint = "write the keys out; endpoints can build on each other with extends"
            self.report(key, pointer, "merge keys (<<) are not read here", hint)
            return None
        if not text.isprintable():
            odd = next(c for c in text if not c.isprintable())
            message = f"a key holds the character U+{ord(odd):04X}, which does not print"
            self.report(key, pointer, message, "type the key anew")
            return None
        kind = _kind(text) if key.plain and key.tag is None else ""
        if kind == "nothing":
            self.report(key, pointer, "a key is missing before this colon", "write `key: value`")
            return None
        if kind:
            self.report(
                key,
                join(pointer, text),
                f"a key must be text, and this is {kind}",
                f'put it in quotes: "{_short(text)}"',
            )
        return text

    def scalar(self, node: Node, pointer: str) -> Any:
        text = node.text or ""
        if any("\ud800" <= c <= "\udfff" for c in text):
            self.report(
                node, pointer, "half of a surrogate pair is not a character", "write the character itself"
            )
            return ""
        if node.tag is not None or not node.plain:
            return text
        if _LEADING_ZERO.fullmatch(text):
            # Without its digits: they may be a secret's.
            message = "a number that begins with 0 is read differently by different programs"
            self.report(
                node, pointer, message, "put it in quotes if it is text; drop the 0 if it is a number"
            )
            return text
        value = _resolve(text)
        if isinstance(value, str):
            if _LOOKS_SPECIAL.fullmatch(text):
                self.written[pointer] = text
            if _kind(text) == "a number":
                self.report(node, pointer, "this number is too large", "put it in quotes if it is text")
            return text
        self.written[pointer] = text
        return value

    def report(self, node: Node, pointer: str, message: str, hint: str) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            return
        self.problems.append(
            Problem(
                file=self.file,
                line=node.line,
                column=node.column,
                pointer=pointer,
                message=message,
                hint=hint,
            )
        )


def _resolve(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text) if len(text) <= MAX_DIGITS else text
    if _FLOAT.fullmatch(text) and len(text) <= MAX_DIGITS:
        value = float(text)
        return value if math.isfinite(value) else text
    return text


def _kind(text: str) -> str:
    """What an unquoted text is instead of text; empty when it is text."""
    if text in _NULL:
        return "nothing"
    if text in _BOOL:
        return "true or false"
    return (
        "a number" if _INT.fullmatch(text) or _FLOAT.fullmatch(text) or _LEADING_ZERO.fullmatch(text) else ""
    )


def _short(text: str) -> str:
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 40 else text[:37] + "..."
