"""Records as XML in the way Rails writes them: ``<invoices type="array"><invoice>...`` and back again."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape


def write(name: str, value: Any) -> str:
    """Return an XML document with one root element called `name`."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(name, value)}\n'


def read(body: bytes) -> Any:
    """Return what the root element holds: a dict, a list or a text; raises ValueError on anything else."""
    # A document type is the only way into entities, and nobody needs one here.
    if b"<!DOCTYPE" in body:
        raise ValueError("a document type is refused")
    try:
        return _value(ElementTree.fromstring(body))  # noqa: S314 - no document type, see above
    except ElementTree.ParseError as broken:
        raise ValueError("not XML") from broken


def _element(name: str, value: Any) -> str:
    if value is None:
        return f'<{name} nil="true"/>'
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(key, part) for key, part in value.items())}</{name}>"
    if isinstance(value, list):
        parts = "".join(_element(name.removesuffix("s"), part) for part in value)
        return f'<{name} type="array">{parts}</{name}>'
    kind = ' type="integer"' if isinstance(value, int) else ""
    return f"<{name}{kind}>{escape(str(value))}</{name}>"


def _value(element: ElementTree.Element) -> Any:
    if element.get("type") == "array":
        return [_value(part) for part in element]
    if len(element):
        return {part.tag: _value(part) for part in element}
    text = (element.text or "").strip()
    if element.get("nil") == "true":
        return None
    return int(text) if element.get("type") == "integer" else text
