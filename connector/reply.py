"""Reading token replies: as leniently as reality needs, as strictly as safety needs.

The other half of `connector.grants`: reply bytes in, `Token` or `Refusal` out. A refusal is a value, since
what follows from it depends on who asked; nothing in it repeats a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

from connector.account import Account
from connector.endpointparts import ResponseSpec
from connector.errors import ConnectorError
from connector.reading import cleaned, clock_of, first, moment_of, number_of, parse, pointed, retry_after
from connector.secret import Hidden, Secret
from connector.token import Token

TEN_YEARS_S = 10 * 365.25 * 86_400
_TOKEN_TEXT = re.compile(r"[\x21-\x7e]+")
_TYPE_TEXT = re.compile(r"[\x21-\x7e]{1,40}")
_CHALLENGE_ERROR = re.compile(r'\berror\s*=\s*"?([A-Za-z0-9_.-]{1,64})')


Kind: TypeAlias = Literal["login", "client", "scope", "later", "nonce", "protocol"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the authorization server answered. Prints as its status alone.

    Attributes:
        headers: names in lower case.
        body: at most the size limit of token calls.
        received_at: seconds since the epoch.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The server said no, or nothing that could be understood.

    Attributes:
        kind: ``login`` (the refresh token is dead), ``client`` (id or secret), ``scope``,
            ``later`` (try again), ``nonce`` (the same again with `dpop_nonce` in its proof), ``protocol``
            (not an answer that OAuth knows).
        spent: whether a single-use refresh token may have been used up by this call.
        error, description: as the server put it, cleaned; RFC 6749 section 5.2.
        retry_after_s: what the server asked for; None: nothing.
    """

    kind: Kind
    status: int
    error: str = ""
    description: str = ""
    retry_after_s: float | None = None
    spent: bool = False
    dpop_nonce: str = field(default="", repr=False)

    def words(self) -> str:
        """For a person: status, error and description."""
        said = " ".join(
            part for part in (self.error, f"({self.description})" if self.description else "") if part
        )
        return f"HTTP {self.status}" + (f": {said}" if said else ", without an explanation")


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
    issued = (first(data, spec.access_token), first(data, spec.refresh_token))
    hidden = (*secrets, *(Secret(text) for text in issued if isinstance(text, str)))
    if 300 <= reply.status < 400:
        return _redirected(reply)
    if not 200 <= reply.status < 300:
        return _refusal(account, reply, data, hidden)
    error = _error_inside(data, spec)
    if error:
        return _inside_success(_refusal(account, reply, data, hidden, status=400))
    if not isinstance(data, Mapping):
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
        return _redirected(reply)
    if reply.status >= 400 or (isinstance(data, Mapping) and isinstance(data.get("error"), str)):
        return _refusal(account, reply, data, tuple(secrets), status=max(reply.status, 400))
    if reply.status in good and isinstance(data, Mapping):
        return data
    return Refusal(kind="protocol", status=reply.status, description="the answer is not a JSON object")


def read_refusal(account: Account, reply: Reply, secrets: Iterable[Secret]) -> Refusal:
    """Read an answer that is known to be a no."""
    if 300 <= reply.status < 400:
        return _redirected(reply)
    data = parse(reply.body, reply.headers.get("content-type", ""))
    return _refusal(account, reply, data, tuple(secrets), status=max(reply.status, 400))


def _redirected(reply: Reply) -> Refusal:
    # Following would carry the secret and the refresh token to wherever it points.
    return Refusal(
        kind="protocol", status=reply.status, error="redirect", description="redirects are refused"
    )


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
        captured=_captured(data, account.endpoint.response),
    )


def _token(
    account: Account,
    data: Mapping[str, Any],
    reply: Reply,
    previous: Token | None,
    dpop_key: Secret | None,
) -> Token | Refusal:
    spec, now = account.endpoint.response, reply.received_at
    access = first(data, spec.access_token)
    if not isinstance(access, str) or not _TOKEN_TEXT.fullmatch(access):
        what = "no access_token" if access in (None, "") else "an access_token that fits in no header"
        return Refusal(kind="protocol", status=reply.status, description=f"the reply has {what}", spent=True)
    kind = first(data, spec.token_type)
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
    refresh = first(data, spec.refresh_token)
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
        expires_at=_expiry(data, spec, now, clock_of(reply.headers, now) or 0.0),
        refresh_token=new_refresh,
        scopes=_scopes(first(data, spec.scope), account.endpoint.scopes.separator),
        # The refresh token of a public client is bound too (RFC 9449 section 5), so the key stays with it.
        dpop_key=dpop_key,
        captured=MappingProxyType({**captured, **_captured(data, spec)}),
    )


def _is_dpop(kind: Any) -> bool:
    return isinstance(kind, str) and kind.strip().lower() == "dpop"


def _unusable_type(kind: Any) -> bool:
    # Servers write bearer, Bearer, BearerToken, bot, ...; only these need proof that a header cannot give.
    return isinstance(kind, str) and kind.strip().lower() in {"dpop", "mac", "pop"}


def _type(kind: Any) -> str:
    text = kind.strip() if isinstance(kind, str) else ""
    return text if _TYPE_TEXT.fullmatch(text) else "Bearer"


def _expiry(data: Mapping[str, Any], spec: ResponseSpec, now: float, ahead_s: float) -> float | None:
    absolute = moment_of(first(data, spec.expires_at))
    if absolute is not None:
        absolute -= ahead_s  # a moment is told by the server's clock, and kept by ours
    seconds = number_of(first(data, spec.expires_in))
    # No server issues a token that is already dead: 0, -1, a part of a second and a moment in the past (by a
    # clock that differs from ours) mean that it does not say. Then the endpoint may; else a 401 will.
    if seconds is not None and spec.expires_in_unit == "ms":
        seconds /= 1000
    if seconds is not None and seconds >= 1:
        return now + min(seconds, TEN_YEARS_S)
    if absolute is not None and absolute >= now + 1:
        return min(absolute, now + TEN_YEARS_S)
    return now + spec.lifetime_s if spec.lifetime_s else None


def _scopes(value: Any, separator: str) -> tuple[str, ...] | None:
    if isinstance(value, str):
        value = value.replace(separator, " ").split()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None


def _captured(data: Mapping[str, Any], spec: ResponseSpec) -> dict[str, str]:
    found = {name: pointed(data, pointer) for name, pointer in spec.capture.items()}
    texts = {n: str(v) for n, v in found.items() if isinstance(v, (str, int)) and not isinstance(v, bool)}
    # They land in URLs and headers, so what could end a line there is not taken.
    return {name: text for name, text in texts.items() if text.isprintable()}


def _error_inside(data: Any, spec: ResponseSpec) -> bool:
    if spec.error:
        found = pointed(data, spec.error["at"])
        return found == spec.error["equals"] if "equals" in spec.error else found not in (None, "", False)
    return (
        isinstance(data, Mapping) and bool(data.get("error")) and first(data, spec.access_token) in (None, "")
    )


_CLIENT_ERRORS = {"invalid_client", "unauthorized_client"}
_LATER_ERRORS = {"temporarily_unavailable", "slow_down", "server_error"}


def _refusal(
    account: Account, reply: Reply, data: Any, secrets: tuple[Secret, ...], *, status: int = 0
) -> Refusal:
    status = status or reply.status
    error, description = _said(reply, data, account.endpoint.response)
    nonce = reply.headers.get("dpop-nonce", "")
    nonce = nonce if len(nonce) <= _LONGEST_NONCE else ""
    kind, spent = _kind(status, error, asks_for_nonce=bool(nonce))
    # What this server means by its own words comes before what the RFC means by them.
    for rule in account.endpoint.errors:
        if rule.speaks_of(status, error, description):
            kind, spent = cast(Kind, rule.kind), spent and rule.kind == "later"
            break
    return Refusal(
        kind=kind,
        status=reply.status,
        error=cleaned(error, secrets),
        description=cleaned(description, secrets),
        retry_after_s=retry_after(
            reply.headers.get("retry-after"),
            reply.received_at + (clock_of(reply.headers, reply.received_at) or 0.0),
        ),
        spent=spent,
        dpop_nonce=nonce,
    )


def _inside_success(refusal: Refusal) -> Refusal:
    """An error inside a 200 is a verdict on the login only in words that say so: gateways answer like this
    too, and one bad reply must not need a person.
    """
    if refusal.kind == "login" and not _VERDICT.search(refusal.error):
        return replace(refusal, kind="protocol", spent=True)
    return refusal


_VERDICT = re.compile(r"(?i)invalid|expired|revoked|denied|bad_?refresh|unauthorized|unsupported|pending")
_LONGEST_NONCE = 1024


def _kind(status: int, error: str, *, asks_for_nonce: bool) -> tuple[Kind, bool]:
    """What a refusal means, and whether a single-use refresh token may have been used up by it."""
    kind: Kind
    spent = False
    if error == "use_dpop_nonce" and asks_for_nonce:  # RFC 9449 section 8: before anything was processed
        kind = "nonce"
    elif status in (408, 425, 429):
        kind = "later"
    elif status >= 500:
        # Processed or not, nobody can tell (a 502 after the work is done looks the same).
        kind, spent = "later", True
    elif error in _CLIENT_ERRORS:
        kind = "client"
    elif error == "invalid_scope":
        kind = "scope"
    elif error in _LATER_ERRORS and status != 401:
        # A 401 is a no, whatever it calls itself: ServiceNow says server_error for every dead login.
        kind, spent = "later", error == "server_error"
    elif status in (400, 401):
        kind = "login"
    else:
        # 403, 404, 405 ... without a word of OAuth: a firewall or a wrong path, not a verdict on the login.
        kind = "login" if error in ("invalid_grant", "access_denied") else "protocol"
    return kind, spent


def _said(reply: Reply, data: Any, spec: ResponseSpec) -> tuple[str, str]:
    code: Any = pointed(data, spec.error.get("code", "/error") if spec.error else "/error")
    text = pointed(data, spec.error.get("message", "/error_description")) if spec.error else None
    text = text or pointed(data, "/error_description")
    if isinstance(code, Mapping):
        code, text = code.get("code") or code.get("type"), text or code.get("message")
    if not isinstance(code, (str, int)):
        match = _CHALLENGE_ERROR.search(reply.headers.get("www-authenticate", "")[:4096])
        code = match[1] if match else ""
    return str(code), text if isinstance(text, str) else ""
