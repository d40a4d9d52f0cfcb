"""Paging of ``http.read``: every visible record comes once, whatever the pages look like."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_room import Room

from connector.errors import SnapError

Answer = Callable[[httpx.Request], httpx.Response]
MANY = settings(max_examples=80, deadline=None)


def things(total: int) -> list[dict[str, int]]:
    return [{"id": number} for number in range(total)]


def listing(
    total: int,
    *,
    most: int = 10**6,
    hidden: frozenset[int] = frozenset(),
    tell: bool = False,
    names: tuple[str, str] = ("offset", "limit"),
) -> Answer:
    """An offset API; it gives at most `most` at once and hides some records after the limit."""

    def answer(request: httpx.Request) -> httpx.Response:
        start, size = (int(request.url.params[name]) for name in names)
        page = things(total)[start : start + min(size, most)]
        headers = {"X-Total-Count": str(total)} if tell else {}
        return httpx.Response(200, json=[each for each in page if each["id"] not in hidden], headers=headers)

    return answer


def numbered(total: int, *, first: int = 1, most: int = 10**6, tell: bool = False) -> Answer:
    """An API of numbered pages."""

    def answer(request: httpx.Request) -> httpx.Response:
        size = min(int(request.url.params.get("per_page", 7)), most)
        start = (int(request.url.params["page"]) - first) * size
        body: dict[str, Any] = {"items": things(total)[start : start + size]}
        return httpx.Response(200, json={**body, "count": total} if tell else body)

    return answer


def fresh() -> Room:
    """A room for one example of many; nothing is written into its folder."""
    return Room(Path(tempfile.gettempdir()))


@MANY
@given(total=st.integers(0, 60), size=st.integers(1, 25), most=st.integers(1, 25))
def test_offset_brings_all_of_them_once(total: int, size: int, most: int) -> None:
    """Whatever is asked for and however few the server gives at once, no total being known."""
    found = fresh().read(listing(total, most=most), paginate="offset", page_size=size)
    assert found == things(total)


@MANY
@given(total=st.integers(0, 60), size=st.integers(1, 25), hidden=st.frozensets(st.integers(0, 59)))
def test_total_brings_all_that_are_visible_once(total: int, size: int, hidden: frozenset[int]) -> None:
    """As ServiceNow does it: short and empty pages in the middle, the limit being applied first."""
    found = fresh().read(listing(total, hidden=hidden, tell=True), paginate="total", page_size=size)
    assert found == [each for each in things(total) if each["id"] not in hidden]


@MANY
@given(total=st.integers(0, 60), size=st.integers(1, 25), most=st.integers(1, 25))
def test_offset_with_a_total_never_loses_records_silently(total: int, size: int, most: int) -> None:
    """A server that says the total and gives fewer than asked for: all of them, or an error."""
    answer = listing(total, most=most, tell=True)
    if most < min(size, total):
        with pytest.raises(SnapError, match=f"page_size: {most}.*paginate: total"):
            fresh().read(answer, paginate="offset", page_size=size)
    else:
        assert fresh().read(answer, paginate="offset", page_size=size) == things(total)


@MANY
@given(
    total=st.integers(0, 60),
    size=st.integers(1, 25) | st.none(),
    most=st.integers(1, 25),
    first=st.integers(0, 2),
    tell=st.booleans(),
)
def test_pages_bring_all_of_them_once(
    total: int, size: int | None, most: int, first: int, tell: bool
) -> None:
    """Numbered from 0, 1 or 2, with and without a total in the body, and fewer at once than asked for."""
    options: dict[str, Any] = {"total": "count"} if tell else {}
    if size:
        options["page_size"] = size
    answer = numbered(total, first=first, most=most, tell=tell)
    found = fresh().read(answer, paginate="page", start_page=first, **options)
    assert found == things(total)


@MANY
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=8), kind=st.sampled_from(["text", "url", "path"])
)
def test_cursors_are_followed_to_the_end(sizes: list[int], kind: str) -> None:
    """A cursor to send back, a whole URL and a path: all pages, empty ones in the middle included."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("cursor", "c0")[1:])
        page = things(sum(sizes))[starts[number] : starts[number] + sizes[number]]
        after = f"c{number + 1}" if number + 1 < len(sizes) else None
        if after and kind != "text":
            after = f"/things?cursor={after}"
            after = f"https://api.example.com{after}" if kind == "url" else after
        return httpx.Response(200, json={"data": page, "meta": {"next": after}})

    found = fresh().read(answer, paginate="cursor", cursor="meta.next")
    assert found == things(sum(sizes))


def test_the_names_of_parameters_are_options(room: Room) -> None:
    """ServiceNow's own names, and the size it is asked for."""
    answer = listing(5, tell=True, names=("sysparm_offset", "sysparm_limit"))
    names = {"offset_param": "sysparm_offset", "limit_param": "sysparm_limit"}
    assert room.read(answer, paginate="total", page_size=2, **names) == things(5)
    assert [query["sysparm_offset"] for query in room.queries] == ["0", "2", "4"]


def test_a_total_costs_no_request_more(room: Room) -> None:
    """The last page is known to be the last, full or not."""
    room.read(listing(6, tell=True), paginate="total", page_size=3)
    assert len(room.requests) == 2


def test_total_without_a_total_is_an_error(room: Room) -> None:
    """It is never guessed."""
    with pytest.raises(SnapError, match="does not say how many") as caught:
        room.read(listing(6), paginate="total")
    assert "total_header" in caught.value.resolution


@pytest.mark.parametrize("said", ["-3", "many", "1e9", "", "١٢", "9" * 5000])
def test_a_total_that_is_no_number_is_none(room: Room, said: str) -> None:
    """Nonsense in the header is as if it were not there."""
    with pytest.raises(SnapError, match="does not say how many"):
        room.read(
            lambda request: httpx.Response(200, json=things(2), headers=[(b"X-Total-Count", said.encode())]),
            paginate="total",
        )


@pytest.mark.parametrize(
    "header",
    [
        '<https://api.example.com/things?n=1>; rel="next"',
        "</things?n=1>; rel=next",
        '<?n=1>; REL="prev NEXT"',
        '<https://api.example.com/other>; rel="last", <?n=1>; title="a, b; rel=x \\" <y>"; rel="next"',
        '<things?x=1,2;3&n=1>;rel="next"',
    ],
)
def test_links_in_every_spelling(room: Room, header: str) -> None:
    """RFC 8288: relative targets, tokens and quoted texts, several relations, commas where they may be."""

    def answer(request: httpx.Request) -> httpx.Response:
        if "n" in request.url.params:
            return httpx.Response(200, json=[{"id": 1}], headers={"Link": '<?n=0>; rel="prev"'})
        return httpx.Response(200, json=[{"id": 0}], headers={"Link": header})

    assert room.read(answer, paginate="link") == things(2)
    assert {request.url.path for request in room.requests} == {"/things"}


@pytest.mark.parametrize(
    "header", ["", "nonsense", "<", '<?n=1>; anchor="#other"; rel="next"', '<?n=1>; rel="prev"; rel="next"']
)
def test_links_that_are_no_next_page(room: Room, header: str) -> None:
    """Broken headers, links about something else (section 3.2), and a second `rel` (3.3): the end."""
    answer = httpx.Response(200, json=things(1), headers={"Link": header})
    assert room.read(lambda request: answer, paginate="link") == things(1)


def test_a_link_with_a_hostile_header_is_read_quickly() -> None:
    """64 kB of what could be a link: no exponential reading."""
    from connector.plugins.paging import next_link

    for text in ("<a>" + " ;" * 32_000, "<a>" + ';a="' * 16_000, "<" * 64_000, '<a>;a="' + "\\" * 60_000):
        assert next_link([text]) == ""


@pytest.mark.parametrize("paginate", ["link", "cursor"])
def test_going_in_a_circle_is_noticed(room: Room, paginate: str) -> None:
    """A next page that was read before ends the run with an error, not never."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = {"items": [{"id": 1}], "next": "again"}
        return httpx.Response(200, json=body, headers={"Link": f'<{request.url}>; rel="next"'})

    with pytest.raises(SnapError, match="circle"):
        room.read(answer, paginate=paginate)
    assert len(room.requests) <= 2


@pytest.mark.parametrize("paginate", ["offset", "page"])
def test_a_server_that_does_not_know_the_parameter(room: Room, paginate: str) -> None:
    """It sends its first page for ever: noticed with its second."""
    same = httpx.Response(200, json=things(3))
    with pytest.raises(SnapError, match=f"does not know|seems not to know the parameter '{paginate}"):
        room.read(lambda request: same, paginate=paginate, page_size=3)
    assert len(room.requests) == 2


def test_equal_pages_of_equal_records_are_no_circle(room: Room) -> None:
    """Fifty times the same state is believable; it goes on until a page is short."""
    answer = listing(130)

    def states(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[{"state": "open"} for _ in answer(request).json()])

    assert len(room.read(states, paginate="offset")) == 130


@pytest.mark.parametrize("found", [{"a": 1}, [1], True])
def test_a_cursor_that_is_none(room: Room, found: Any) -> None:
    """A mapping, a list or `has_more: true` is no cursor."""
    with pytest.raises(SnapError, match="cursor is no text or number"):
        room.read(lambda request: httpx.Response(200, json={"items": [], "next": found}), paginate="cursor")


def test_a_cursor_that_looks_like_a_path_is_sent_back_when_its_parameter_is_named(room: Room) -> None:
    """Base64 may begin with a slash."""

    def answer(request: httpx.Request) -> httpx.Response:
        after = None if "token" in request.url.params else "/wEPDw=="
        return httpx.Response(200, json={"items": [], "next": after})

    room.read(answer, paginate="cursor", cursor_param="token", page_size=9, limit_param="n")
    assert room.queries == [{"n": "9"}, {"n": "9", "token": "/wEPDw=="}]


def test_max_pages_and_max_documents(room: Room) -> None:
    """Both end the reading, and nothing is asked for beyond them."""
    assert room.read(listing(50), paginate="offset", page_size=5, max_pages=2) == things(10)
    assert room.read(listing(50), paginate="offset", page_size=5, max_documents=10) == things(10)
    assert room.read(listing(50), paginate="offset", page_size=5, max_documents=7) == things(7)
    assert len(room.requests) == 6


def test_a_page_is_asked_for_only_when_it_is_wanted(room: Room) -> None:
    """Streaming: while the documents of a page flow, the next one is not there yet."""
    seen: list[int] = []
    room.answer = listing(30)

    def watch(documents: Any, context: Any) -> Any:
        for document in documents:
            seen.append(len(room.requests))
            yield document

    options = {"path": "/things", "paginate": "offset", "page_size": 10}
    room.run({"snap": "http.read", "account": "api", "with": options}, watch)
    assert seen == [1] * 10 + [2] * 10 + [3] * 10


def test_parameters_of_the_path_stay(room: Room) -> None:
    """A filter written into the path, and one in `params`, survive paging."""
    options = {"path": "/things?status=open&a=%2F", "params": {"q": "x y"}, "paginate": "offset"}
    room.read(listing(0), **options)
    assert room.queries == [{"status": "open", "a": "/", "q": "x y", "offset": "0", "limit": "50"}]
