"""Snaps for APIs: ``http.read`` pages through a listing, ``http.write`` sends one request per document."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import httpx
from jmespath.exceptions import JMESPathError

from connector.errors import SnapError
from connector.hookspecs import hookimpl
from connector.plugins.exchange import (
    PATIENCE_S,
    TIMEOUT_S,
    Pace,
    fill_path,
    fill_value,
    is_relative,
    reply_of,
    send,
    where,
)
from connector.plugins.paging import WAYS, Ask, Page, Paging, next_link, unused
from connector.plugins.query import compiled, faults, pick_faults, picker
from connector.snap import Context, Document, Snap

log = logging.getLogger("connector.snaps")

Params = dict[str, str | int | float | bool | list[Any] | None]
LISTS = ("result", "results", "items", "data", "value", "records")


def read(
    documents: Iterable[Document],
    context: Context,
    *,
    path: str,
    method: Literal["GET", "POST"] = "GET",
    params: Params | None = None,
    headers: dict[str, str] | None = None,
    body: Any = None,
    records: str = "",
    paginate: Literal["none", "auto", "offset", "page", "cursor", "link", "total"] = "none",
    page_size: int | None = None,
    offset_param: str = "offset",
    limit_param: str = "limit",
    page_param: str = "page",
    size_param: str = "per_page",
    start_page: int = 1,
    cursor: str = "next",
    cursor_param: str = "",
    total: str = "",
    total_header: str = "X-Total-Count",
    max_documents: int | None = None,
    max_pages: int | None = None,
    requests_per_second: float | None = None,
    timeout: float = TIMEOUT_S,
    _sleep: Callable[[float], None] = time.sleep,
    _clock: Callable[[], float] = time.monotonic,
) -> Iterator[Document]:
    """``http.read``: the records of a listing, once per incoming document (the first step: once).

    `path` and `params` may name fields of the incoming document, ``{field}``.
    """
    paging = Paging(
        size=page_size,
        offset_param=offset_param,
        limit_param=limit_param,
        page_param=page_param,
        size_param=size_param,
        start_page=start_page,
        cursor_param=cursor_param,
        cursor=picker(cursor),
    )
    patience_s = 0.0 if context.account else PATIENCE_S
    how = {"headers": headers, "timeout_s": timeout, "sleep": _sleep, "patience_s": patience_s}
    find_records = picker(records) if records else None
    find_total = picker(total) if total else None
    pace = Pace(requests_per_second, _sleep, _clock)

    def page_of(response: httpx.Response) -> Page:
        reply = reply_of(response)
        target = next_link(response.headers.get_list("link"))
        known = find_total(reply) if find_total else response.headers.get(total_header)
        return Page(
            records=_records(reply, find_records, paginate, where(response.request)),
            body=reply,
            total=_whole(known),
            next=str(response.request.url.join(target)) if target else "",
            url=str(response.request.url),
        )

    def pages(document: Document) -> Iterator[Page]:
        own = httpx.URL(fill_path(path, document)).copy_merge_params(_query(params, document))
        content = fill_value(body, document)
        way = WAYS[paginate](paging)
        ask: Ask | None = next(way)
        here = own
        while ask is not None:
            url = here.join(ask.url) if ask.url else own.copy_merge_params(ask.params)
            pace.wait()
            page = page_of(send(context.client, method, url, body=content, **how))
            # Asked before the records go on: a page that came twice is refused, not handed on twice.
            ask, here = _next(way, page), httpx.URL(page.url)
            _note_host(ask, here)
            yield page

    left = max_documents if max_documents is not None else -1
    for document in documents:
        try:
            for number, page in enumerate(pages(document), 1):
                for record in page.records:
                    yield record if isinstance(record, dict) else {"value": record}
                    left -= 1
                    if left == 0:
                        return
                if number == max_pages:
                    break
        except (SnapError, httpx.InvalidURL) as error:
            failure = error
        else:
            continue
        if not document:
            # A listing cut short is no listing: without an incoming document there is nothing to skip.
            raise failure
        context.fail(document, failure)


def _next(way: Any, page: Page) -> Ask | None:
    try:
        ask: Ask = way.send(page)
    except StopIteration:
        return None
    return ask


def _note_host(ask: Ask | None, here: httpx.URL) -> None:
    there = here.join(ask.url) if ask is not None and ask.url else here
    if here.host != there.host:
        log.warning("the next page of %s is on another host, %s", here.host, there.host)


def _query(params: Mapping[str, Any] | None, document: Document) -> dict[str, Any]:
    filled = fill_value(dict(params or {}), document)
    for name, value in filled.items():
        if isinstance(value, dict):
            raise SnapError(f"The parameter {name!r} is a mapping, which no query can hold")
    return {name: value for name, value in filled.items() if value is not None}


def _records(reply: Any, find: Callable[[Any], Any] | None, paginate: str, place: str) -> list[Any]:
    if find is not None:
        try:
            found = find(reply)
        except JMESPathError as error:
            raise SnapError(f"{place}: `records` failed", code="bad_reply", reason=str(error)) from None
        if found is None:
            raise SnapError(
                f"{place}: there is nothing where `records` points",
                code="bad_reply",
                reason=_outline(reply),
                resolution="Correct `records`, a JSON pointer or JMESPath expression.",
            )
        return found if isinstance(found, list) else [found]
    if reply is None:
        return []
    if isinstance(reply, list):
        return reply
    lists = [key for key in LISTS if isinstance(reply.get(key), list)] if isinstance(reply, dict) else []
    if len(lists) == 1:
        found = reply[lists[0]]
        assert isinstance(found, list)
        return found
    if paginate == "none" and not lists:
        return [reply]
    raise SnapError(
        f"{place}: it is not clear where in the reply the records are",
        code="bad_reply",
        reason=_outline(reply),
        resolution="Say it with `records`, a JSON pointer or JMESPath expression.",
    )


def _outline(reply: Any) -> str:
    if not isinstance(reply, dict):
        return f"the reply is a {type(reply).__name__}"
    return f"the reply's keys: {', '.join(list(reply)[:20]) or 'none'}"


def _whole(value: Any) -> int | None:
    if isinstance(value, str):
        # No sign, no blanks, no other script's digits, nothing endless.
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def write(
    documents: Iterable[Document],
    context: Context,
    *,
    path: str,
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST",
    params: Params | None = None,
    headers: dict[str, str] | None = None,
    body: str = "",
    concurrency: int = 4,
    requests_per_second: float | None = None,
    timeout: float = TIMEOUT_S,
    output: Literal["result", "response", "document"] = "result",
    _sleep: Callable[[float], None] = time.sleep,
    _clock: Callable[[], float] = time.monotonic,
) -> Iterator[Document]:
    """``http.write``: one request per document, `concurrency` at a time, results in the documents' order.

    The body is the document as JSON, or what the JMESPath expression `body` makes of it; DELETE has none
    unless `body` is given. A request that may have reached the server is never sent twice. A preview sends
    nothing and passes on what an empty answer without status would give.
    """
    if context.preview:
        for document in documents:
            unsent = {"document": document, "status": None, "response": None}
            yield unsent if output == "result" else document if output == "document" else {}
        return
    client = context.client
    patience_s = 0.0 if context.account else PATIENCE_S
    how = {"headers": headers, "timeout_s": timeout, "sleep": _sleep, "patience_s": patience_s}
    shape = compiled(body) if body else None
    pace = Pace(requests_per_second, _sleep, _clock)

    def one(document: Document) -> Document:
        url = httpx.URL(fill_path(path, document)).copy_merge_params(_query(params, document))
        try:
            content = shape.search(document) if shape else None if method == "DELETE" else document
        except JMESPathError as error:
            raise SnapError("The expression `body` failed", reason=str(error)) from None
        if shape and content is None:
            raise SnapError("The expression `body` gave nothing", resolution="Send documents that have it.")
        response = send(client, method, url, body=content, **how)
        if output == "document":
            return document
        reply = reply_of(response, strict=False)
        if output == "result":
            return {"document": document, "status": response.status_code, "response": reply}
        return reply if isinstance(reply, dict) else {} if reply is None else {"value": reply}

    window: deque[tuple[Document, Future[Document]]] = deque()
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="http.write")
    try:
        for document in documents:
            pace.wait()
            window.append((document, pool.submit(one, document)))
            if len(window) >= concurrency:
                yield from _settled(*window.popleft(), context)
        while window:
            yield from _settled(*window.popleft(), context)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _settled(document: Document, future: Future[Document], context: Context) -> Iterator[Document]:
    try:
        made = future.result()
    except (SnapError, httpx.InvalidURL) as error:
        failure = error
    else:
        yield made
        return
    context.fail(document, failure)


def _relative(options: Mapping[str, Any]) -> str:
    path = options.get("path")
    return "path" if isinstance(path, str) and is_relative(path) else ""


def _check_read(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name in ("records", "cursor", "total"):
        for message in pick_faults(options[name]) if options.get(name) else ():
            yield name, message
    if "paginate" not in getattr(options, "unknown", ()) and options.get("paginate") != "auto":
        yield from unused(options, options.get("paginate", "none"))
    for name in ("page_size", "max_pages", "max_documents"):
        if options.get(name) is not None and options[name] < 1:
            yield name, "expected 1 or more"
    yield from _check_above_zero(options)
    if options.get("body") is not None and options.get("method", "GET") == "GET":
        yield "body", "a GET has no body: add `method: POST`"
    yield from _check_json(options)


def _check_write(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for message in faults(options["body"]) if options.get("body") else ():
        yield "body", message
    if not 1 <= options.get("concurrency", 4) <= 64:
        yield "concurrency", "expected a number from 1 to 64"
    yield from _check_above_zero(options)


def _check_above_zero(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name in ("requests_per_second", "timeout"):
        # Not `<= 0`: YAML's .nan is neither.
        if options.get(name) is not None and not options[name] > 0:
            yield name, "expected more than 0"


def _check_json(options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    try:
        json.dumps(options.get("body"))
    except (TypeError, ValueError):
        yield "body", "is no JSON (a date without quotes, perhaps)"


@hookimpl
def connector_snaps() -> Iterable[Snap]:
    """The snaps of this file."""
    return (
        Snap(
            name="http.read",
            paged=True,
            run=read,
            account="optional",
            summary="Read the records of an API's listing, page by page.",
            check=_check_read,
            needs_base=_relative,
            reads_parameters=False,
        ),
        Snap(
            name="http.write",
            run=write,
            account="optional",
            summary="Send one request per document.",
            check=_check_write,
            needs_base=_relative,
            reads_parameters=False,
        ),
    )
