"""Accounts -> the text of a manifest, as a person would write it: fields in order, comments beside them.

Rules of this room: what is written here reads back as the same values, by our own reader and by any other.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from connector.check import schema
from connector.errors import ManifestError
from connector.yamlfile import read_text

_WIDTH = 100
_ENDLESS = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An account to be written.

    Attributes:
        fields: as in a manifest.
        title: a comment above it; may be empty.
        notes: comments below it.
        lacks: what it needs before it can be used. Such an account is written as a comment.
    """

    name: str
    fields: Mapping[str, Any] = field(repr=False)
    title: str = ""
    notes: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def write(entries: Iterable[Entry], *, head: Iterable[str] = ()) -> str:
    """The text of a manifest with these accounts."""
    blocks = ["\n".join(_account(entry)) for entry in entries]
    usable = any(not entry.lacks for entry in entries)
    lines = [*(_comment(line) for line in head), "version: 1", "accounts:" if usable else "accounts: {}"]
    return "\n".join(lines) + "\n" + "\n\n".join(textwrap.indent(block, "  ") for block in blocks) + "\n"


def _account(entry: Entry) -> list[str]:
    order = {name: spec["x-order"] for name, spec in schema("account")["properties"].items()}
    lines = [f"{scalar(entry.name)}:"]
    for name in sorted(entry.fields, key=lambda name: order.get(name, len(order))):
        lines += [f"  {line}" for line in _field(name, entry.fields[name])]
    if entry.lacks:
        lines = [f"# {line}" for line in lines]
    above = [_comment(entry.title)] if entry.title else []
    above += [_comment(f"Not usable yet: {lack}") for lack in entry.lacks]
    below = [textwrap.indent(_comment(note), "" if entry.lacks else "  ") for note in entry.notes]
    return [*above, *lines, *below]


def _field(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping) and not any("${" in str(inner) for inner in value.values()):
        short = f"{name}: {flow(dict(value))}"
        if len(short) <= _WIDTH:
            return [short]
    if isinstance(value, Mapping):
        inner = [line for key, each in value.items() for line in _field(scalar(key), each)]
        return [f"{name}:", *(f"  {line}" for line in inner)]
    if isinstance(value, list):
        short = f"{name}: {flow(value)}"
        return [short] if len(short) <= _WIDTH else [f"{name}:", *(f"  - {scalar(each)}" for each in value)]
    return [f"{name}: {scalar(value)}"]


def scalar(value: object) -> str:
    """A value in one line, quoted only where it must be."""
    return _first_that_reads(value, flow_style=False)


def flow(value: object) -> str:
    """A list or mapping in one line."""
    return _first_that_reads(value, flow_style=True)


def _first_that_reads(value: object, *, flow_style: bool) -> str:
    """PyYAML quotes what YAML 1.1 misreads; what our reader takes otherwise (1e3) gets quotes as well."""
    text = ""
    for style in (None, '"'):
        if style and not isinstance(value, str):
            text = _quoted(value)
        else:
            text = yaml.safe_dump(
                value,
                default_flow_style=flow_style,
                default_style=style,
                width=_ENDLESS,
                allow_unicode=True,
                sort_keys=False,
            ).removesuffix("\n...\n")
        text = text.rstrip("\n")
        if "\n" not in text and "'" not in text and _reads_as(text, value):
            break
    return text


def _quoted(value: object) -> str:
    """The same with every text in double quotes; numbers, true and false stay what they are."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_quoted(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(inner) for inner in value) + "]"
    if not isinstance(value, str):
        return scalar(value)
    dumped = yaml.safe_dump(value, default_style='"', width=_ENDLESS, allow_unicode=True)
    return dumped.rstrip("\n")


def _reads_as(text: str, value: object) -> bool:
    try:
        return bool(read_text(f"k: {text}").data == {"k": value}) and (
            not isinstance(value, str) or bool(read_text(f"{text}: k").data == {value: "k"})
        )
    except ManifestError:
        return False


def _comment(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text)
    lines = textwrap.wrap(text, _WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {line}" if at == 0 else f"#   {line}" for at, line in enumerate(lines))
