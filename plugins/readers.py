"""Documents out of JSON Lines, a JSON array and CSV; what cannot be read goes to the error view."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from connector.errors import SnapError
from connector.snap import Context, Document

# No path, but what messages call it.
STDIN = Path("standard input")
SHOWN = 200


@contextmanager
def opened(file: Path, encoding: str) -> Iterator[IO[str]]:
    """The text of a file, unpacked where its name ends in ``.gz``; of `STDIN` what comes in there."""
    # A byte order mark at the beginning is no part of the first field.
    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    with ExitStack() as stack:
        raw: Any = _stdin() if file is STDIN else stack.enter_context(file.open("rb"))
        if file.suffix == ".gz":
            raw = stack.enter_context(gzip.GzipFile(fileobj=raw))
        # Bytes that are not text become lone surrogates: their line is reported and reading goes on.
        stream = io.TextIOWrapper(raw, encoding=codec, errors="surrogateescape", newline="")
        # Whoever opened the bytes closes them; standard input is nobody's here.
        stack.callback(stream.detach)
        yield stream


def _stdin() -> Any:
    if sys.stdin is None:
        raise OSError("there is no standard input")
    return sys.stdin.buffer


# What `surrogateescape` makes of a byte that is no text; written as an escape, others may be meant.
_BROKEN_BYTE = re.compile("[\udc80-\udcff]")
_NO_TEXT = "its bytes are not text in the file's encoding"


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    # NaN and Infinity are Python's own invention (RFC 8259 section 6).
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    """The number; Python itself makes infinity of 1e400, which then no JSON can hold."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def read_jsonl(stream: IO[str], file: Path, context: Context) -> Iterator[Document]:
    """The documents of JSON Lines."""
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        if not _is_text(line):
            _bad(context, file, number, ascii(line), _NO_TEXT)
            continue
        try:
            document = json.loads(line, parse_constant=_refuse_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            _bad(context, file, number, line, str(error))
            continue
        if isinstance(document, dict):
            yield document
        else:
            _bad(context, file, number, line, "it is JSON, but no object")


def read_json(stream: IO[str], file: Path, context: Context) -> Iterator[Document]:
    """The documents of a JSON array, or the one that is no array."""
    text = stream.read()
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SnapError(f"{file} is not JSON", code="bad_file", reason=str(error)) from None
    if not isinstance(content, (list, dict)):
        raise SnapError(f"{file} is JSON, but no list and no object", code="bad_file")
    suspicious = not _is_text(text)
    for number, document in enumerate(content if isinstance(content, list) else [content], 1):
        why = _unfit(document, suspicious)
        if why:
            _bad(context, file, number, ascii(document), why, what="Item")
        else:
            yield document


def _unfit(document: Any, suspicious: bool) -> str:
    """What is wrong with an item of a JSON array, as a line of its own it would have been refused for."""
    if not isinstance(document, dict):
        return "it is JSON, but no object"
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return "one of its numbers is too large"
    return _NO_TEXT if suspicious and _BROKEN_BYTE.search(text) else ""


def read_csv(
    table: Any, file: Path, context: Context, *, header: bool, columns: list[str] | None
) -> Iterator[Document]:
    """The documents of a CSV file; `columns` selects, or names those of a file without header."""
    names: list[str] | None = None if header else columns
    while True:
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            _bad(context, file, table.line_num, "", str(error))
            continue
        if not row:
            continue
        if not all(map(_is_text, row)):
            _bad(context, file, table.line_num, ascii(",".join(row)), _NO_TEXT)
            continue
        if names is None:
            names = row if header else [f"column{i}" for i in range(1, len(row) + 1)]
            _check_names(names, columns, file)
            if header:
                continue
        if len(row) != len(names):
            why = f"it has {len(row)} fields, the header {len(names)}"
            _bad(context, file, table.line_num, ",".join(row), why)
            continue
        document = dict(zip(names, row, strict=True))
        yield {name: document[name] for name in columns} if columns else document


def _check_names(names: list[str], columns: list[str] | None, file: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SnapError(f"The header of {file} names {', '.join(twice)} twice", code="bad_file")
    missing = [name for name in columns or () if name not in names]
    if missing:
        raise SnapError(
            f"{file} has no column {', '.join(missing)}",
            code="bad_file",
            reason=f"its header: {', '.join(names)}"[:SHOWN],
        )


def _bad(context: Context, file: Path, number: int, text: str, why: str, *, what: str = "Line") -> None:
    shown = {"file": str(file), what.lower(): number, "text": text.strip()[:SHOWN]}
    failure = SnapError(f"{what} {number} of {file.name} cannot be read", code="bad_line", reason=why)
    context.fail(shown, failure)
