"""Reading what servers send: numbers, moments, JSON or forms, and words that are safe to show.

Rules of this room: never raises for what a server sent; no text that is to be shown may hold a secret.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

from connector.secret import Secret

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_LONG_RUN = re.compile(r"[^\s'\"<>=:,;()]{28,}")


def cleaned(text: str, secrets: Iterable[Secret] = ()) -> str:
    """A server's words, safe to show: no secret we sent, no long run that may be one, one short line."""
    shown = {form for secret in secrets if secret for form in _forms(secret.reveal())}
    for form in sorted(shown, key=len, reverse=True):  # the longer first: one may be part of another
        text = text.replace(form, "***")
    text = _LONG_RUN.sub("***", text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())
    return text if len(text) <= 200 else text[:199] + "…"


def _forms(text: str) -> tuple[str, ...]:
    """A secret as it is, and as a server repeats it that quotes what it was sent."""
    return text, quote_plus(text), quote(text, safe=""), json.dumps(text)[1:-1]


def parse(body: bytes, content_type: str, format: str = "auto") -> Any:
    """JSON or form data, whatever the content type claims; None when it is neither. Of ``text``, the text."""
    text = body.decode("utf-8-sig", "replace").strip()
    if format == "text":
        return text
    if format != "form":
        try:
            return json.loads(text, parse_int=_int)
        except (ValueError, RecursionError):
            pass
    if format != "json" and text and ("x-www-form-urlencoded" in content_type or "=" in text.split("&")[0]):
        try:
            pairs = parse_qsl(text, max_num_fields=100)
        except ValueError:
            return None
        return dict(pairs) if "<" not in text[:1] and pairs else None
    return None


def _int(digits: str) -> float | int:
    # int() of thousands of digits is refused by Python; as a float it becomes infinity, which we ignore. An
    # identifier of twenty is none that a float could hold.
    return int(digits) if len(digits) < 40 else float(digits)


def pointed(data: Any, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901); None when there is none."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(data, Mapping):
            data = data.get(key)
        elif isinstance(data, list) and key.isascii() and key.isdigit() and len(key) < 7:
            data = data[int(key)] if int(key) < len(data) else None
        else:
            return None
    return data


def at(place: str, data: Any, headers: Mapping[str, str]) -> Any:
    """The value at a place of an answer: a JSON pointer, ``header:NAME`` or ``cookie:NAME``; None: nothing.

    Args:
        headers: names in lower case.
    """
    kind, _, name = place.partition(":")
    if kind == "header":
        return headers.get(name.lower())
    if kind == "cookie":
        match = re.search(rf"(?:^|,\s*){re.escape(name)}=([^;,]*)", headers.get("set-cookie", ""))
        return match[1].strip('"') if match else None
    return pointed(data, place)


def first(data: Any, places: Iterable[str], headers: Mapping[str, str] = NO_HEADERS) -> Any:
    """The first value that is there, see `at`."""
    return next((v for v in (at(p, data, headers) for p in places) if v is not None), None)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds from a ``Retry-After`` header, a number or an HTTP date (RFC 9110 section 10.2.3)."""
    if not value or len(value) > 64:
        return None
    seconds = number_of(value)
    if seconds is None:
        try:
            moment = parsedate_to_datetime(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = moment.timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), 86_400.0)


# What whole seconds and the way of an answer may hide; and no clock is wrong by more than a day.
_NEAR_S = 5.0
_ABSURD_S = 86_400.0


def clock_of(headers: Mapping[str, str], at: float) -> float | None:
    """Seconds by which a server's clock is ahead of ours, by its ``Date`` (RFC 9110 section 6.6.1).

    0 for a few seconds, which may be the way of the answer. None where it does not say, or says what cannot
    be true, and for a cache's answer (``Age``), which tells the time of another day.

    Args:
        headers: names in lower case.
        at: when the answer came, by our wall clock.
    """
    date, age = headers.get("date", ""), headers.get("age", "0").strip()
    if not date or len(date) > 64 or age != "0":
        return None
    try:
        moment = parsedate_to_datetime(date)
        ahead_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - at
    except (ValueError, TypeError, OverflowError):
        return None
    if abs(ahead_s) > _ABSURD_S:
        return None
    return ahead_s if abs(ahead_s) > _NEAR_S else 0.0


def number_of(value: Any) -> float | None:
    """A finite number, also from a text; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def moment_of(value: Any) -> float | None:
    """Seconds since the epoch, also from milliseconds, ISO 8601 and an HTTP date; None: it is no moment."""
    number = number_of(value)
    if number is not None:
        # Milliseconds since the epoch are a common accident; as seconds they lie past the year 5000.
        number = number / 1000 if number > 1e11 else number
        return number if 0 <= number < 1e11 else None
    if isinstance(value, str) and len(value) <= 64:
        for read in (datetime.fromisoformat, parsedate_to_datetime):
            try:
                moment = read(value.strip())
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            except (ValueError, OverflowError, TypeError):
                continue
    return None
