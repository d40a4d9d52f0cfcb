"""What a YAML parser's complaint means to the person who wrote the file.

Rules of this room: text in, words out. Nothing of the file is repeated except single characters and
``${...}`` references, because a line that does not parse may hold a secret.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml


class Complaint(NamedTuple):
    """Where (counted from 1) and what, in plain words."""

    line: int
    column: int
    message: str
    hint: str = ""


_BARE_REFERENCE = re.compile(r"\$\{[^{}\s\"']*\}?")

# What PyYAML says -> what it means, and what to do. The first that fits counts.
_WORDS: tuple[tuple[str, str, str], ...] = (
    (
        r"character '\\t' that cannot start",
        "a tab stands where only spaces may",
        "indent with spaces",
    ),
    (
        r"character '([@`%])' that cannot start",
        "text may not begin with {0} unless it is in quotes",
        'put the value in quotes: "{0}..."',
    ),
    (
        r"mapping values are not allowed",
        "this colon begins a value where none may begin",
        "put text that contains ': ' in quotes, and check how this line and the one above are indented",
    ),
    (
        r"sequence entries are not allowed",
        "a list item ('- ') cannot begin here",
        "begin the list on its own line, indented below its key",
    ),
    (
        r"expected <block end>, but found",
        "this line does not fit what stands above it",
        "check the indentation, and the quotes and brackets just before",
    ),
    (
        r"expected ',' or '[}\]]', but got",
        "a bracket opened before is not closed, or a comma is missing",
        "separate entries with commas and close what you opened",
    ),
    (
        r"end of stream",
        "the file ends inside quotes or brackets that were opened before",
        "close them",
    ),
    (
        r"unknown escape character",
        "in double quotes a backslash begins an escape, and this is none that YAML knows",
        "write \\\\ for a backslash, or use single quotes",
    ),
    (
        r"escape sequence of \d+ hexdecimal numbers",
        "this escape in double quotes is not complete",
        "write \\\\ for a backslash, or use single quotes",
    ),
    (
        r"expected alphabetic or numeric character",
        "* and & mean an alias and an anchor in YAML, and no name follows",
        'put the value in quotes, e.g. "*.example.com"',
    ),
    (
        r"document separator",
        "a line of --- or ... stands inside quotes that were opened before",
        "close the quotes",
    ),
    (
        r"undefined tag handle|tag",
        "tags (!...) are not read here",
        "remove the tag, or put the value in quotes",
    ),
    (
        r"directive|version",
        "a line that begins with % is a directive, and this one cannot be read",
        "remove the line, or put the value in quotes",
    ),
    (
        r"expected '<document start>'",
        "here the document has ended and something else follows",
        "check the indentation of this line and the quotes and brackets before it",
    ),
    (
        r"expected the node content",
        "a value is expected here",
        "put text that begins with a special character in quotes",
    ),
    (
        r"chomping or indentation indicators|indentation indicator|comment or a line break",
        "| and > begin a text of several lines and must end their line",
        "put the value in quotes if it is meant as it stands",
    ),
    (r"unexpected ':'", "a colon stands where none may", "put the value in quotes"),
)


def complain(error: yaml.MarkedYAMLError, text: str) -> Complaint:
    """Say in plain words what PyYAML found; `text` is what it read."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Complaint(1, 1, "this is not YAML")
    problem, context = error.problem or "", error.context or ""
    reference = _unquoted_reference(text, mark.index)
    if reference:
        message = "inside {...} or [...] a reference must be in quotes, or YAML reads its braces"
        return Complaint(mark.line + 1, mark.column, message, f'quote it: "{reference}"')
    if "could not find expected ':'" in problem and error.context_mark is not None:
        at = error.context_mark
        message = "this line is neither `key: value` nor a list item"
        return Complaint(at.line + 1, at.column + 1, message, "a space must follow the colon of a key")
    if "quoted scalar" in context and "end of stream" in problem and error.context_mark is not None:
        at = error.context_mark
        return Complaint(at.line + 1, at.column + 1, "the quotes opened here are never closed", "close them")
    return _by_table(problem, mark.line + 1, mark.column + 1)


def _by_table(problem: str, line: int, column: int) -> Complaint:
    for pattern, message, hint in _WORDS:
        match = re.search(pattern, problem)
        if match:
            found = match.groups()
            return Complaint(line, column, message.format(*found), hint.format(*found) if found else hint)
    return Complaint(
        line, column, "this is not valid YAML", "check indentation, quotes and brackets near here"
    )


def _unquoted_reference(text: str, index: int) -> str:
    """The ``${...}`` whose brace PyYAML stumbled over at `index`, or an empty text."""
    if index < 1 or text[index - 1 : index + 1] != "${":
        return ""
    match = _BARE_REFERENCE.match(text, index - 1)
    found = match[0] if match else "${"
    return found if found.endswith("}") else "${...}"
