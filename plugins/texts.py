"""Documents as text, one at a time: JSON Lines, a JSON array, CSV. No files here.

Each of the three is asked `of(document)` for the text of one, and told `took()` when that was written:
a document that could not be encoded leaves no comma and no header behind.
"""

from __future__ import annotations

import csv
import json
import math
from typing import Any, Protocol

from connector.errors import SnapError
from connector.snap import Document


class Texts(Protocol):
    """A way to write documents."""

    def before(self, begun: bool) -> str:
        """What comes first; `begun`: into a file that has something in it already."""

    def of(self, document: Document) -> str:
        """The text of one document. Raises ValueError, TypeError or SnapError when it has none."""

    def took(self) -> None:
        """The last document's text was written."""

    def after(self) -> str:
        """What comes last."""


def texts(
    what: str, delimiter: str, *, header: bool, columns: list[str] | None, there: list[str] | None = None
) -> Texts:
    """Return the way to write ``jsonl``, ``json`` or ``csv``.

    Args:
        columns: of a CSV file; fields beside them are left out.
        there: the columns that a CSV file has already; fields beside them are an error.
    """
    if what == "csv":
        return _Table(delimiter, header=header, columns=columns or there, strict=columns is None)
    return _Array() if what == "json" else _Lines()


def _json(value: Any) -> str:
    # NaN and Infinity are Python's own invention (RFC 8259 section 6): such a document is an error.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class _Lines:
    """JSON Lines: one document, one line."""

    def before(self, begun: bool) -> str:
        return ""

    def of(self, document: Document) -> str:
        return _json(document) + "\n"

    def took(self) -> None:
        pass

    def after(self) -> str:
        return ""


class _Array:
    """One JSON array, one document a line."""

    def __init__(self) -> None:
        self._glue = "\n"

    def before(self, begun: bool) -> str:
        return "["

    def of(self, document: Document) -> str:
        return self._glue + _json(document)

    def took(self) -> None:
        self._glue = ",\n"

    def after(self) -> str:
        return "\n]\n"


class _Echo:
    """A file for `csv.writer` that hands back what is written, so that it can be encoded as a whole."""

    def write(self, text: str) -> str:
        return text


class _Table:
    """CSV (RFC 4180); the first document's fields are the columns unless they are given."""

    def __init__(self, delimiter: str, *, header: bool, columns: list[str] | None, strict: bool) -> None:
        self._writer = csv.writer(_Echo(), delimiter=delimiter)
        self._header = header
        self._strict = strict
        self._columns = self._next = columns

    def before(self, begun: bool) -> str:
        self._header = self._header and not begun
        return self._row(self._columns) if self._header and self._columns else ""

    def of(self, document: Document) -> str:
        if self._columns is None:
            if not document:
                raise SnapError("A document without fields names no columns", resolution="Give `columns`.")
            self._next = list(document)
            top = self._row(self._next) if self._header else ""
            return top + self._row(list(document.values()))
        unknown = [name for name in document if name not in self._columns] if self._strict else []
        if unknown:
            raise SnapError(
                f"There is no column for {', '.join(unknown)}",
                reason="the columns are the first document's fields, or those that the file has already",
                resolution="List all of them under `columns`, or reshape the documents with `map` first.",
            )
        return self._row([document.get(name) for name in self._columns])

    def took(self) -> None:
        self._columns = self._next

    def after(self) -> str:
        return ""

    def _row(self, values: list[Any]) -> str:
        return str(self._writer.writerow([_cell(value) for value in values]))


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        # As in JSON: no two programs read "inf" and "nan" alike.
        raise ValueError(f"{value} is no number that a file can hold")
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json(value) if isinstance(value, (dict, list)) else value
