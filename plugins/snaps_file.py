"""Snaps that read and write files under the manifest's folder: ``file.read`` and ``file.write``."""

from __future__ import annotations

import codecs
import csv
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from connector.errors import SnapError
from connector.hookspecs import hookimpl
from connector.plugins.readers import SHOWN, STDIN, opened, read_csv, read_json, read_jsonl
from connector.plugins.targets import STDOUT, standard_output, target, trouble
from connector.plugins.texts import texts
from connector.snap import Context, Document, Snap

Format = Literal["auto", "jsonl", "json", "csv"]
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv"}


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

    ``-`` is standard input.

    A line that cannot be read goes to the error view with its number; the rest of the file is read.
    """
    for _ in documents:
        file = STDIN if path == "-" else _located(path, context)
        what = _format(path, format)
        try:
            with opened(file, encoding) as stream:
                if what == "json":
                    yield from read_json(stream, file, context)
                elif what == "jsonl":
                    yield from read_jsonl(stream, file, context)
                else:
                    # Strict: a quote that never ends is an error, not the rest of the file as one field.
                    table = csv.reader(stream, delimiter=delimiter or _delimiter(path), strict=True)
                    yield from read_csv(table, file, context, header=header, columns=columns)
        except (OSError, EOFError, zlib.error, UnicodeError, LookupError) as error:
            raise trouble("read", file, error) from error


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
    was. With `append` lines are added to it directly. ``-`` is standard output.
    """
    if context.preview:
        yield from documents
        return
    file = STDOUT if path == "-" else _located(path, context)
    what = _format(path, format)
    comma = delimiter or _delimiter(path)
    there = _header_of(file, encoding, comma, columns) if append and what == "csv" and header else None
    text = texts(what, comma, header=header, columns=columns, there=there)
    place = standard_output(context) if file is STDOUT else target(file, append=append)
    with place as (stream, begun):
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
        with opened(file.resolve(), encoding) as stream:
            names = next(csv.reader(stream, delimiter=comma, strict=True), None)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        raise trouble("read", file, error) from error
    if names and columns and names != columns:
        raise SnapError(
            f"{file} has other columns already",
            code="bad_file",
            reason=f"its header: {', '.join(names)}"[:SHOWN],
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


def _located(path: str, context: Context) -> Path:
    return context.folder / Path(path).expanduser()


def _delimiter(path: str) -> str:
    return "\t" if path.removesuffix(".gz").endswith(".tsv") else ","


def _format(path: str, format: str) -> str:
    if path == "-" and format == "auto":
        return "jsonl"
    found = _SUFFIXES.get(Path(path.removesuffix(".gz")).suffix.lower(), "") if format == "auto" else format
    if not found:
        raise SnapError(f"{path} does not say its format", resolution="Add `format: jsonl`, json or csv.")
    return found


def _check(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    format = options.get("format", "auto")
    if "path" in options and format == "auto":
        try:
            format = _format(options["path"], "auto")
        except SnapError:
            yield "path", "does not say its format (.jsonl, .json, .csv, .tsv, then .gz): add `format`"
    if options.get("append") and format == "json":
        yield "append", "nothing can be appended to a JSON array; use JSON Lines"
    if options.get("append") and options.get("path") == "-":
        yield "append", "is for files, this is standard output"
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
