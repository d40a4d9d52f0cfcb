"""Snaps that read and write files under the manifest's folder: ``file.read`` and ``file.write``."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from connector.errors import SnapError
from connector.hookspecs import hookimpl
from connector.plugins.texts import texts
from connector.snap import Context, Document, Snap

Format = Literal["auto", "jsonl", "json", "csv"]
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv"}
_SHOWN = 200


def read(
    documents: Iterable[Document],
    context: Context,
    *,
    path: str,
    format: Format = "auto",
    encoding: str = "utf-8",
    delimiter: str = "",
    header: bool = True,
    columns: list[str] | None = None,
) -> Iterator[Document]:
    """``file.read``: the documents of a file, once per incoming document (the first step: once).

    A line that cannot be read goes to the error view with its number; the rest of the file is read.
    """
    for _ in documents:
        file = _located(path, context)
        what = _format(path, format)
        try:
            with _opened(file, encoding) as stream:
                if what == "json":
                    yield from _read_json(stream, file, context)
                elif what == "jsonl":
                    yield from _read_jsonl(stream, file, context)
                else:
                    # Strict: a quote that never ends is an error, not the rest of the file as one field.
                    table = csv.reader(stream, delimiter=delimiter or _delimiter(path), strict=True)
                    yield from _read_csv(table, file, context, header=header, columns=columns)
        except (OSError, EOFError, zlib.error, UnicodeError, LookupError) as error:
            raise _trouble("read", file, error) from error


@contextmanager
def _opened(file: Path, encoding: str) -> Iterator[IO[str]]:
    # A byte order mark at the beginning is no part of the first field.
    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    with ExitStack() as stack:
        raw: Any = stack.enter_context(file.open("rb"))
        if file.suffix == ".gz":
            raw = stack.enter_context(gzip.GzipFile(fileobj=raw))
        # Bytes that are not text become lone surrogates: their line is reported and reading goes on.
        yield io.TextIOWrapper(raw, encoding=codec, errors="surrogateescape", newline="")


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


def _read_jsonl(stream: IO[str], file: Path, context: Context) -> Iterator[Document]:
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


def _read_json(stream: IO[str], file: Path, context: Context) -> Iterator[Document]:
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


def _read_csv(
    table: Any, file: Path, context: Context, *, header: bool, columns: list[str] | None
) -> Iterator[Document]:
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
            reason=f"its header: {', '.join(names)}"[:_SHOWN],
        )


def write(
    documents: Iterable[Document],
    context: Context,
    *,
    path: str,
    format: Format = "auto",
    encoding: str = "utf-8",
    delimiter: str = "",
    header: bool = True,
    columns: list[str] | None = None,
    append: bool = False,
) -> Iterator[Document]:
    """``file.write``: write each document and pass it on.

    The file appears, complete, when all documents have come; a run that fails leaves an older one as it
    was. With `append` lines are added to it directly.
    """
    if context.preview:
        yield from documents
        return
    file = _located(path, context)
    what = _format(path, format)
    comma = delimiter or _delimiter(path)
    there = _header_of(file, encoding, comma, columns) if append and what == "csv" and header else None
    text = texts(what, comma, header=header, columns=columns, there=there)
    with _target(file, append=append) as (stream, begun):
        encoder = codecs.getincrementalencoder(encoding)()
        if begun:
            # A byte order mark belongs at the beginning of a file only.
            encoder.setstate(0)
            stream.write(_missing_end(file, encoder.encode("\n")))
        stream.write(encoder.encode(text.before(begun)))
        for document in documents:
            try:
                piece = encoder.encode(text.of(document))
            except (ValueError, TypeError, SnapError, RecursionError) as error:
                failure = error
            else:
                stream.write(piece)
                text.took()
                yield document
                continue
            context.fail(document, failure)
        stream.write(encoder.encode(text.after(), final=True))


def _header_of(file: Path, encoding: str, comma: str, columns: list[str] | None) -> list[str] | None:
    """The columns of the file that is appended to; None: it has none yet."""
    try:
        with _opened(file.resolve(), encoding) as stream:
            names = next(csv.reader(stream, delimiter=comma, strict=True), None)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        raise _trouble("read", file, error) from error
    if names and columns and names != columns:
        raise SnapError(
            f"{file} has other columns already",
            code="bad_file",
            reason=f"its header: {', '.join(names)}"[:_SHOWN],
            resolution="Leave `columns` out, or write another file.",
        )
    return names or None


def _missing_end(file: Path, end: bytes) -> bytes:
    """The line end that a run which was cut off did not write any more; empty: it is there."""
    if file.suffix == ".gz" or not file.is_file():
        return b""
    with file.open("rb") as stream:
        stream.seek(-min(len(end), file.stat().st_size), os.SEEK_END)
        return b"" if stream.read() == end else end


@contextmanager
def _target(file: Path, *, append: bool) -> Iterator[tuple[Any, bool]]:
    """Open what is written to; the flag says whether there is something in it already."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file = file.resolve()
        begun = append and file.is_file() and file.stat().st_size > 0
        # A pipe or a device cannot be replaced, only written to.
        direct = append or (file.exists() and not file.is_file())
        part = file if direct else file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
        raw = part.open("ab" if append else "wb" if direct else "xb")
    except OSError as error:
        raise _trouble("write", file, error) from error
    try:
        with raw:
            packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if file.suffix == ".gz" else None
            with packed or raw as stream:
                yield stream, begun
            if packed:
                raw.flush()
            if not direct and not raw.closed:
                os.fsync(raw.fileno())
        if not direct:
            if file.exists():
                shutil.copymode(file, part)
            part.replace(file)
    except OSError as error:
        raise _trouble("write", file, error) from error
    finally:
        if not direct:
            part.unlink(missing_ok=True)


def _located(path: str, context: Context) -> Path:
    return context.folder / Path(path).expanduser()


def _delimiter(path: str) -> str:
    return "\t" if path.removesuffix(".gz").endswith(".tsv") else ","


def _format(path: str, format: str) -> str:
    found = _SUFFIXES.get(Path(path.removesuffix(".gz")).suffix.lower(), "") if format == "auto" else format
    if not found:
        raise SnapError(f"{path} does not say its format", resolution="Add `format: jsonl`, json or csv.")
    return found


def _bad(context: Context, file: Path, number: int, text: str, why: str, *, what: str = "Line") -> None:
    shown = {"file": str(file), what.lower(): number, "text": text.strip()[:_SHOWN]}
    failure = SnapError(f"{what} {number} of {file.name} cannot be read", code="bad_line", reason=why)
    context.fail(shown, failure)


def _trouble(verb: str, file: Path, error: Exception) -> SnapError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SnapError(f"{file} cannot be {'read' if verb == 'read' else 'written'}", code="file", reason=why)


def _check(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    format = options.get("format", "auto")
    if "path" in options and format == "auto":
        try:
            format = _format(options["path"], "auto")
        except SnapError:
            yield "path", "does not say its format (.jsonl, .json, .csv, .tsv, then .gz): add `format`"
    if options.get("append") and format == "json":
        yield "append", "nothing can be appended to a JSON array; use JSON Lines"
    if len(options.get("delimiter", ",")) != 1 or options.get("delimiter") in ("\r", "\n", '"'):
        yield "delimiter", "expected one character"
    for name in ("delimiter", "columns", "header"):
        if name in options and format not in ("csv", "auto"):
            yield name, f"is for csv, this file is {format}"
    columns = options.get("columns") or []
    if len(set(columns)) < len(columns):
        yield "columns", "names a column twice"
    try:
        "".encode(options.get("encoding", "utf-8"))
    except (LookupError, ValueError):
        # Also for one that is there but makes no text of bytes, such as hex.
        yield "encoding", f"there is no encoding {options['encoding']!r}"


def _writes(options: Mapping[str, Any]) -> str:
    path = options.get("path")
    return path if isinstance(path, str) else ""


@hookimpl
def connector_snaps() -> Iterable[Snap]:
    """The snaps of this file."""
    return (
        Snap(
            name="file.read",
            run=read,
            summary="Read documents from a file.",
            check=_check,
            reads_parameters=False,
        ),
        Snap(
            name="file.write",
            run=write,
            summary="Write documents to a file.",
            check=_check,
            writes=_writes,
            reads_parameters=False,
        ),
    )
