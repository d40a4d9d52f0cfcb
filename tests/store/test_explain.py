"""Why an account is or is not renewed: one sentence for each state, and the last ten outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connector.explain import Explanation, explanation_of
from connector.record import Record
from connector.secret import Secret
from connector.token import Token, Window
from connector.tokenstore import Lease

NOW = 1_000_000.0
TOKEN = Token(access_token=Secret("a"), refresh_token=Secret("r"), obtained_at=NOW, expires_at=NOW + 1000)
LIVE = Record(version=3).renewed(TOKEN)


def judged(record: Record, *, after: float = 0.0, **more: Any) -> Explanation:
    """The explanation of a record some seconds later."""
    given: dict[str, Any] = {"interactive": True, "auto_refresh": True, "lease": None, **more}
    return explanation_of("acme", record, window=Window(), now=NOW + after, **given)


@pytest.mark.parametrize(
    ("record", "after", "more", "words", "following"),
    [
        (LIVE, 0, {}, "is fresh", 800),
        (LIVE, 850, {}, "near its end", 850),
        (LIVE, 2000, {}, "has ended", 2000),
        (Record(), 0, {}, "nobody has logged in", None),
        (Record(), 0, {"interactive": False}, "no token was fetched", 0),
        (LIVE, 0, {"auto_refresh": False}, "auto_refresh is off", None),
        (LIVE, 0, {"lease": Lease(account="acme", holder="h/1", expires_at=NOW + 9)}, "renewed by h/1", 0),
        (LIVE.about_to_spend(holder="h", now=NOW), 0, {}, "got no answer", 995),
        (
            LIVE.failed("HTTP 503", now=NOW + 990, pause_s=70, in_doubt=False),
            1000,
            {},
            "failed: HTTP 503",
            1060,
        ),
        (LIVE.died("HTTP 400: invalid_grant", now=NOW), 0, {}, "refused: HTTP 400", None),
        (Record().renewed(replace(TOKEN, refresh_token=None)), 0, {}, "no refresh token", None),
        (Record().renewed(replace(TOKEN, expires_at=None)), 0, {}, "a 401 of the API will", None),
    ],
)
def test_why(record: Record, after: float, more: dict[str, Any], words: str, following: float | None) -> None:
    """What decides, and when the next renewal is."""
    found = judged(record, after=after, **more)
    assert words in found.because
    assert found.next_renewal_at == (None if following is None else NOW + following)


def test_the_last_ten_outcomes_survive_sealing() -> None:
    """Renewals, failures and refusals are kept, the newest last, and written down with the record."""
    record = LIVE
    for number in range(12):
        record = record.failed(f"HTTP {500 + number}", now=NOW + number, pause_s=0.0, in_doubt=False)
    record = record.renewed(TOKEN)
    assert [one.what for one in record.history] == ["failed"] * 9 + ["renewed"]
    assert record.history[-2].words == "HTTP 511"
    again = Record.from_bytes(record.to_bytes(), version=record.version)
    assert again.history == record.history
    older = record.to_bytes().replace(b'"history"', b'"before_it_was_kept"')
    assert Record.from_bytes(older, version=1).history == ()
