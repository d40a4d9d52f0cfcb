"""How to ask an API for all of a listing, page by page: decisions only, no request is made here.

Each way is a generator: it yields what to ask for next (`Ask`), is sent what came (`Page`), and returns
when that was the last page. Whoever drives it hands on the records of every page it sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.errors import SnapError

Records = list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Names and sizes of one listing.

    Attributes:
        size: records to ask for at once; None: as many as the server likes, or 50 where a number is needed.
        cursor: finds the next cursor in a reply.
    """

    size: int | None = None
    offset_param: str = "offset"
    limit_param: str = "limit"
    page_param: str = "page"
    size_param: str = "per_page"
    start_page: int = 1
    cursor_param: str = ""
    cursor: Callable[[Any], Any] = lambda body: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to ask for: query parameters beside the listing's own, or another URL instead of its own."""

    params: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What came.

    Attributes:
        total: how many records there are in all; None: not known.
        next: absolute URL of the next page (RFC 8288 ``rel="next"``); empty: none was named.
        url: absolute URL of this page.
    """

    records: Records
    body: Any = None
    total: int | None = None
    next: str = ""
    url: str = ""


Pages = Generator[Ask, Page, None]


def once(paging: Paging) -> Pages:
    """One request is all."""
    yield Ask()


def by_offset(paging: Paging, *, needs_total: bool = False) -> Pages:
    """Ask from record 0, then from as many as have come.

    The end is an empty page, or one shorter than the first: not one shorter than asked for, since many
    servers give fewer than that at once and would look finished.

    Where the total is known only the total counts, and the offset grows by what was asked for, however
    short or empty a page is: ServiceNow applies the limit before its access rules, so that its pages have
    gaps (Table API, sysparm_limit). A first page that is short may also come from a server that gives
    fewer at once, and then this would pass over records: it goes on only where `needs_total` said so.
    """
    size = paging.size or 50
    first, offset = 0, 0
    before: Records = []
    while True:
        page = yield Ask(params={paging.offset_param: str(offset), paging.limit_param: str(size)})
        count = len(page.records)
        _refuse_repeat(page.records, before, size, paging.offset_param)
        if page.total is None and needs_total:
            raise _no_total()
        if page.total is not None and not needs_total and offset == 0 and count < min(size, page.total):
            raise _short(count, size, page.total)
        offset += count if page.total is None else max(size, count)
        if _is_last(count, first) if page.total is None else offset >= page.total:
            return
        first, before = first or count, page.records


def by_total(paging: Paging) -> Pages:
    """As `by_offset`, and a reply that does not say the total is an error."""
    return by_offset(paging, needs_total=True)


def by_page(paging: Paging) -> Pages:
    """Ask for page 1, 2, 3, ... until one is empty, or shorter than the first.

    With a total: until as many have come. An empty page ends it only past the place where pages of the
    size asked for would end: hidden records leave gaps.
    """
    limit = {paging.size_param: str(paging.size)} if paging.size else {}
    first, seen, number = 0, 0, paging.start_page
    before: Records = []
    while True:
        page = yield Ask(params={paging.page_param: str(number), **limit})
        count = len(page.records)
        _refuse_repeat(page.records, before, paging.size or count + 1, paging.page_param)
        seen += count
        number += 1
        asked = (number - paging.start_page) * (paging.size or 0)
        if page.total is None:
            done = _is_last(count, first)
        else:
            done = seen >= page.total or (count == 0 and (not paging.size or asked >= page.total))
        if done:
            return
        first, before = first or count, page.records


def by_cursor(paging: Paging) -> Pages:
    """Ask with the cursor that the reply before named, until one names none.

    A cursor that is a URL, or a path, is followed as it is unless a parameter is named for it.
    """
    limit = {paging.limit_param: str(paging.size)} if paging.size else {}
    ask, seen = Ask(params=limit), set()
    while True:
        page = yield ask
        found = paging.cursor(page.body)
        if found is None or found is False or found == "":
            return
        if isinstance(found, bool) or not isinstance(found, (str, int, float)):
            raise SnapError(
                "The next cursor is no text or number", code="paging", resolution="Check `cursor`."
            )
        cursor = str(found)
        if cursor in seen:
            raise _loop("the same cursor")
        seen.add(cursor)
        if not paging.cursor_param and cursor.startswith(("http://", "https://", "/")):
            ask = Ask(url=cursor)
        else:
            ask = Ask(params={**limit, paging.cursor_param or "cursor": cursor})


def by_link(paging: Paging) -> Pages:
    """Follow ``Link: <...>; rel="next"`` (RFC 8288) until there is none."""
    ask = Ask(params={paging.limit_param: str(paging.size)} if paging.size else {})
    seen = set()
    while True:
        page = yield ask
        seen.add(page.url)
        if not page.next:
            return
        if page.next in seen:
            raise _loop("a page that was read already")
        ask = Ask(url=page.next)


WAYS: Mapping[str, Callable[[Paging], Pages]] = {
    "none": once,
    "offset": by_offset,
    "page": by_page,
    "cursor": by_cursor,
    "link": by_link,
    "total": by_total,
}


# Which ways look at an option of the paging; `max_pages` and `max_documents` bound them all.
_PAGED = ("offset", "page", "cursor", "link", "total")
_COUNTED = ("offset", "page", "total")
USED_BY: Mapping[str, tuple[str, ...]] = {
    "page_size": _PAGED,
    "offset_param": ("offset", "total"),
    "limit_param": ("offset", "cursor", "link", "total"),
    "page_param": ("page",),
    "size_param": ("page",),
    "start_page": ("page",),
    "cursor": ("cursor",),
    "cursor_param": ("cursor",),
    "total": _COUNTED,
    "total_header": _COUNTED,
}


def unused(options: Iterable[str], way: str) -> Iterator[tuple[str, str]]:
    """Yield each of these options that a way of paging does not look at, and what to know about it."""
    for name in options:
        if name in USED_BY and way not in USED_BY[name]:
            yield name, f"is for `paginate: {' or '.join(USED_BY[name])}`, this is {way}"


def _is_last(count: int, first: int) -> bool:
    return count == 0 or count < first


def _no_total() -> SnapError:
    return SnapError(
        "The reply does not say how many records there are",
        code="paging",
        resolution="Name where it does, `total_header` or `total`, or use `paginate: offset`.",
    )


def _short(count: int, size: int, total: int) -> SnapError:
    return SnapError(
        f"The first page holds {count} records, though {size} were asked for and there are {total}",
        code="paging",
        reason="either the server gives no more at once, or it hides some: going on might pass over records",
        resolution=f"If it gives no more at once, say `page_size: {max(count, 1)}`; if it hides some,"
        " `paginate: total`.",
    )


def _refuse_repeat(records: Records, before: Records, size: int, param: str) -> None:
    """A server that does not know the parameter sends its first page for ever.

    Equal pages alone prove nothing (fifty times the same state); equal pages of differing records do, and
    so do equal pages that are not full.
    """
    if records and records == before and (len(records) < size or records[0] != records[-1]):
        raise SnapError(
            "The same page came twice",
            code="paging",
            reason=f"the server seems not to know the parameter {param!r}",
            resolution="Name the right one (`offset_param`, `page_param`), or use `paginate: none`.",
        )


def _loop(what: str) -> SnapError:
    return SnapError(
        "The pages go round in a circle",
        code="paging",
        reason=f"the reply names {what} as the next",
        resolution="Tell the API's owner; `max_pages` bounds a run meanwhile.",
    )


_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s=;,"<>]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)')
_PARAM = re.compile(r';\s*([^\s=;,"<>]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?')


def next_link(headers: Iterable[str]) -> str:
    """The target of the first ``rel="next"`` link in Link headers (RFC 8288 section 3); empty: none.

    Links with an ``anchor`` speak of another resource and are passed over (section 3.2).
    """
    for header in headers:
        for target, text in _LINK.findall(header):
            params: dict[str, str] = {}
            for name, quoted, token in _PARAM.findall(text):
                # Of several `rel` only the first counts (section 3.3).
                params.setdefault(name.lower(), quoted or token)
            if "next" in params.get("rel", "").lower().split() and "anchor" not in params:
                return str(target).strip()
    return ""
