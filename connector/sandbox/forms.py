"""Fields as they arrive, from a form body or a query.

Rules of this room: it knows the encoding, not the meaning. ``resource`` is the one field that may be repeated
(RFC 8707 section 2): its values are joined by a space, which no URI can hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.requests import Request

from connector.sandbox.habits import Habits, Refusal

_FORM = "application/x-www-form-urlencoded"
_REPEATABLE = "resource"


async def read_form(request: Request, habits: Habits) -> dict[str, str]:
    """Return the fields of a call by a client; raises Refusal for what this server does not take."""
    content_type = request.headers.get("content-type", "")
    media_type = content_type if habits.one_method else content_type.partition(";")[0].strip()
    if media_type.lower() != _FORM:
        raise Refusal("invalid_request", f"the content type must be {_FORM}")
    pairs = await _pairs(request)
    names = [name for name, _ in pairs if name != _REPEATABLE]
    if habits.one_method and len(set(names)) != len(names):
        raise Refusal("invalid_request", "a field is repeated")
    form = joined(pairs)
    if request.url.query:
        if not habits.url_credentials:
            raise Refusal("invalid_request", "fields are taken from the body only, not from the URL")
        form = query(request) | form
    return form


async def read_page_form(request: Request) -> dict[str, str]:
    """Return the fields that a person's browser sent; raises Refusal when they cannot be read."""
    return joined(await _pairs(request))


def query(request: Request) -> dict[str, str]:
    """Return the fields of a query."""
    return joined(request.query_params.multi_items())


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return fields by name: of a repeated one the last, of ``resource`` all."""
    fields: dict[str, str] = {}
    for name, text in pairs:
        fields[name] = f"{fields[name]} {text}" if name == _REPEATABLE and name in fields else text
    return fields


async def _pairs(request: Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl((await request.body()).decode(), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError) as broken:
        raise Refusal("invalid_request", "the body is not a form in UTF-8") from broken
