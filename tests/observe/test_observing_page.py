"""docs/observing.md and docs/command-line.md say the same as the code, in both directions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from observe_room import attributes, level_of

from connector.events import EVENTS
from connector.explain import explanation_of
from connector.measures import METRICS, SPANS
from connector.record import Record
from connector.secret import Secret
from connector.status import Status
from connector.token import Token, Window
from connector.tokenstore import Lease

DOCS = Path(__file__).parents[2] / "docs"
NOW = 1_800_000_000.0


def table(page: str, name: str) -> list[list[str]]:
    """The rows of a marked table, without its head."""
    text = (DOCS / page).read_text("utf-8")
    part = text.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("|"))] for row in rows[2:]]


def words(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def test_events() -> None:
    """Name, level, fields and meaning of each."""
    shown = [
        (words(name)[0], level, words(fields), says)
        for name, level, fields, says in table("observing.md", "events")
    ]
    assert shown == [(e.name, level_of(e.name), [*e.fields], e.says) for e in EVENTS.values()]


def test_fields() -> None:
    """Each field that an event has is explained, and no other."""
    shown = [name for cells in table("observing.md", "fields") for name in words(cells[0])]
    assert sorted(shown) == sorted({name for event in EVENTS.values() for name in event.fields})


def test_metrics() -> None:
    """Name, kind, unit, attributes and meaning of each."""
    shown = [
        (words(name)[0], kind, words(unit)[0], set(words(names)), says)
        for name, kind, unit, names, says in table("observing.md", "metrics")
    ]
    assert shown == [(m.name, m.kind, m.unit, attributes(m.fields), m.says) for m in METRICS.values()]


def test_spans() -> None:
    """Name, kind, attributes and meaning of each."""
    shown = [
        (words(name)[0], kind, set(words(names)), says)
        for name, kind, names, says in table("observing.md", "spans")
    ]
    assert shown == [(s.name, s.kind, attributes(s.fields), s.says) for s in SPANS.values()]


def test_alerts_name_what_there_is() -> None:
    """Every event and metric that the page mentions exists, in Prometheus' spelling as well."""
    text = (DOCS / "observing.md").read_text("utf-8")
    kinds = "|".join(sorted({name.partition(".")[0] for name in EVENTS}))
    mentioned = set(re.findall(rf"`((?:{kinds})\.[a-z_]+)`", text))
    assert mentioned - EVENTS.keys() == set()
    known = {
        m.name.replace(".", "_") + ("_total" if m.kind == "counter" else "_seconds" if m.unit == "s" else "")
        for m in METRICS.values()
    }
    labels = {"connector_outcome", "connector_account"}
    assert set(re.findall(r"\bconnector_[a-z_]+", text)) - labels <= known
    ends_of_renewals = {event.outcome for event in EVENTS.values()}
    assert set(re.findall(r'connector_outcome="([a-z_]+)"', text)) <= ends_of_renewals


TYPES = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "number or null": (int, float, type(None)),
    "array or null": (list, type(None)),
}
FACTS = {words(cells[0])[0]: cells[1] for cells in table("command-line.md", "facts")}
TOKEN = Token(
    access_token=Secret("a"),
    refresh_token=Secret("r"),
    obtained_at=NOW,
    expires_at=NOW + 100,
    scopes=("read",),
)
LIVE = Record(version=3).renewed(TOKEN)


@pytest.mark.parametrize(
    "record",
    [
        Record(),
        LIVE,
        LIVE.about_to_spend(holder="h", now=NOW),
        LIVE.failed("HTTP 503", now=NOW, pause_s=5, in_doubt=False),
        LIVE.died("invalid_grant", now=NOW),
    ],
)
@pytest.mark.parametrize("lease", [None, Lease(account="acme", holder="h/1", expires_at=NOW + 9)])
def test_the_facts_of_an_account(record: Record, lease: Lease | None) -> None:
    """Each is in the table with its type, in this order; and nothing else is told."""
    found = explanation_of(
        "acme", record, window=Window(), now=NOW, interactive=True, auto_refresh=True, lease=lease
    )
    told: dict[str, Any] = json.loads(json.dumps(found.to_dict()))
    assert list(told) == [name for name in FACTS if "[]" not in name]
    for name, value in told.items():
        assert isinstance(value, TYPES[FACTS[name]]), name
        assert FACTS[name] == "boolean" or not isinstance(value, bool), name
    for outcome in told["history"]:
        assert {f"history[].{name}" for name in outcome} == {name for name in FACTS if "[]" in name}
        assert all(isinstance(value, TYPES[FACTS[f"history[].{name}"]]) for name, value in outcome.items())


def test_a_status_is_a_part_of_the_facts() -> None:
    """What `host.status` knows is the same under the same names."""
    assert list(Status.__dataclass_fields__) == list(FACTS)[: len(Status.__dataclass_fields__)]
