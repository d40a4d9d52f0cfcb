"""Templates as a provider reads its own file: what a text must be; what only the caller knows is left open.

Rules of this room: nothing here knows HTTP. A name that is not set, or empty, makes a template unusable.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}")
# Looks at what stands at an open name, and says what is wrong with it.
Look = Callable[[str], str]
Values = Mapping[str, "str | Look"]


def names(template: str) -> list[str]:
    """Return the names that a template asks for, in order."""
    return [match[1] for match in _PIECE.finditer(template) if match[1]]


def many(value: Any) -> list[Any]:
    """Return a value that may be one or several as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def every_text(value: Any) -> list[str]:
    """Return every text inside of a value."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for each in inner for text in every_text(each)]


def usable(templates: Iterable[Any], values: Values) -> Any:
    """Return the first template whose names are all set; None: there is none."""
    for template in templates:
        if not isinstance(template, str) or all(values.get(name) for name in names(template)):
            return template
    return None


def fill(template: str, values: Values, encode: Callable[[str], str] = str) -> str:
    """Return a template with its names replaced; open ones stay empty."""

    def piece(match: re.Match[str]) -> str:
        value = values.get(match[1], "") if match[1] else match[0][0]
        return value if match[1] is None and isinstance(value, str) else encode(_text(value))

    return _PIECE.sub(piece, template)


def fill_first(templates: Any, values: Values) -> str:
    """Return the first usable template, filled; empty: there is none."""
    template = usable(many(templates), values)
    return "" if template is None else fill(str(template), values)


def fill_url(templates: Any, values: Values) -> str:
    """Return the first usable URL template, filled and percent-encoded behind its host; empty: none."""
    template = usable(many(templates), values)
    if template is None:
        return ""
    head, scheme, rest = template.partition("://")
    if scheme and "{" not in head:
        cut = re.search(r"[/?#]", rest)
        at = len(template) - len(rest) + (cut.start() if cut else len(rest))
        authority = fill(template[:at], values)
        scheme, _, host = authority.partition("://")
        return f"{scheme}://{host.removeprefix('https://').rstrip('/')}" + fill_path(template[at:], values)
    whole = _PIECE.match(template)
    if whole is None:
        return fill_path(template, values)
    return fill(whole[0], values).rstrip("/") + fill_path(template[whole.end() :], values)


def fill_path(template: str, values: Values) -> str:
    """Return a template of a path and a query, filled and percent-encoded."""
    return fill(template, values, lambda value: quote(value, safe=""))


def status_of(listed: Any, default: int) -> int:
    """Return the first of the statuses that a file lists; of a whole class (``5xx``) its third, as 503."""
    first = many(listed)[0] if listed else default
    return int(first[0]) * 100 + 3 if isinstance(first, str) else int(first)


def with_vars(declared: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Return the values with the vars that can be computed from them."""
    found = dict(values)
    for name, how in declared.items():
        template = how
        change: Callable[[str], str] = _same
        if isinstance(how, Mapping) and "map" not in how:
            kind, template = next(iter(how.items()))
            change = _CHANGES[kind]
        elif isinstance(how, Mapping):
            template = how["map"].get(found.get(how["from"], ""), how.get("default"))
        if isinstance(template, str) and usable([template], found) is not None:
            found[name] = change(fill(template, found))
    return found


def _same(text: str) -> str:
    return text


_CHANGES: Mapping[str, Callable[[str], str]] = {
    "base64": lambda text: b64encode(text.encode()).decode(),
    "lower": str.lower,
    "upper": str.upper,
}


def wrong(template: Any, values: Values, got: Any) -> str:
    """Return what is wrong with a value that should be this template's; empty: nothing."""
    if isinstance(template, Mapping):
        if not isinstance(got, Mapping) or set(got) != set(template):
            return f"an object with {', '.join(template)} was expected"
        return next((said for key in template if (said := wrong(template[key], values, got[key]))), "")
    if not isinstance(template, str):
        same = got == template and isinstance(got, bool) == isinstance(template, bool)
        return "" if same or got == _plain(template) else f"{_plain(template)} was expected"
    if not isinstance(got, str):
        return "a text was expected"
    return _wrong_text(template, values, got)


def _wrong_text(template: str, values: Values, got: str) -> str:
    pattern, looks, end = "", [], 0
    for match in _PIECE.finditer(template):
        pattern += re.escape(template[end : match.start()])
        end = match.end()
        value = values.get(match[1]) if match[1] else match[0][0]
        if callable(value):
            looks.append(value)
            pattern += "(.*)"
        else:
            pattern += re.escape(value or "")
    found = re.fullmatch(pattern + re.escape(template[end:]), got, re.DOTALL)
    if found is None:
        return f"{template!r} was expected"
    return next((said for look, text in zip(looks, found.groups(), strict=True) if (said := look(text))), "")


def _text(value: str | Look) -> str:
    return value if isinstance(value, str) else ""


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
