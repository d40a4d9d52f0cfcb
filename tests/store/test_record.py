"""The record: what is written is read, by this version of connector and by its neighbours in time."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.record import Death, Record, Spending
from connector.secret import Secret
from connector.token import Token

text = st.text(st.characters(), max_size=40)
moment = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 10**6)
tokens = st.builds(
    Token,
    access_token=st.builds(Secret, text),
    token_type=text,
    obtained_at=moment,
    expires_at=st.none() | moment,
    refresh_token=st.none() | st.builds(Secret, st.text(min_size=1, max_size=40)),
    scopes=st.none() | st.lists(text, max_size=4).map(tuple),
    captured=st.dictionaries(text, text, max_size=4),
    learnt_s=st.none() | moment,
)
records = st.builds(
    Record,
    version=count,
    token=st.none() | tokens,
    spending=st.none() | st.builds(Spending, presents=text, holder=text, at=moment, attempts=count),
    death=st.none() | st.builds(Death, presents=text, at=moment, words=text),
    failures=count,
    retry_at=moment,
    pause_s=st.none() | moment,
    last_failure=text,
    renewals=count,
    lifetimes=st.lists(moment, max_size=5).map(tuple),
    strikes=count,
    server_clock=moment,
    clock_of=text,
)
FULL = Record(
    version=7,
    token=Token(access_token=Secret("a"), obtained_at=1.0, refresh_token=Secret("r"), scopes=("s",)),
    spending=Spending(presents="p", holder="h", at=2.0, attempts=3),
    death=Death(presents="p", at=3.0, words="w"),
    failures=4,
    retry_at=5.0,
    pause_s=5.5,
    last_failure="l",
    renewals=6,
    lifetimes=(7.0, 8.0),
    strikes=9,
    server_clock=10.0,
    clock_of="c",
)


@given(records)
def test_what_is_written_is_read(record: Record) -> None:
    """Any record, with any text in it, comes back equal."""
    assert Record.from_bytes(record.to_bytes(), version=record.version) == record


def test_unsaved_is_not_saved() -> None:
    """That a record lives in one process only is no fact for another."""
    unsaved = dataclasses.replace(FULL, unsaved=True)
    assert Record.from_bytes(unsaved.to_bytes(), version=7) == FULL


@pytest.mark.parametrize("where", [(), ("token",), ("spending",), ("death",)])
def test_a_field_of_a_later_version_is_passed_over(where: tuple[str, ...]) -> None:
    """A newer connector beside an older one on the same store costs nobody a login."""
    data = json.loads(FULL.to_bytes())
    part = data
    for name in where:
        part = part[name]
    part["invented_in_2031"] = {"deep": [1]}
    assert Record.from_bytes(json.dumps(data).encode(), version=7) == FULL


def fields() -> list[tuple[str, ...]]:
    data = json.loads(FULL.to_bytes())
    return [(name,) for name in data] + [
        (part, name) for part in ("token", "spending", "death") for name in data[part]
    ]


@pytest.mark.parametrize("path", fields(), ids="/".join)
def test_a_missing_field_has_a_default(path: tuple[str, ...]) -> None:
    """A record of a connector that did not know a field yet is read; all other fields stay."""
    data: Any = json.loads(FULL.to_bytes())
    part = data
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    found = Record.from_bytes(json.dumps(data).encode(), version=7)
    again = json.loads(found.to_bytes())
    kept = {k: v for k, v in data.items() if k != path[0]}
    assert {k: again[k] for k in kept} == kept


def test_an_empty_record_is_one() -> None:
    """Nothing but an object: no token yet."""
    assert Record.from_bytes(b"{}", version=0) == Record()


def test_nothing_prints_a_secret() -> None:
    """A record may stand in any log line."""
    record = Record(
        token=Token(access_token=Secret("S3CRET"), obtained_at=1.0, refresh_token=Secret("S3CRET"))
    )
    assert "S3CRET" not in f"{record} {record!r}"
