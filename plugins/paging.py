"""Ways to page through an API, each a small object that says what to ask for next.

Rules of this room: no I/O. A pager sees a reply and the number of its records, and answers with the next
page's URL or parameters, or with None: that was the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import jmespath

from connector.errors import SnapError


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What to ask for: a URL (None: the snap's own path) and parameters on top of the snap's."""

    url: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


class Pager(Protocol):
    """One walk through the pages of one collection."""

    def first(self) -> Page:
        """The first page."""

    def next(self, response: httpx.Response, data: Any, count: int) -> Page | None:
        """The page after one that held `count` records; None: there is none."""


@dataclass(slots=True)
class Once:
    """No paging: one request."""

    def first(self) -> Page:
        """See `Pager.first`."""
        return Page()

    def next(self, response: httpx.Response, data: Any, count: int) -> Page | None:
        """See `Pager.next`."""
        return None


@dataclass(slots=True)
class Offset:
    """Offset and limit. Without a known total, a page that is not full is the last.

    With a total (a header, or a place in the reply) only the total counts: servers that apply access
    rules after the limit answer short and even empty pages in the middle.
    """

    size: int
    offset_param: str
    limit_param: str
    total: Callable[[httpx.Response, Any], int | None]
    needs_total: bool = False
    _offset: int = 0

    def first(self) -> Page:
        """See `Pager.first`."""
        return self._page()

    def next(self, response: httpx.Response, data: Any, count: int) -> Page | None:
        """See `Pager.next`."""
        total = self.total(response, data)
        if total is None and self.needs_total:
            raise SnapError(
                "The reply does not say how many records there are",
                reason="paginate: total needs the header X-Total-Count or another place of the total",
                resolution="Name it with total_header or total, or use paginate: offset.",
            )
        self._offset += self.size
        more = count >= self.size if total is None else self._offset < total
        return self._page() if more else None

    def _page(self) -> Page:
        return Page(params={self.offset_param: self._offset, self.limit_param: self.size})


@dataclass(slots=True)
class Numbered:
    """Numbered pages: until the total is reached, or a page is empty or not full."""

    size: int
    page_param: str
    size_param: str
    total: Callable[[httpx.Response, Any], int | None]
    number: int = 1
    _seen: int = 0

    def first(self) -> Page:
        """See `Pager.first`."""
        return self._page()

    def next(self, response: httpx.Response, data: Any, count: int) -> Page | None:
        """See `Pager.next`."""
        total = self.total(response, data)
        self._seen += self.size
        self.number += 1
        more = count >= self.size if total is None else self._seen < total
        return self._page() if more else None

    def _page(self) -> Page:
        return Page(params={self.page_param: self.number, self.size_param: self.size})


@dataclass(slots=True)
class Cursor:
    """The reply names the next page: by a cursor to send back, or by a URL."""

    find: Any
    cursor_param: str
    size: int | None
    size_param: str
    _seen: set[str] = field(default_factory=set)

    def first(self) -> Page:
        """See `Pager.first`."""
        return Page(params={self.size_param: self.size} if self.size else {})

    def next(self, response: httpx.Response, data: Any, count: int) -> Page | None:
        """See `Pager.next`."""
        found = self.find.search(data)
        if found in (None, "", False):
            return None
        cursor = str(found)
        _no_loop(cursor, self._seen)
        if cursor.startswith(("http://", "https://", "/")):
            return Page(url=cursor)
        return Page(params={**self.first().params, self.cursor_param: cursor})


@dataclass(slots=True)
class Linked:
    """The header ``Link`` with rel="next" (RFC 8288)."""

    params: Mapping[str, Any]
    _seen: set[str] = field(default_factory=set)

    def first(self) -> Page:
        """See `Pager.first`."""
        return Page(params=self.params)

    def next(self, response: httpx.Response, data: Any, count: int) -> Page | None:
        """See `Pager.next`."""
        link = response.links.get("next", {}).get("url")
        if not link:
            return None
        url = str(response.url.join(link))
        _no_loop(url, self._seen)
        return Page(url=url)


def _no_loop(step: str, seen: set[str]) -> None:
    if step in seen:
        raise SnapError(
            "The pages go in a circle",
            reason="a reply names a next page that was read already",
            resolution="Report it to the API's owner, or page by offset.",
        )
    seen.add(step)


def total_in(header: str, expression: str) -> Callable[[httpx.Response, Any], int | None]:
    """Look for the number of all records in a header, else at a JMESPath expression in the reply."""
    place = jmespath.compile(expression) if expression else None

    def look(response: httpx.Response, data: Any) -> int | None:
        said: Any = response.headers.get(header) if header else None
        if said is None and place is not None:
            said = place.search(data)
        if isinstance(said, bool):
            return None
        if isinstance(said, int):
            return said
        return int(said) if isinstance(said, str) and said.isascii() and said.isdigit() else None

    return look
