"""Reading token replies: as leniently as reality needs, as strictly as safety needs.

The other half of `connector.grants`: reply bytes in, `Token` or `Refusal` out. A refusal is a value, since
what follows from it depends on who asked; nothing in it repeats a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from connector.account import Account
from connector.endpointparts import ResponseSpec
from connector.errors import ConnectorError
from connector.reading import NO_HEADERS, cleaned, first, moment_of, number_of, parse
from connector.refusal import Kind as Kind
from connector.refusal import Refusal as Refusal
from connector.refusal import Reply as Reply
from connector.refusal import error_inside, inside_success, redirected, refusal_of
from connector.refusal import says_error as says_error
from connector.secret import Hidden, Secret
from connector.token import Token

TEN_YEARS_S = 10 * 365.25 * 86_400
_TOKEN_TEXT = re.compile(r"[\x21-\x7e]+")
_TYPE_TEXT = re.compile(r"[\x21-\x7e]{1,40}")


def read_reply(
    account: Account,
    reply: Reply,
    *,
    previous: Token | None,
    secrets: Iterable[Secret] = (),
    dpop_key: Secret | None = None,
) -> Token | Refusal:
    """Read a reply of the token endpoint (RFC 6749 section 5). Never raises for what a server sent.

    Args:
        previous: the token that was renewed, for what a reply may leave out.
        secrets: what was sent, and may be repeated in no message.
        dpop_key: what the call proved to have; a token of type DPoP is bound to it.
    """
    spec = account.endpoint.response
    data = parse(reply.body, reply.headers.get("content-type", ""), spec.format)
    issued = [first(data, places, reply.headers) for places in (spec.access_token, spec.refresh_token)]
    hidden = (*secrets, *(Secret(text) for text in issued if isinstance(text, str)))
    if 300 <= reply.status < 400:
        return redirected(reply)
    if not 200 <= reply.status < 300:
        return refusal_of(account, reply, data, hidden)
    error = error_inside(data, spec)
    if error:
        return inside_success(refusal_of(account, reply, data, hidden, status=400))
    if not isinstance(data, (Mapping, list)) and issued[0] is None:
        return Refusal(
            kind="protocol",
            status=reply.status,
            description="the reply is neither JSON nor a form",
            spent=True,
        )
    return _token(account, data, reply, previous, dpop_key)


def read_answer(
    account: Account, reply: Reply, secrets: Iterable[Secret], *, good: tuple[int, ...] = (200,)
) -> Mapping[str, Any] | Refusal:
    """Read any other answer of the authorization server that should be a JSON object."""
    data = parse(reply.body, reply.headers.get("content-type", ""))
    if 300 <= reply.status < 400:
        return redirected(reply)
    if reply.status >= 400 or (isinstance(data, Mapping) and isinstance(data.get("error"), str)):
        return refusal_of(account, reply, data, tuple(secrets), status=max(reply.status, 400))
    if reply.status in good and isinstance(data, Mapping):
        return data
    return Refusal(kind="protocol", status=reply.status, description="the answer is not a JSON object")


def read_refusal(account: Account, reply: Reply, secrets: Iterable[Secret]) -> Refusal:
    """Read an answer that is known to be a no."""
    if 300 <= reply.status < 400:
        return redirected(reply)
    data = parse(reply.body, reply.headers.get("content-type", ""))
    return refusal_of(account, reply, data, tuple(secrets), status=max(reply.status, 400))


def read_adopted(account: Account, data: Hidden[Mapping[str, Any]], *, now: float) -> Token:
    """Read a token reply that a person already holds; `expires_in` counts from now, 0 means expired.

    Raises ConnectorError (``bad_token_reply``) that says what is missing; its frames hold no secret.
    """
    found = _adopted(account, data.reveal(), now)
    if isinstance(found, Token):
        return found
    raise ConnectorError(
        "this is not a token reply",
        code="bad_token_reply",
        reason=found,
        resolution='it looks like {"access_token": "...", "refresh_token": "...", "expires_in": 3600}',
    )


def _adopted(account: Account, data: Mapping[str, Any], now: float) -> Token | str:
    """The token, or what is wrong."""
    if not isinstance(data, Mapping):
        return "it is not a JSON object"
    access, refresh = data.get("access_token"), data.get("refresh_token")
    for name, value in (("access_token", access), ("refresh_token", refresh)):
        if value is not None and (not isinstance(value, str) or not _TOKEN_TEXT.fullmatch(value)):
            return f"{name} must be text without spaces or control characters"
    if not access and not refresh:
        return "it has neither access_token nor refresh_token"
    if _unusable_type(data.get("token_type")):
        return f"its token_type is not Bearer but {cleaned(str(data['token_type']))!r}"
    expires_at = moment_of(data.get("expires_at"))
    if data.get("expires_at") is not None and expires_at is None:
        return "expires_at must be seconds since the epoch or an ISO 8601 date with time zone"
    if expires_at is None and data.get("expires_in") is not None:
        seconds = number_of(data["expires_in"])
        if seconds is None:
            return "expires_in must be a number of seconds"
        expires_at = now + max(seconds, 0.0)
    if expires_at is not None:
        expires_at = min(expires_at, now + TEN_YEARS_S)
    return Token(
        access_token=Secret(access or ""),
        token_type=_type(data.get("token_type")),
        obtained_at=now,
        # Without an access token there is nothing to hand out: expired from the start.
        expires_at=expires_at if access else now,
        refresh_token=Secret(refresh) if refresh else None,
        scopes=_scopes(data.get("scope"), account.endpoint.scopes.separator),
        captured=captured_of(data, account.endpoint.response.capture),
    )


def _token(
    account: Account,
    data: Any,
    reply: Reply,
    previous: Token | None,
    dpop_key: Secret | None,
) -> Token | Refusal:
    spec, now, headers = account.endpoint.response, reply.received_at, reply.headers
    access = first(data, spec.access_token, headers)
    if not isinstance(access, str) or not _TOKEN_TEXT.fullmatch(access):
        what = "no access_token" if access in (None, "") else "an access_token that fits in no header"
        return Refusal(kind="protocol", status=reply.status, description=f"the reply has {what}", spent=True)
    kind = first(data, spec.token_type, headers)
    bound = dpop_key is not None and _is_dpop(kind)
    if not bound and _unusable_type(kind):
        return Refusal(
            kind="protocol",
            status=reply.status,
            description=f"the token_type is {cleaned(str(kind))!r}, not Bearer",
            spent=True,
        )
    if dpop_key is not None and previous is None and not bound:
        # At a login nothing is lost by refusing; a renewal's refresh token would be.
        words = "the server did not bind the token to our key, and dpop: true asks for that"
        return Refusal(kind="protocol", status=reply.status, description=words)
    refresh = first(data, spec.refresh_token, headers)
    if isinstance(refresh, str) and _TOKEN_TEXT.fullmatch(refresh):
        new_refresh: Secret | None = Secret(refresh)
    else:
        # RFC 6749 section 6: no new one given, the old one stays.
        new_refresh = previous.refresh_token if previous else None
    captured = dict(previous.captured) if previous else {}
    return Token(
        access_token=Secret(access),
        token_type=_type(kind),
        obtained_at=now,
        expires_at=_expiry(data, spec, now, headers),
        refresh_token=new_refresh,
        scopes=_scopes(first(data, spec.scope, headers), account.endpoint.scopes.separator),
        # The refresh token of a public client is bound too (RFC 9449 section 5), so the key stays with it.
        dpop_key=dpop_key,
        captured=MappingProxyType({**captured, **captured_of(data, spec.capture, headers)}),
    )


def _is_dpop(kind: Any) -> bool:
    return isinstance(kind, str) and kind.strip().lower() == "dpop"


def _unusable_type(kind: Any) -> bool:
    # Servers write bearer, Bearer, BearerToken, bot, ...; only these need proof that a header cannot give.
    return isinstance(kind, str) and kind.strip().lower() in {"dpop", "mac", "pop"}


def _type(kind: Any) -> str:
    text = kind.strip() if isinstance(kind, str) else ""
    return text if _TYPE_TEXT.fullmatch(text) else "Bearer"


def _seconds(value: Any) -> float | None:
    """A number, or a duration as some servers write one: hours, minutes and seconds with colons."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * 3600.0 + int(match[2]) * 60 + int(match[3])
    return number_of(value)


_CLOCK = re.compile(r"([0-9]{1,5}):([0-5]?[0-9]):([0-5]?[0-9])")
_UNITS = {"s": 1.0, "ms": 0.001, "min": 60.0, "h": 3600.0}


def _expiry(
    data: Any, spec: ResponseSpec, now: float, headers: Mapping[str, str] = NO_HEADERS
) -> float | None:
    absolute = moment_of(first(data, spec.expires_at, headers))
    seconds = _seconds(first(data, spec.expires_in, headers))
    # No server issues a token that is already dead: 0, -1 and a moment in the past (by a clock that differs
    # from ours) mean that it does not say. Then the endpoint may; else a 401 will.
    if seconds is not None:
        seconds *= _UNITS[spec.expires_in_unit]
    if seconds is not None and seconds > 0:
        return now + min(seconds, TEN_YEARS_S)
    if absolute is not None and absolute > now:
        return min(absolute, now + TEN_YEARS_S)
    return now + spec.lifetime_s if spec.lifetime_s else None


def exchanged(account: Account, spec: ResponseSpec, token: Token, reply: Reply) -> Token:
    """A token with what the answer of an exchange replaces of it; what is not there stays."""
    data = parse(reply.body, reply.headers.get("content-type", ""), spec.format)
    access, refresh, kind, scope = (
        first(data, places, reply.headers)
        for places in (spec.access_token, spec.refresh_token, spec.token_type, spec.scope)
    )
    new = replace(
        token,
        captured=MappingProxyType({**token.captured, **captured_of(data, spec.capture, reply.headers)}),
        refresh_token=Secret(refresh) if _is_token(refresh) else token.refresh_token,
        scopes=_scopes(scope, account.endpoint.scopes.separator) or token.scopes,
    )
    if not _is_token(access):
        return new
    return replace(
        new,
        access_token=Secret(access),
        token_type=_type(kind) if kind else token.token_type,
        obtained_at=reply.received_at,
        expires_at=_expiry(data, spec, reply.received_at, reply.headers),
    )


def _is_token(value: Any) -> bool:
    return isinstance(value, str) and _TOKEN_TEXT.fullmatch(value) is not None


def _scopes(value: Any, separator: str) -> tuple[str, ...] | None:
    if isinstance(value, str):
        value = value.replace(separator, " ").split()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None


def captured_of(
    data: Any, places: Mapping[str, tuple[str, ...]], headers: Mapping[str, str] = NO_HEADERS
) -> dict[str, str]:
    """Values of an answer that templates may use, by name; what is not there is left out."""
    found = {name: first(data, several, headers) for name, several in places.items()}
    texts = {n: str(v) for n, v in found.items() if isinstance(v, (str, int)) and not isinstance(v, bool)}
    # They land in URLs and headers, so what could end a line there is not taken.
    return {name: text for name, text in texts.items() if text.isprintable()}
