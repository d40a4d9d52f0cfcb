"""http.read reads every record of an API that pages once, in order, whatever way of paging."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_room import ROWS, Direct, Room, get, listing

from connector.plugins.paging import next_link
from connector.result import StepError

SIZES = st.integers(1, 12)


@given(total=st.integers(0, 60), size=SIZES, most=SIZES, way=st.sampled_from(["offset", "page"]))
def test_offset_and_page_read_everything_once(total: int, size: int, most: int, way: str) -> None:
    """Whatever the total, the page size and the server's own maximum: each record once, in order."""
    rows = ROWS[:total]
    assert Direct(listing(rows, most=most)).read(paginate=way, page_size=size) == rows


@given(total=st.integers(0, 60), size=SIZES, hidden=st.frozensets(st.integers(0, 59)))
@pytest.mark.parametrize("way", ["page", "total"])
def test_known_total_survives_gaps(way: str, total: int, size: int, hidden: frozenset[int]) -> None:
    """Short and empty pages in the middle are not the end where the server says how many there are."""
    seen = [row for row in ROWS[:total] if row["id"] not in hidden]
    answer = listing(ROWS[:total], hidden=hidden, total=True)
    assert Direct(answer).read(paginate=way, page_size=size) == seen


@given(total=st.integers(0, 40), size=SIZES, by_url=st.booleans())
def test_cursor_reads_everything_once(total: int, size: int, by_url: bool) -> None:
    """Cursors to send back and URLs to follow."""

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("cursor", 0))
        after = start + size
        mark = f"/rows?cursor={after}&x=1" if by_url else after
        meta = {"next": mark} if after < total else {}
        return httpx.Response(200, json={"items": ROWS[start : min(after, total)], "meta": meta})

    assert Direct(answer).read(paginate="cursor", cursor="/meta/next") == ROWS[:total]


@given(total=st.integers(0, 40), size=SIZES)
def test_link_reads_everything_once(total: int, size: int) -> None:
    """Link headers are followed, relative ones from where they stand."""

    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("from", 0))
        after = start + size
        headers = [("Link", '</rows>; rel=first, <https://x.test/;a,b>; rel="prev up"')]
        if after < total:
            headers.append(("Link", f'<?from={after}>; title="a, b; rel=prev"; REL="last next"'))
        return httpx.Response(200, json=ROWS[start : min(after, total)], headers=headers)

    assert Direct(answer).read(paginate="link") == ROWS[:total]


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://a.test/2>; rel="next"', "https://a.test/2"),
        ("<2>;rel=next", "2"),
        ('<1>; rel="prev", <3>; rel="next"', "3"),
        ('<1>; title="x>; rel=\\"next\\""; rel=prev', ""),
        ('<1>; rel=prev; rel="next"', ""),
        ('<1>; rel="next"; anchor="#other"', ""),
        ("<a,b;c>; rel=next", "a,b;c"),
        ("nonsense; rel=next", ""),
        ('<x>; rel="nextish"', ""),
        ("", ""),
    ],
)
def test_link_header(header: str, url: str) -> None:
    """RFC 8288: quoting, commas and semicolons in places, the first rel counts, anchors are others' links."""
    assert next_link([header]) == url


@given(st.text())
def test_link_header_never_raises(header: str) -> None:
    """Whatever a server sends."""
    next_link([header, f"<{header}>; {header}; rel=next"])


@pytest.mark.parametrize("way", ["offset", "page"])
@pytest.mark.parametrize("rows", [1, 7, 50])
def test_server_that_does_not_page(room: Room, way: str, rows: int) -> None:
    """A server that does not know the parameter is found out instead of being read for ever."""
    room.answer = lambda request: httpx.Response(200, json=ROWS[:rows])
    with pytest.raises(StepError, match="same page came twice"):
        room.run(get(paginate=way, page_size=50))
    assert len(room.requests) == 2


@pytest.mark.parametrize("way", ["link", "cursor"])
def test_circles_are_refused(room: Room, way: str) -> None:
    """A next page that was read already ends the run."""
    room.answer = lambda request: httpx.Response(
        200, json={"items": [{"id": 1}], "next": "abc"}, headers={"Link": "</rows>; rel=next"}
    )
    with pytest.raises(StepError, match="circle"):
        room.run(get(paginate=way))


def test_total_that_is_missing(room: Room) -> None:
    """Paging by total needs one; it may also stand in the reply."""
    room.answer = lambda request: httpx.Response(200, json={"items": [{"id": 1}], "n": 1})
    with pytest.raises(StepError, match="how many records"):
        room.run(get(paginate="total"))
    assert room.run(get(paginate="total", total="/n")).documents == 1


def test_pages_are_read_when_wanted(room: Room) -> None:
    """The second page is asked for when the first is used up, not before; max_* bound a listing."""
    room.answer = listing(ROWS)
    room.run(get(paginate="offset"), run={"preview": 50})
    assert len(room.requests) == 1
    assert len(room.documents(get(paginate="offset", max_documents=120))) == 120
    assert len(room.requests) == 1 + 3
    assert len(room.documents(get(paginate="offset", max_pages=2))) == 100
