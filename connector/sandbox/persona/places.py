"""Answers made of places: JSON pointers (RFC 6901), ``header:NAME`` and ``cookie:NAME``.

Rules of this room: a place that cannot hold what is put there is a `Misplaced`, which the author of the file
is told of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response


class Misplaced(Exception):
    """A place that cannot be, beside what else the answer holds."""


class Answer:
    """An answer under construction.

    Attributes:
        status: of HTTP.
        body: what the places make of it; a text for the place ``""``.
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.body: Any = {}
        self.headers: dict[str, str] = {}
        self.cookies: dict[str, str] = {}

    def put(self, place: str, value: Any) -> None:
        """Put a value at a place; raises Misplaced."""
        if place.startswith("header:"):
            self.headers[place.removeprefix("header:")] = str(value)
        elif place.startswith("cookie:"):
            self.cookies[place.removeprefix("cookie:")] = str(value)
        elif place == "":
            if self.body not in ({}, value):
                raise Misplaced('"" is the whole answer, and it holds something else already')
            self.body = value
        else:
            self.body = put(self.body, _steps(place), value, place)

    def get(self, place: str) -> Any:
        """Return what is at a place by now; None: nothing."""
        if place.startswith("header:"):
            return self.headers.get(place.removeprefix("header:"))
        if place.startswith("cookie:"):
            return self.cookies.get(place.removeprefix("cookie:"))
        return at(self.body, place)

    def response(self, format: str = "json") -> Response:
        """Return the whole as HTTP; raises Misplaced."""
        if format == "form":
            if not isinstance(self.body, Mapping) or any(
                isinstance(v, (dict, list)) for v in self.body.values()
            ):
                raise Misplaced("a form has no places inside of places")
            flat = {name: _plain(value) for name, value in self.body.items()}
            made = Response(urlencode(flat), self.status, media_type="application/x-www-form-urlencoded")
        elif isinstance(self.body, str) and format in ("text", "auto"):
            made = Response(self.body, self.status, media_type="text/plain")
        elif format == "text" and self.body:
            raise Misplaced('of a text only the place "" can be taken, and headers and cookies')
        else:
            text = json.dumps(self.body) if self.body != {} or format != "text" else ""
            made = Response(text, self.status, media_type="application/json")
        for name, value in self.headers.items():
            made.headers[name] = value
        for name, value in self.cookies.items():
            made.headers.append("Set-Cookie", f"{name}={value}; Path=/; HttpOnly")
        made.headers["Cache-Control"] = "no-store"
        return made


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def at(data: Any, pointer: str) -> Any:
    """Return the value at a pointer; None: there is none."""
    for step in _steps(pointer):
        if isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list) and step.isdigit():
            data = data[int(step)] if int(step) < len(data) else None
        else:
            return None
    return data


def put(data: Any, steps: list[str], value: Any, place: str) -> Any:
    """Return the data with a value at these steps; numbers make lists. Raises Misplaced."""
    if not steps:
        if data not in (None, {}, value):
            raise Misplaced(f"{place} holds something else already")
        return value
    step = steps[0]
    if data in (None, {}) and step.isdigit() and not isinstance(data, list):
        data = []
    if isinstance(data, list) and step.isdigit() and int(step) < 20:
        data = data + [{} for _ in range(int(step) + 1 - len(data))]
        data[int(step)] = put(data[int(step)], steps[1:], value, place)
        return data
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise Misplaced(f"{place} lies inside of a value that is no object")
    return {**data, step: put(data.get(step), steps[1:], value, place)}


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
