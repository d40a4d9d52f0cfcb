"""One request as a provider sees it, taken apart once."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.datastructures import Headers
from starlette.requests import Request

# What whoever plays a browser or a network tells about the address that was really asked for.
SCHEME, FRAGMENT = "x-persona-scheme", "x-persona-fragment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What was wrong with a request, and which key of the file says so.

    Attributes:
        steps: of the key in the file, e.g. ``("token", "auth")``.
        words: what is wrong; no secret is in them.
    """

    steps: tuple[str | int, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that came in. Its repr holds nothing that may be secret.

    Attributes:
        host: ``host`` or ``host:port``, lower case.
        path: decoded; `raw_path` as it came.
        fragment: what a page's own script read behind the ``#``; None: no script asked.
    """

    method: str
    scheme: str
    host: str
    path: str
    raw_path: str = field(repr=False)
    raw_query: str = field(repr=False)
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    fragment: str | None = field(default=None, repr=False)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's pairs."""
        return parse_qsl(self.raw_query, keep_blank_values=True)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that came along."""
        try:
            jar = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    @property
    def basic(self) -> tuple[str, str] | None:
        """User name and password of a Basic header as they stand there; None: there is none."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password

    def params(self, body: str) -> tuple[dict[str, Any], str]:
        """Return the parameters of a call whose parameters travel in this way, and what is wrong with it."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body == "query" or (self.method == "GET" and body == "form"):
            return {}, "the parameters belong in the query, and a body came" if self.body else ""
        if not self.body:
            return {}, ""
        wanted = "application/json" if body == "json" else "application/x-www-form-urlencoded"
        if not self.body and not kind:
            return {}, ""
        if kind != wanted:
            return {}, f"the body was {kind or 'of no declared kind'}, not {wanted}"
        if body == "json":
            try:
                read = json.loads(self.body)
            except ValueError:
                return {}, "the body was no JSON"
            return (read, "") if isinstance(read, dict) else ({}, "the body was no JSON object")
        pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        twice = {name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1}
        return dict(pairs), f"{', '.join(sorted(twice))} came twice" if twice else ""


async def read(request: Request) -> Seen:
    """Take a request apart."""
    raw = request.scope.get("raw_path", b"").decode("ascii", "replace")
    scheme = request.headers.get(SCHEME, request.url.scheme)
    host = request.headers.get("host", "").lower()
    default = {"https": ":443", "http": ":80"}.get(scheme, "")
    return Seen(
        method=request.method,
        scheme=scheme,
        host=host.removesuffix(default) if default else host,
        path=unquote(raw),
        raw_path=raw,
        raw_query=request.scope.get("query_string", b"").decode("ascii", "replace"),
        headers=request.headers,
        body=await request.body(),
        fragment=request.headers.get(FRAGMENT),
    )
