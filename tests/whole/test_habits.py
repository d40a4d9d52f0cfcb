"""The vendors' habits, on real sockets: cookies, Accept, 429 and 503, and pipelines over all of it."""

from __future__ import annotations

import json
import time
from typing import Any

import anyio
import httpx
import pytest
from whole_world import World

from connector.host import Host

KINDS = pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])


def send(host: Host, kind: str, *urls: str, before_last: Any = None, **options: Any) -> list[httpx.Response]:
    """Requests of one client, one after the other; `before_last` is called before the last of them."""
    found = []
    if kind == "sync":
        with host.client("main") as http:
            for i, url in enumerate(urls):
                if before_last and i == len(urls) - 1:
                    before_last()
                found.append(http.get(url, **options))
        return found

    async def ask() -> None:
        async with host.async_client("main") as http:
            for i, url in enumerate(urls):
                if before_last and i == len(urls) - 1:
                    before_last()
                found.append(await http.get(url, **options))

    anyio.run(ask, backend=kind)
    return found


@KINDS
def test_servicenow_is_never_served_by_its_cookie(world: World, kind: str) -> None:
    """Its session outlives the token; we drop the cookie, so an ended token shows as 401 and is renewed."""
    host = world.signed_in("servicenow")
    table = "/api/now/table/incident?sysparm_limit=1"
    responses = send(host, kind, table, table, before_last=lambda: world.sandbox.expire("servicenow"))
    assert [r.status_code for r in responses] == [200, 200]
    assert all("set-cookie" not in r.headers and not r.cookies for r in responses)
    seen = world.counts("servicenow")
    assert (seen.unauthorized, seen.issued) == (1, 2)
    assert host.counts("main").rejections == 1


@KINDS
def test_coupa_answers_json_without_being_told_by_the_snap(world: World, kind: str) -> None:
    """The endpoint's Accept header goes along; what the snap says itself wins."""
    account = world.account("coupa", grant="client_credentials", scopes=["core.invoice.read"])
    host = world.open({"main": account})
    [plain] = send(host, kind, "/api/invoices?limit=2")
    assert plain.headers["content-type"].startswith("application/json")
    assert len(plain.json()) == 2
    [asked] = send(host, kind, "/api/invoices?limit=2", headers={"Accept": "application/xml"})
    assert "xml" in asked.headers["content-type"]
    assert world.counts("coupa").token_calls == 1


@KINDS
@pytest.mark.parametrize("fault", ["429", "503"])
def test_retry_after_is_waited_out(world: World, kind: str, fault: str) -> None:
    """429 and 503 with Retry-After are asked again after that time; a client that may not wait sees them."""
    host = world.signed_in("flaky", expired=False, retry_budget=0.5)
    [refused] = send(host, kind, f"/api/items?fault={fault}")
    assert refused.status_code == int(fault)
    assert world.counts("flaky").api_requests == 1

    patient = world.open({"main": world.account("flaky", retry_budget=1.5)}, "patient.yaml")
    began = time.monotonic()
    [still] = send(patient, kind, f"/api/items?fault={fault}")
    assert still.status_code == int(fault)  # forced each time: the budget of 1.5 s pays for one wait of 1 s
    assert 1.0 <= time.monotonic() - began < 1.5 + 1.0
    assert world.counts("flaky").api_requests == 3


def test_a_pipeline_over_the_flaky_api_is_complete(world: World) -> None:
    """Every fifth answer is 429, 503, late or cut off, tokens end on the way, and all records arrive once."""
    steps = [
        {
            "snap": "http.read",
            "account": "main",
            "with": {
                "path": "/api/items",
                "paginate": "cursor",
                "records": "items",
                "cursor": "next",
                "page_size": 100,
            },
        },
        {"snap": "file.write", "with": {"path": "out/items.jsonl"}},
    ]
    host = world.open(
        {"main": world.account("flaky", settings={"lifetime": "2"})}, pipelines={"items": {"snaps": steps}}
    )
    host.adopt("main", world.login("flaky", lifetime_s=2))
    result = host.run("items")
    expected = list(world.sandbox.records.collection("items"))
    written = [json.loads(line) for line in (world.folder / "out/items.jsonl").read_text().splitlines()]
    assert result.ok
    assert [str(row["id"]) for row in written] == [str(key) for key in expected]
    assert world.counts("flaky").faults > 0
    assert world.counts("flaky").refused == 0


def test_two_pipelines_outlive_their_tokens(world: World) -> None:
    """Coupa's offset and ServiceNow's total paging through ended tokens: all records, no failure."""
    accounts = {
        "buy": world.account("coupa", grant="client_credentials", scopes=["core.invoice.read"]),
        "fix": world.account("servicenow"),
    }
    paging = {"offset_param": "sysparm_offset", "limit_param": "sysparm_limit"}
    table = {"path": "/api/now/table/incident", "paginate": "total", "page_size": 500, **paging}
    pipelines = {
        "invoices": {
            "snaps": [
                {
                    "snap": "http.read",
                    "account": "buy",
                    "with": {"path": "/api/invoices", "paginate": "offset"},
                },
                {"snap": "file.write", "with": {"path": "out/invoices.jsonl"}},
            ]
        },
        "incidents": {
            "snaps": [
                {"snap": "http.read", "account": "fix", "with": table},
                {"snap": "file.write", "with": {"path": "out/incidents.jsonl"}},
            ]
        },
    }
    host = world.open(accounts, pipelines=pipelines)
    host.adopt("fix", world.login("servicenow"))
    told: list[int] = []

    def end_tokens(progress: Any) -> None:
        # Only a token that worked for some pages: the one replay of a request must find its token alive.
        if told and progress.steps[-1].documents_out - told[-1] < 1000:
            return
        told.append(progress.steps[-1].documents_out)
        world.sandbox.expire("coupa")
        world.sandbox.expire("servicenow")

    records = world.sandbox.records
    invoices = host.run("invoices", progress=end_tokens)
    world.sandbox.expire("servicenow")
    incidents = host.run("incidents", progress=end_tokens)
    assert (invoices.ok, incidents.ok) == (True, True)
    assert invoices.documents == len(records.collection("invoices"))
    assert incidents.documents == len(records.collection("incident")) - len(records.hidden())
    for name in ("buy", "fix"):
        assert host.counts(name).failed_requests == 0
        assert host.counts(name).renewals >= 1
