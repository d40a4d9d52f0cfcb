"""http.read and http.write against an API made of functions."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_room import ROWS, Direct, Room, get, listing, put, source_of

from connector.errors import RenewalError, SnapError
from connector.plugins.exchange import excerpt, fill_path
from connector.result import StepError


def test_own_query_is_kept(room: Room) -> None:
    """Parameters of the path, of `params` and of the paging come together."""
    room.answer = listing(ROWS[:3])
    room.run(get(path="/rows?sort=id", params={"state": "new", "deep": True}, paginate="offset"))
    query = dict(room.requests[0].url.params)
    assert query == {"sort": "id", "state": "new", "deep": "true", "offset": "0", "limit": "50"}


@pytest.mark.parametrize(
    ("reply", "records", "found"),
    [
        ([{"id": 1}], "", [{"id": 1}]),
        ({"result": [{"id": 1}], "count": 1}, "", [{"id": 1}]),
        ({"id": 1}, "", [{"id": 1}]),
        ({"a": {"b": [{"id": 1}]}}, "/a/b", [{"id": 1}]),
        ({"a": {"b": [{"id": 1}]}}, "a.b[?id > `0`]", [{"id": 1}]),
        ({"a": {"id": 1}}, "a", [{"id": 1}]),
        ([1, "x"], "", [{"value": 1}, {"value": "x"}]),
    ],
)
def test_where_records_are(room: Room, reply: Any, records: str, found: list[Any]) -> None:
    """A list, the one well-known list of an object, an object by itself, or what `records` says."""
    room.answer = lambda request: httpx.Response(200, json=reply)
    assert room.documents(get(records=records)) == found


@pytest.mark.parametrize(
    ("reply", "records"), [({"items": [], "data": []}, ""), ({"a": 1}, "b"), ({"a": 1}, "/a/b/c")]
)
def test_unclear_records(room: Room, reply: Any, records: str) -> None:
    """Two lists, or nothing at the place named, is an error that shows the reply's keys."""
    room.answer = lambda request: httpx.Response(200, json=reply)
    with pytest.raises(StepError, match="records") as caught:
        room.run(get(records=records))
    assert "keys" in caught.value.reason


def test_empty_reply(room: Room) -> None:
    """204 is no document."""
    room.answer = lambda request: httpx.Response(204)
    assert room.documents(get()) == []


@pytest.mark.parametrize(
    ("status", "resolution"),
    [(400, "documentation"), (401, "account"), (403, "scope"), (404, "path"), (429, "fewer"), (503, "later")],
)
def test_http_errors(room: Room, status: int, resolution: str) -> None:
    """Status, method and path without query; the server's words, short and clean; what to do."""
    page = "<html><style>x{}</style><h1>No\x00\n way</h1>" + "y" * 500
    room.answer = lambda request: httpx.Response(status, text=page)
    with pytest.raises(StepError) as caught:
        room.run(get(params={"key": "canary"}))
    error = caught.value
    assert f"GET /rows was answered with {status}" in error.message
    assert error.reason.startswith("No way yyy")
    assert len(error.reason) <= 200
    assert resolution in error.resolution
    assert "canary" not in str(error)


def test_redirects_are_told(room: Room) -> None:
    """A redirect is not followed; the error says where it points, without its query."""
    room.answer = lambda request: httpx.Response(302, headers={"Location": "https://b.test/login?s=canary"})
    with pytest.raises(StepError, match=r"points to https://b\.test/login") as caught:
        room.run(get())
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("body", [b'[{"id": 1', b"<html>", b"\xff\xfe\xff", b"[" * 100_000])
def test_garbage(room: Room, body: bytes) -> None:
    """What is no JSON is an error with its beginning, not a traceback."""
    room.answer = lambda request: httpx.Response(200, content=body)
    with pytest.raises(StepError, match="no JSON"):
        room.run(get())


def test_excerpt_hides_secrets() -> None:
    """A server that echoes a token does not get it into an error message."""
    text = excerpt('{"got": "Bearer abc.def-ghi", "access_token": "canary", "x": 1} client_secret=canary')
    assert "canary" not in text
    assert "abc.def" not in text
    assert '"x": 1' in text


def test_reads_are_tried_again(room: Room) -> None:
    """A GET survives a cut connection and 5xx three times, waiting longer each time; then it fails."""
    troubles: list[Any] = [httpx.ReadError("cut"), 502, 503]

    def answer(request: httpx.Request) -> httpx.Response:
        trouble = troubles.pop(0) if troubles else 200
        if isinstance(trouble, Exception):
            raise trouble
        return httpx.Response(trouble, json=[{"id": 1}])

    room.answer = answer
    assert room.documents(get()) == [{"id": 1}]
    assert room.waits == [0.5, 1.0, 2.0]
    troubles[:] = [500] * 4
    with pytest.raises(StepError, match="answered with 500"):
        room.run(get())


@pytest.mark.parametrize(
    "trouble", [httpx.ReadTimeout("t"), RenewalError("renew"), httpx.UnsupportedProtocol("u")]
)
def test_what_is_not_tried_again(room: Room, trouble: Exception) -> None:
    """A POST, an error of the account, a URL that cannot work."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise trouble

    room.answer = answer
    expected = RenewalError if isinstance(trouble, RenewalError) else StepError
    with pytest.raises(expected):
        room.run(get(method="POST", body={"q": 1}) if isinstance(trouble, httpx.ReadTimeout) else get())
    assert (len(room.requests), room.waits) == (1, [])


def test_requests_per_second() -> None:
    """A pace is kept, counted from request to request."""
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    direct = Direct(listing(ROWS[:4]))
    direct.read(paginate="offset", page_size=1, requests_per_second=4, _sleep=sleep, _clock=lambda: now[0])
    assert waits == [0.25] * 4


def test_documents_fill_requests(room: Room) -> None:
    """Each incoming document makes its own request; its values are encoded, and typed in a body."""
    room.answer = lambda request: httpx.Response(200, json=[{"path": request.url.raw_path.decode()}])
    documents = source_of([{"id": "a/b?", "deep": {"n": 7}}])
    got = room.documents(documents, get(path="/rows/{id}/x", params={"n": "{deep.n}", "t": "no {id}"}))
    assert got == [{"path": "/rows/a%2Fb%3F/x?n=7&t=no+a%2Fb%3F"}]
    room.run(documents, get(path="/q", method="POST", body={"n": "{deep.n}"}))
    assert json.loads(room.requests[-1].content) == {"n": 7}


@pytest.mark.parametrize("value", ["", ".", "..", None, {}, []])
def test_values_that_would_change_the_path(value: Any) -> None:
    """No value of a document can turn /rows/{id} into another address."""
    with pytest.raises(SnapError):
        fill_path("/rows/{id}", {"id": value})


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
def test_values_are_one_segment(value: str) -> None:
    """Any other text stays one segment of the path."""
    try:
        path = fill_path("/rows/{id}/x", {"id": value})
    except UnicodeEncodeError:
        return
    assert path.count("/") == 3
    assert httpx.URL("https://a.test" + path).path == f"/rows/{value}/x"


def test_whole_url_from_a_document(room: Room) -> None:
    """A path of one field only may be a whole URL, such as a download that an API named."""
    room.run(source_of([{"url": "https://files.example.com/1?sig=x"}]), get(path="{url}"))
    assert room.requests[0].url == "https://files.example.com/1?sig=x"


def test_failed_reads_of_documents_are_collected(room: Room) -> None:
    """With incoming documents one failure is one document's; a source that fails ends the run."""
    room.answer = lambda request: httpx.Response(404 if request.url.path == "/rows/2" else 200, json=[{}])
    ids = source_of([{"id": 1}, {"id": 2}, {"none": 3}, {"id": 4}])
    result = room.run(ids, get(path="/rows/{id}"), on_error="collect")
    assert (result.documents, [record.document for record in result.errors]) == (2, [{"id": 2}, {"none": 3}])
    with pytest.raises(StepError, match="404"):
        room.run(get(path="/rows/2"), on_error="collect")


# --- http.write ----------------------------------------------------------------------------------


def test_write_sends_each_document(room: Room) -> None:
    """One request per document, the document as JSON, and the answer beside it."""
    room.answer = lambda request: httpx.Response(201, json={"got": json.loads(request.content)["id"]})
    got = room.documents(source_of(ROWS[:3]), put(method="PUT"))
    assert got[1] == {"document": {"id": 1}, "status": 201, "response": {"got": 1}}
    assert sorted(request.url.path for request in room.requests) == ["/rows/0", "/rows/1", "/rows/2"]


@pytest.mark.parametrize(
    ("output", "body", "made"),
    [("document", b"", {"id": 0}), ("response", b'{"a": 1}', {"a": 1}), ("response", b"ok", {"value": "ok"})],
)
def test_output(room: Room, output: str, body: bytes, made: dict[str, Any]) -> None:
    """What goes on: the document, or the answer, which need not be JSON."""
    room.answer = lambda request: httpx.Response(200, content=body)
    assert room.documents(source_of(ROWS[:1]), put(output=output)) == [made]


@pytest.mark.parametrize(
    ("output", "made"),
    [
        ("result", {"document": {"id": 0}, "status": None, "response": None}),
        ("document", {"id": 0}),
        ("response", {}),
    ],
)
def test_a_preview_has_the_shape_of_a_run(room: Room, output: str, made: dict[str, Any]) -> None:
    """Nothing is sent, and the steps behind see documents like those of a run."""
    assert room.run(source_of(ROWS[:1]), put(output=output), run={"preview": 1}).preview == (made,)
    assert room.requests == []


def test_bodies(room: Room) -> None:
    """A JMESPath expression makes the body; DELETE has none."""
    room.run(source_of(ROWS[:1]), put(body="{number: id}"))
    room.run(source_of(ROWS[:1]), put(method="DELETE"))
    assert [request.content for request in room.requests] == [b'{"number":0}', b""]


def test_concurrency_is_bounded_and_order_kept(room: Room) -> None:
    """No more than `concurrency` at once, no more documents pulled than that, results in order."""
    lock, gate = threading.Lock(), threading.Barrier(3, timeout=30)
    now, most, pulled = [0], [0], [0]

    def answer(request: httpx.Request) -> httpx.Response:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        gate.wait()
        with lock:
            now[0] -= 1
        return httpx.Response(200)

    def counted(documents: Any, context: Any) -> Any:
        for document in documents:
            pulled[0] += 1
            yield document

    ahead: list[int] = []

    def last(documents: Any, context: Any) -> Any:
        for number, document in enumerate(documents, 1):
            ahead.append(pulled[0] - number)
            yield document

    room.answer = answer
    got = room.documents(source_of(ROWS[:9]), counted, put(concurrency=3, output="document"), last)
    assert [document["id"] for document in got] == list(range(9))
    assert most[0] == 3
    assert max(ahead) <= 2


def test_write_failures(room: Room) -> None:
    """A refused document goes to the error view; a write is never sent twice; an account's error ends all."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/rows/1":
            return httpx.Response(503)
        if request.url.path == "/rows/2":
            raise httpx.ReadTimeout("slow")
        return httpx.Response(200)

    room.answer = answer
    result = room.run(source_of(ROWS[:4]), put(), on_error="collect")
    assert (result.documents, result.error_count, len(room.requests)) == (2, 2, 4)
    assert "acted on it" in result.errors[1].resolution

    def gone(request: httpx.Request) -> httpx.Response:
        raise RenewalError("later")

    room.answer = gone
    with pytest.raises(RenewalError):
        room.run(source_of(ROWS[:4]), put(), on_error="collect")


def test_no_account_and_a_relative_path() -> None:
    """Without an account there is no base URL, and the error says what to do."""
    direct = Direct(lambda request: httpx.Response(200))
    direct.client.close()
    direct.client = httpx.Client()
    with pytest.raises(SnapError, match="whole URL"):
        direct.read()
