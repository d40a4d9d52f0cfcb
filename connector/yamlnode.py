"""YAML text -> nodes, at a bounded cost.

Rules of this room: hostile text costs little. Size, depth, number of values and what aliases may add are
bounded, and nothing recurses with the text: PyYAML's own composer does, so only its event parser is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from connector.errors import ManifestError, Problem
from connector.yamlerror import complain

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 200_000
MAX_ALIASED = 5_000  # values that aliases may add: far more than a person writes, far less than a bomb

Mark = tuple[int, int]


def fatal(
    file: str, line: int, column: int, message: str, hint: str = "", *, code: str = ""
) -> ManifestError:
    """The error for a text that cannot be read any further."""
    return ManifestError(Problem(file=file, line=line, column=column, message=message, hint=hint), code=code)


# The characters YAML allows (YAML 1.2.2 section 5.1); everything else is an accident or an attack.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def decode(text: str | bytes, file: str) -> str:
    """Checked text: UTF-8, not too large, no forbidden character. Raises ManifestError."""
    if isinstance(text, bytes):
        if len(text) > MAX_BYTES:
            raise fatal(file, 1, 1, f"larger than {MAX_BYTES // 1024} KiB, which no file of this kind needs")
        if text.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise fatal(file, 1, 1, "this is UTF-16, and must be UTF-8", "save it as UTF-8 in your editor")
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line, column = _place(error.object[: error.start].decode("utf-8"))
            message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
            raise fatal(file, line, column, message, "save the file as UTF-8") from None
    if len(text) > MAX_BYTES:
        raise fatal(file, 1, 1, f"larger than {MAX_BYTES // 1024} KiB, which no file of this kind needs")
    text = text.removeprefix("\ufeff")
    if match := _FORBIDDEN.search(text):
        line, column = _place(text[: match.start()])
        message = f"the character U+{ord(match[0]):04X} cannot stand in a YAML file"
        raise fatal(
            file, line, column, message, "remove it; in double quotes write it as an escape such as \\x00"
        )
    return text


_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def _place(before: str) -> Mark:
    breaks = list(_BREAK.finditer(before))
    return len(breaks) + 1, len(before) - (breaks[-1].end() if breaks else 0) + 1


def _start(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


class Node:
    """A value in the making; children of a mapping are (key, value) pairs, of a list (None, value)."""

    __slots__ = ("children", "column", "height", "key", "line", "open", "plain", "size", "tag", "text")

    def __init__(self, event: yaml.Event) -> None:
        self.line, self.column = _start(event)
        self.text: str | None = None
        self.plain = False
        self.tag: str | None = None
        self.children: list[tuple[Node | None, Node]] | None = None
        self.key: Node | None = None  # of a mapping: a key that waits for its value
        self.open = True
        self.size, self.height = 1, 1


def compose(text: str, file: str) -> Iterator[tuple[Node | None, list[Problem]]]:
    """Nodes of each document, built from the parser's events: PyYAML's own composer recurses."""
    composer = _Composer(file)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.DocumentEndEvent):
                yield composer.finish()
            else:
                composer.take(event)
    except yaml.MarkedYAMLError as error:
        found = complain(error, text)
        raise fatal(file, max(found.line, 1), max(found.column, 1), found.message, found.hint) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # chr() of an escape beyond Unicode; a version directive of thousands of digits.
        line, column = composer.place
        raise fatal(file, line, column, "something after this place is not valid YAML") from None
    if not composer.documents:
        yield None, []


class _Composer:
    def __init__(self, file: str) -> None:
        self.file = file
        self.documents = 0
        self.place: Mark = (1, 1)
        self.nodes = 0
        self.aliased = 0
        self.start()

    def start(self) -> None:
        self.stack: list[Node] = []
        self.anchors: dict[str, Node] = {}
        self.root: Node | None = None
        self.problems: list[Problem] = []

    def finish(self) -> tuple[Node | None, list[Problem]]:
        self.documents += 1
        done = self.root, self.problems
        self.start()
        return done

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            self.place = _start(event)
            self.nodes += 1
            if self.nodes > MAX_NODES:
                raise self.refuse(f"more than {MAX_NODES} values")
        if isinstance(event, yaml.AliasEvent):
            self.attach(self.alias(event.anchor))
        elif isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            self.begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self.stack.pop()
            node.open = False
            self.attach(node)

    def begin(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        node = Node(event)
        node.tag = event.tag
        if event.anchor:
            self.anchors[event.anchor] = node
        if isinstance(event, yaml.ScalarEvent):
            node.text, node.plain, node.open = event.value, event.style is None, False
            self.attach(node)
            return
        if len(self.stack) >= MAX_DEPTH:
            raise self.refuse(f"more than {MAX_DEPTH} levels deep", "no file of this kind needs that")
        node.children = []
        node.text = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        self.stack.append(node)

    def attach(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        assert parent.children is not None
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if parent.text == "map" and parent.key is None:
            parent.key = node
            return
        parent.children.append((parent.key, node))
        parent.key = None

    def alias(self, name: str | None) -> Node:
        node = self.anchors.get(name or "")
        if node is None:
            raise self.refuse(
                "this alias (*name) stands for nothing", "put text that begins with * in quotes"
            )
        if node.open:
            raise self.refuse("this alias (*name) would contain itself")
        self.aliased += node.size
        if self.aliased > MAX_ALIASED or len(self.stack) + node.height > MAX_DEPTH:
            raise self.refuse("aliases (*name) repeat too much", "write out what is meant")
        return node

    def refuse(self, message: str, hint: str = "") -> ManifestError:
        return fatal(self.file, *self.place, message, hint)
