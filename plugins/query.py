"""Asking a document for a part of it: JMESPath (https://jmespath.org) and JSON pointers (RFC 6901)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from connector.errors import SnapError


def picker(text: str) -> Callable[[Any], Any]:
    """Return what finds the part of a value that a JSON pointer (``/a/b``) or a JMESPath expression names.

    It returns None where there is no such part. Raises SnapError on a bad expression.
    """
    if not text.startswith("/"):
        search: Callable[[Any], Any] = compiled(text).search
        return search
    keys = [key.replace("~1", "/").replace("~0", "~") for key in text[1:].split("/")]

    def pick(value: Any) -> Any:
        for key in keys:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value

    return pick


def pick_faults(text: str) -> Iterator[str]:
    """Yield what is wrong with the text that `picker` would be given."""
    if not text.startswith("/"):
        yield from faults(text)


def compiled(expression: str) -> Any:
    """Compile a JMESPath expression. Raises SnapError that says where it is wrong."""
    for message in faults(expression):
        raise SnapError(message)
    return jmespath.compile(expression)


def faults(expression: str) -> Iterator[str]:
    """Yield what is wrong with a JMESPath expression: its syntax, or a function that does not exist."""
    try:
        tree = jmespath.compile(expression).parsed
    except JMESPathError as error:
        why = str(error).replace("\n", " ").strip()
        yield f"not a JMESPath expression: {why}"
        return
    pending = [tree]
    while pending:
        node = pending.pop()
        pending += [child for child in node.get("children", ()) if isinstance(child, dict)]
        name = node.get("value")
        # JMESPath itself would only notice with the first document.
        if node.get("type") == "function_expression" and name not in Functions.FUNCTION_TABLE:
            meant = difflib.get_close_matches(name, Functions.FUNCTION_TABLE, n=1)
            yield f"JMESPath has no function {name!r}" + (f", did you mean {meant[0]}?" if meant else "")
