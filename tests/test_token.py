"""The token as a value, and the window in which it is renewed."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.secret import Secret
from connector.token import Token, Window

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MOMENT = st.floats(0, 4e9)
LIFETIME = st.one_of(st.floats(0.001, 10), st.floats(10, 1e5), st.floats(1e5, 1e9))
SECONDS = st.one_of(st.none(), st.just(0.0), st.floats(0, 1e6))
TOKENS = st.builds(
    Token,
    access_token=TEXT.map(Secret),
    token_type=TEXT,
    obtained_at=MOMENT,
    expires_at=st.one_of(st.none(), MOMENT),
    refresh_token=st.one_of(st.none(), TEXT.filter(bool).map(Secret)),
    scopes=st.one_of(st.none(), st.lists(TEXT).map(tuple)),
    captured=st.dictionaries(TEXT, TEXT),
)


def token(lifetime: float | None, *, obtained_at: float = 1_800_000_000.0, **more: Any) -> Token:
    """A token that arrived at a round moment."""
    ends = None if lifetime is None else obtained_at + lifetime
    return Token(access_token=Secret("shown-to-nobody"), obtained_at=obtained_at, expires_at=ends, **more)


@given(TOKENS)
def test_a_token_survives_json(made: Token) -> None:
    """What is written down and read back is the same token, secrets and captured values included."""
    assert Token.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    "missing", sorted(token(1).to_dict().keys() - {"dpop_key", "exchanges_left", "private"})
)
def test_half_a_token_is_none(missing: str) -> None:
    """A field that was always written must be there."""
    data = token(1).to_dict()
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        Token.from_dict(data)


def test_a_token_prints_as_its_fingerprint() -> None:
    """repr, str and format tell tokens apart and show neither access nor refresh token."""
    made = token(60, refresh_token=Secret("nor-this"))
    other = dataclasses.replace(made, access_token=Secret("another"))
    for text in (repr(made), str(made), f"{made}"):
        assert text == f"<Token {made.fingerprint}, expires_at=1800000060, with refresh token>"
    assert repr(token(None)).endswith("expires_at=unknown>")
    assert made.fingerprint != other.fingerprint


def test_a_token_stays_in_its_process_and_as_it_is() -> None:
    """Tokens are frozen and are not pickled."""
    made = token(60)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.expires_at = 0.0  # type: ignore[misc]  # that is the point
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(made)


@pytest.mark.parametrize(("lifetime", "expected"), [(60.0, 60.0), (0.0, 0.0), (-5.0, 0.0), (None, None)])
def test_lifetime(lifetime: float | None, expected: float | None) -> None:
    """The lifetime is what the server said on arrival, never negative, and unknown where it said nothing."""
    assert token(lifetime).lifetime_s == expected


@pytest.mark.parametrize(
    ("lifetime", "stale", "expired"),
    [
        (2, 1.6, 1.9),
        (5, 4, 4.75),
        (60, 48, 57),
        (3600, 2880, 3595),
        (86_400, 85_200, 86_395),
    ],
)
def test_the_window_fits_the_lifetime(lifetime: float, stale: float, expired: float) -> None:
    """A fifth of the lifetime early, 20 minutes at most; a twentieth as margin, 5 s at most."""
    made, window = token(lifetime), Window()
    assert window.stale_at(made) - made.obtained_at == pytest.approx(stale)
    assert window.expired_at(made) - made.obtained_at == pytest.approx(expired)


@given(
    lifetime=LIFETIME,
    early_s=SECONDS,
    margin_s=SECONDS,
    jitter=st.floats(0, 1),
)
def test_a_window_lies_within_the_lifetime(
    lifetime: float, early_s: float | None, margin_s: float | None, jitter: float
) -> None:
    """Fresh for at least half of its life, then stale, then expired, and never handed out after its end."""
    made, window = token(lifetime), Window(early_s=early_s, margin_s=margin_s, jitter=jitter)
    assert made.expires_at is not None
    stale, expired = window.stale_at(made), window.expired_at(made)
    assert stale <= expired <= made.expires_at
    # What a float of that size can tell apart.
    assert stale - made.obtained_at >= lifetime / 2 - 1e-6


@given(lifetime=LIFETIME, margin_s=SECONDS, jitter=st.floats(0, 1))
def test_nothing_is_renewed_early_where_the_endpoint_says_so(
    lifetime: float, margin_s: float | None, jitter: float
) -> None:
    """`before: 0` means: not before its end, and without a margin it is used to the last moment."""
    made = token(lifetime)
    window = Window(early_s=0, margin_s=margin_s, jitter=jitter)
    assert window.stale_at(made) == window.expired_at(made)
    assert Window(early_s=0).stale_at(made) == made.expires_at


@given(lifetime=LIFETIME, early_s=SECONDS, jitter=st.floats(0, 1))
def test_jitter_only_renews_earlier_and_only_what_lives_long(
    lifetime: float, early_s: float | None, jitter: float
) -> None:
    """It moves the stale point forward by a quarter at most, and that of a short-lived token not at all."""
    made = token(lifetime)
    plain = Window(early_s=early_s).stale_at(made)
    moved = Window(early_s=early_s, jitter=jitter).stale_at(made)
    early = min(1200.0, lifetime / 5) if early_s is None else early_s
    assert moved <= plain
    assert plain - moved <= early / 4 + 1e-6
    if early < 60:
        assert moved == plain


def test_jitter_spreads_a_fleet() -> None:
    """Processes with different jitter renew a long-lived token at different moments."""
    made = token(86_400)
    moments = {Window(jitter=jitter).stale_at(made) for jitter in (0.0, 0.25, 0.5, 1.0)}
    assert len(moments) == 4
    assert max(moments) - min(moments) == pytest.approx(300)


@given(early_s=SECONDS, margin_s=SECONDS, jitter=st.floats(0, 1))
def test_an_unknown_end_is_never_reached(
    early_s: float | None, margin_s: float | None, jitter: float
) -> None:
    """A token whose end the server did not tell is used until the API refuses it."""
    made, window = token(None), Window(early_s=early_s, margin_s=margin_s, jitter=jitter)
    assert (window.stale_at(made), window.expired_at(made)) == (math.inf, math.inf)


def test_a_token_that_was_dead_on_arrival_is_expired_from_the_start() -> None:
    """An adopted login without an access token has a lifetime of nothing: stale and expired at once."""
    made = token(0)
    assert Window().stale_at(made) == Window().expired_at(made) == made.obtained_at
