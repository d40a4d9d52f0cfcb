"""Token replies and refusals in the shape that ``response``, ``errors`` and ``api.expired`` declare."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from connector.sandbox.persona.places import Answer
from connector.sandbox.persona.texts import many, status_of

_UNITS = {"s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0}
_PLACES = ("access_token", "refresh_token", "token_type", "scope", "expires_in", "expires_at")


def place(response: Mapping[str, Any], name: str, turn: int) -> str:
    """Return where a field goes this time: of several places each has its turn."""
    places = many(response.get(name, f"/{name}"))
    return str(places[turn % len(places)])


def token_reply(
    response: Mapping[str, Any],
    fields: Mapping[str, str],
    captured: Mapping[str, str],
    *,
    now: float,
    lifetime_s: float,
    turn: int,
) -> Answer:
    """Return a token reply; raises Misplaced.

    Args:
        fields: ``access_token`` and those of the others that this reply brings.
        captured: name -> value of what ``response.capture`` takes from it.
        turn: number of the reply, for what a provider may word in several ways.
    """
    answer = Answer()
    plain = many(response.get("access_token", "/access_token")) == [""]
    for name, value in fields.items():
        if plain and name not in response and name != "access_token":
            continue  # the whole reply is the token
        answer.put(place(response, name, turn), value)
    _expiry(answer, response, now, lifetime_s, turn, plain)
    for name, places in response.get("capture", {}).items():
        if all(answer.get(at) is None for at in many(places)):
            answer.put(many(places)[turn % len(many(places))], captured[name])
    _no_error(answer, response.get("error"))
    return answer


def tells_end(response: Mapping[str, Any]) -> bool:
    """Whether a reply says when the token ends."""
    if "expires_in" in response or "expires_at" in response:
        return True
    return "lifetime" not in response and many(response.get("access_token")) != [""]


def _expiry(
    answer: Answer, response: Mapping[str, Any], now: float, lifetime_s: float, turn: int, plain: bool
) -> None:
    said = [name for name in ("expires_in", "expires_at") if name in response]
    if not said and ("lifetime" in response or plain):
        return  # that is what `lifetime` is for
    which = said[turn % len(said)] if said else "expires_in"
    if which == "expires_in":
        units = lifetime_s / _UNITS[response.get("expires_in_unit", "s")]
        value: Any = int(units) if units == int(units) else units
        answer.put(place(response, which, turn), value if turn % 2 == 0 or said == [] else str(value))
        return
    moment = datetime.fromtimestamp(int(now + lifetime_s), UTC)
    ways: list[Any] = [
        int(moment.timestamp()),
        moment.isoformat().replace("+00:00", "Z"),
        int(moment.timestamp()) * 1000,
        format_datetime(moment, usegmt=True),
    ]
    answer.put(place(response, which, turn), ways[turn % len(ways)])


def _no_error(answer: Answer, error: Mapping[str, Any] | None) -> None:
    """Say that all is well, where the file says that an error inside a 200 is told by a value."""
    if error is None or "equals" not in error or answer.get(error["at"]) is not None:
        return
    bad = error["equals"]
    answer.put(error["at"], not bad if isinstance(bad, bool) else 0 if isinstance(bad, int) and bad else "ok")


def refusal(
    spec: Mapping[str, Any], error: str, words: str, *, status: int = 400, kind: str = "needs_authorization"
) -> Answer:
    """Return a refusal as this provider words it; raises Misplaced."""
    for rule in spec.get("errors", {}).get(kind, ())[:1]:
        said: Mapping[str, Any] = {"error": rule} if isinstance(rule, str) else rule
        error, status = str(said.get("error", error)), int(said.get("status", status))
        words = str(said.get("description", words))
    inside = spec.get("response", {}).get("error")
    if inside is None:
        answer = Answer(status)
        answer.body = {"error": error, "error_description": words}
        return answer
    answer = Answer(200)
    if "equals" in inside:
        answer.put(inside["at"], inside["equals"])
    for key, value in (("code", error), ("message", words)):
        if key in inside and answer.get(inside[key]) is None:
            answer.put(inside[key], value)
    if "equals" not in inside and answer.get(inside["at"]) is None:
        answer.put(inside["at"], error)
    return answer


def expired(api: Mapping[str, Any], turn: int) -> Answer:
    """Return what the API says to a token that is no longer good; of several ways each has its turn."""
    ways = many(api.get("expired", {}))
    declared = ways[turn % len(ways)]
    answer = Answer(status_of(declared.get("status"), 401))
    bodies = list(declared.get("body", {}).items())
    if bodies:
        at, values = bodies[turn % len(bodies)]
        answer.put(at, many(values)[turn % len(many(values))])
    elif answer.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return answer
