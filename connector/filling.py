"""Filling the parameters, headers and computed values that an endpoint declares.

Rules of this room: what cannot be filled is left out; whoever must have it asks `connector.template` itself.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connector.template import TemplateError, fill, fill_first, names


def filled(params: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Parameters as texts, leaving out removed ones and those whose names are not set."""
    return {name: text_of(value) for name, value in filled_values(params, values).items()}


def filled_values(params: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as JSON has them: numbers and truth values stay, inner texts of mappings are filled too."""
    result: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, tuple):
            try:
                result[name] = fill_first(value, values)
            except TemplateError:
                continue
        elif value is not None:
            result[name] = _inner(value, values)
    return result


def _inner(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill(value, {name: values.get(name, "") for name in names(value)})
    if isinstance(value, Mapping):
        return {name: _inner(inner, values) for name, inner in value.items()}
    return [_inner(inner, values) for inner in value] if isinstance(value, (list, tuple)) else value


def text_of(value: Any) -> str:
    """A YAML scalar as the text that goes over the wire."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def mentioned(value: Any) -> Iterator[str]:
    """Every name that the templates in a value ask for. Raises TemplateError on a lone brace."""
    if isinstance(value, str):
        yield from names(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from mentioned(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from mentioned(inner)


def base64_of(text: str) -> str:
    """The UTF-8 of a text in base64 (RFC 4648 section 4)."""
    return base64.b64encode(text.encode()).decode()


def basic_pair(username: str, password: str) -> str:
    """The header value of Basic authentication (RFC 7617 section 2)."""
    return "Basic " + base64_of(f"{username}:{password}")


# What a var may make of a text; no more than this.
CHANGES: Mapping[str, Callable[[str], str]] = {"base64": base64_of, "lower": str.lower, "upper": str.upper}


def computed(how: object, values: Mapping[str, str]) -> str | None:
    """The value of one of the endpoint's ``vars``; None: a name it needs is not set."""
    try:
        if isinstance(how, str):
            return fill(how, values)
        if isinstance(how, Mapping) and "map" not in how:
            (kind, template) = next(iter(how.items()))
            return CHANGES[kind](fill(template, values))
        if isinstance(how, Mapping):
            chosen = how["map"].get(values.get(how["from"], ""), how.get("default"))
            return None if chosen is None else fill(chosen, values)
    except TemplateError:
        pass
    return None
