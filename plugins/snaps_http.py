"""Snaps that speak HTTP with their account's client: ``http.read`` and ``http.write``."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal
from urllib.parse import quote

import httpx
from connector.plugins.paging import Cursor, Linked, Numbered, Offset, Once, Page, Pager, total_in
from connector.plugins.snaps_shape import compiled, faults

from connector.errors import ConnectorError, SnapError
from connector.hookspecs import hookimpl
from connector.snap import Context, Document, Snap

_FIELD = re.compile(r"\{([A-Za-z_][\w.-]*)\}")
_LISTS = ("result", "results", "items", "data", "value", "records")
_TRIES = 4


def read(
    documents: Iterable[Document],
    context: Context,
    *,
    path: str,
    params: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    method: Literal["GET", "POST"] = "GET",
    body: dict[str, Any] | None = None,
    records: str = "",
    paginate: Literal["none", "offset", "page", "cursor", "link", "total"] = "none",
    page_size: int | None = None,
    offset_param: str = "offset",
    limit_param: str = "limit",
    page_param: str = "page",
    size_param: str = "per_page",
    start_page: int = 1,
    cursor: str = "next",
    cursor_param: str = "cursor",
    total_header: str = "X-Total-Count",
    total: str = "",
    max_documents: int | None = None,
    max_pages: int | None = None,
    requests_per_second: float | None = None,
    _sleep: Callable[[float], None] = time.sleep,
    _clock: Callable[[], float] = time.monotonic,
) -> Iterator[Document]:
    """``http.read``: the records of an API, page after page."""
    place = compiled(records) if records else None
    pace = _Pace(requests_per_second, _sleep, _clock)
    for document in documents:
        try:
            target = fill_path(path, document)
            own = {name: _fill(value, document) for name, value in (params or {}).items()}
        except SnapError as error:
            context.fail(document, error)
            continue
        counts = total_in(total_header, total)
        pager: Pager = Once()
        if paginate in ("offset", "total"):
            pager = Offset(
                page_size or 50, offset_param, limit_param, counts, needs_total=paginate == "total"
            )
        elif paginate == "page":
            pager = Numbered(page_size or 50, page_param, size_param, counts, number=start_page)
        elif paginate == "cursor":
            pager = Cursor(compiled(cursor), cursor_param, page_size, limit_param)
        elif paginate == "link":
            pager = Linked({limit_param: page_size} if page_size else {})
        left, page, pages = max_documents, pager.first(), 0
        while page is not None:
            pace.wait()
            request = _request(context.client, method, target, own, page, headers, body)
            response = _get(context.client, request, _sleep)
            data = _json(response)
            found = _records(data, place)
            for record in found[:left]:
                yield record if isinstance(record, dict) else {"value": record}
            pages += 1
            left = None if left is None else left - len(found)
            if (left is not None and left <= 0) or (max_pages is not None and pages >= max_pages):
                break
            page = pager.next(response, data, len(found))


class _Pace:
    """At most so many requests a second."""

    def __init__(
        self, per_second: float | None, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._sleep, self._clock = sleep, clock
        self._next = clock()

    def wait(self) -> None:
        now = self._clock()
        if self._gap and now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._gap


def _request(
    client: httpx.Client,
    method: str,
    target: str,
    own: Mapping[str, Any],
    page: Page,
    headers: Mapping[str, str] | None,
    body: Mapping[str, Any] | None,
) -> httpx.Request:
    if page.url is not None:
        # The server's own link holds all its parameters already.
        return client.build_request(method, page.url, headers=headers, json=body)
    params = {**own, **page.params}
    return client.build_request(method, target, params=params or None, headers=headers, json=body)


def _get(client: httpx.Client, request: httpx.Request, sleep: Callable[[float], None]) -> httpx.Response:
    """Send, and for a GET try again what passes by itself: a cut connection, a 5xx, a truncated reply."""
    for attempt in range(_TRIES):
        last = attempt == _TRIES - 1 or request.method != "GET"
        try:
            response = client.send(request)
        except httpx.TransportError as error:
            if last or isinstance(error, (ConnectorError, httpx.UnsupportedProtocol)):
                raise
        else:
            if response.status_code < 500 or last:
                return checked(response)
        sleep(0.25 * 4.0**attempt)
    raise AssertionError("the last attempt returns or raises")


def checked(response: httpx.Response) -> httpx.Response:
    """Return a response that went well; raise SnapError for one that did not."""
    if response.is_success:
        return response
    status, request = response.status_code, response.request
    kind = 500 if status >= 500 else status
    raise SnapError(
        f"{request.method} {request.url.path} was answered with {status} {response.reason_phrase}".rstrip(),
        reason=_excerpt(response),
        resolution=_CURES.get(kind, "Check the path, the parameters and what the API expects."),
    )


_CURES = {
    301: "Use the address it redirects to.",
    302: "Use the address it redirects to.",
    400: "Check the parameters and the document against what the API expects.",
    401: "Check that the account belongs to this API; its token was renewed and still refused.",
    403: "Check the account's scopes and the rights of its user.",
    404: "Check the path, and the base URL of the account's endpoint.",
    409: "Somebody else changed it, or it is there already.",
    413: "Send smaller documents.",
    422: "Check the document against what the API expects.",
    429: "The API asks for fewer requests: set requests_per_second, or a larger retry_budget of the account.",
    500: "Try again later; if it stays, report it to the API's owner.",
}


def _excerpt(response: httpx.Response) -> str:
    text = " ".join(re.sub(r"<[^>]{0,200}>", " ", response.text[:4000]).split())
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= 200 else text[:199] + "…"


def _json(response: httpx.Response) -> Any:
    if not response.content:
        return []
    try:
        return response.json()
    except (ValueError, RecursionError):
        kind = response.headers.get("content-type", "no content type")
        raise SnapError(
            f"{response.request.method} {response.request.url.path} was not answered with JSON",
            reason=f"{kind}: {_excerpt(response)}",
            resolution="Ask for JSON with headers: {Accept: application/json}.",
        ) from None


def _records(data: Any, place: Any) -> list[Any]:
    if place is not None:
        found = place.search(data)
        if found is None:
            return []
        return found if isinstance(found, list) else [found]
    if isinstance(data, list):
        return data
    if isinstance(data, dict):
        lists = [data[name] for name in _LISTS if isinstance(data.get(name), list)]
        if len(lists) == 1:
            return list(lists[0])
    return [data]


def _fill(value: Any, document: Document) -> Any:
    if not isinstance(value, str):
        return value
    return _FIELD.sub(lambda match: _field(match[1], document), value)


def fill_path(path: str, document: Document) -> str:
    """Fill ``{field}`` in a path from a document, percent-encoded, so that no value changes the path."""
    return _FIELD.sub(lambda match: quote(_field(match[1], document), safe=""), path)


def _field(name: str, document: Document) -> str:
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None or isinstance(value, (dict, list)):
        raise SnapError(
            f"The document has no field {name!r} to put into the request",
            resolution="Check the path and params of the step, or filter such documents out before it.",
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def write(
    documents: Iterable[Document],
    context: Context,
    *,
    path: str,
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST",
    params: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    body: str = "",
    concurrency: int = 4,
    output: Literal["result", "response", "document"] = "result",
) -> Iterator[Document]:
    """``http.write``: one request per document, several under way, answers in the order of the documents."""
    if context.preview:
        yield from documents
        return
    shape = compiled(body) if body else None
    client = context.client

    def send(document: Document) -> httpx.Response:
        target = fill_path(path, document)
        own = {name: _fill(value, document) for name, value in (params or {}).items()}
        sent: Any = document if shape is None else shape.search(document)
        return checked(
            client.request(
                method,
                target,
                params=own or None,
                headers=headers,
                json=None if method == "DELETE" and shape is None else sent,
            )
        )

    window: deque[tuple[Document, Future[httpx.Response]]] = deque()
    pool = ThreadPoolExecutor(max_workers=max(1, concurrency), thread_name_prefix="http.write")
    try:
        for document in documents:
            window.append((document, pool.submit(send, document)))
            if len(window) >= max(1, concurrency):
                yield from _landed(context, *window.popleft(), output)
        while window:
            yield from _landed(context, *window.popleft(), output)
    finally:
        # Those under way are waited for; those not begun are not sent any more.
        pool.shutdown(cancel_futures=True)


def _landed(
    context: Context, document: Document, future: Future[httpx.Response], output: str
) -> Iterator[Document]:
    try:
        response = future.result()
    except (SnapError, httpx.HTTPError) as error:
        if isinstance(error, ConnectorError) and not isinstance(error, SnapError):
            raise
        context.fail(document, error)
        return
    if output == "document":
        yield document
        return
    try:
        answer: Any = response.json() if response.content else None
    except (ValueError, RecursionError):
        answer = response.text
    if output == "response":
        yield answer if isinstance(answer, dict) else {"value": answer}
    else:
        yield {"document": document, "status": response.status_code, "response": answer}


def _check_read(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("records", "cursor", "total"):
        if isinstance(options.get(name), str) and options[name]:
            for message in faults(options[name]):
                yield name, message
    for name in ("page_size", "max_documents", "max_pages", "requests_per_second"):
        value = options.get(name)
        if isinstance(value, (int, float)) and value <= 0:
            yield name, f"{name} is {value}, expected more than 0"


def _check_write(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(options.get("body"), str) and options["body"]:
        for message in faults(options["body"]):
            yield "body", message
    concurrency = options.get("concurrency")
    if isinstance(concurrency, int) and not 1 <= concurrency <= 64:
        yield "concurrency", f"concurrency is {concurrency}, expected 1 to 64"


@hookimpl
def connector_snaps() -> Iterable[Snap]:
    """See `connector.hookspecs.connector_snaps`."""
    return [
        Snap(
            name="http.read",
            run=read,
            account="optional",
            summary="Read records from an API, page after page.",
            check=_check_read,
        ),
        Snap(
            name="http.write",
            run=write,
            account="optional",
            summary="Send each document to an API.",
            check=_check_write,
        ),
    ]
