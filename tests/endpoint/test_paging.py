"""How an endpoint says that its listings are paged, and what a step makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from endpoint_room import Room

from connector.errors import ConnectorError

PAGING = {
    "paginate": "cursor",
    "cursor": "/meta/next",
    "cursor_param": "after",
    "page_size": 2,
    "records": "/rows",
}


def room(folder: Path, paging: dict[str, Any] | None, **step: Any) -> Room:
    """A pipeline of one listing; the API gives two pages of two."""
    api = {"base_url": "https://api.acme.example", **({"paging": paging} if paging else {})}
    found = Room(folder, {"grants": ["none"], "api": api}, {})
    pages = {None: ([1, 2], "b"), "b": ([3, 4], None)}

    def rows(request: httpx.Request) -> dict[str, Any]:
        numbers, after = pages[request.url.params.get("after")]
        return {"rows": [{"id": number} for number in numbers], "meta": {"next": after}}

    found.answers["GET api.acme.example/things"] = rows
    found.answers["GET api.acme.example/me"] = {"id": 7}
    read = {"snap": "http.read", "account": "acme", "with": {"path": "/things", **step}}
    write = {"snap": "file.write", "with": {"path": "out.jsonl"}}
    found.pipelines = {"p": {"snaps": [read, write]}}
    return found


@pytest.mark.parametrize(
    ("paging", "step", "ids", "asked"),
    [
        (PAGING, {"paginate": "auto"}, [1, 2, 3, 4], ["limit=2", "limit=2&after=b"]),
        (PAGING, {"paginate": "cursor", "page_size": 9}, [1, 2, 3, 4], ["limit=9", "limit=9&after=b"]),
        (PAGING, {"path": "/me"}, [7], [""]),
        (PAGING, {"paginate": "none", "records": "/rows"}, [1, 2], [""]),
    ],
)
def test_a_step_takes_what_the_endpoint_says(
    paging: dict[str, Any], step: dict[str, Any], ids: list[int], asked: list[str], tmp_path: Path
) -> None:
    """With ``auto``, or where it names the same way; its own options count more, and another way none of them."""
    made = room(tmp_path, paging, **step)
    with made.host() as host:
        host.run("p")
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ids
    assert [request.url.query.decode() for request in made.seen] == asked


def test_auto_without_a_word_of_the_endpoint(tmp_path: Path) -> None:
    """Said before anything runs."""
    made = room(tmp_path, None, paginate="auto")
    with made.host() as host, pytest.raises(ConnectorError, match="does not say how it pages"):
        host.run("p")
