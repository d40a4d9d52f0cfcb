"""What a server that says no means by it: reading error answers (RFC 6749 section 5.2).

Rules of this room: nothing in a refusal repeats a secret. A verdict on a login is final for a person, so an
answer is one only where nothing else can be meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

from connector.account import Account
from connector.endpointparts import ResponseSpec
from connector.reading import cleaned, clock_of, first, pointed, retry_after
from connector.secret import Secret

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


def redirected(reply: Reply) -> Refusal:
    """The refusal that a redirect is."""
    # Following would carry the secret and the refresh token to wherever it points.
    return Refusal(
        kind="protocol", status=reply.status, error="redirect", description="redirects are refused"
    )


def says_error(data: Any, spec: ResponseSpec) -> bool:
    """Whether an answer is an error where the endpoint says so."""
    return bool(spec.error) and error_inside(data, spec)


def error_inside(data: Any, spec: ResponseSpec) -> bool:
    """Whether an answer inside a 200 is an error."""
    if spec.error:
        found = pointed(data, spec.error["at"])
        return found == spec.error["equals"] if "equals" in spec.error else found not in (None, "", False)
    return (
        isinstance(data, Mapping) and bool(data.get("error")) and first(data, spec.access_token) in (None, "")
    )


_CLIENT_ERRORS = {"invalid_client", "unauthorized_client"}
_LATER_ERRORS = {"temporarily_unavailable", "slow_down", "server_error"}


def refusal_of(
    account: Account, reply: Reply, data: Any, secrets: tuple[Secret, ...], *, status: int = 0
) -> Refusal:
    """The refusal in an answer, in words that are safe to show.

    Args:
        status: what it counts as, where it came as another.
    """
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
        error=error if _CODE.fullmatch(error) else cleaned(error, secrets),
        description=cleaned(description, secrets),
        retry_after_s=retry_after(
            reply.headers.get("retry-after"),
            reply.received_at + (clock_of(reply.headers, reply.received_at) or 0.0),
        ),
        spent=spent,
        dpop_nonce=nonce,
    )


def inside_success(refusal: Refusal) -> Refusal:
    """An error inside a 200 is a verdict on the login only in words that say so: gateways answer like this
    too, and one bad reply must not need a person.
    """
    if refusal.kind == "login" and not _VERDICT.search(refusal.error):
        return replace(refusal, kind="protocol", spent=True)
    return refusal


_VERDICT = re.compile(r"(?i)invalid|expired|revoked|denied|bad_?refresh|unauthorized|unsupported|pending")
_LONGEST_NONCE = 1024
# Words with underscores, which no secret looks like, however long.
_CODE = re.compile(r"[A-Z]{2,20}(?:_[A-Z]{2,20}){1,8}|[a-z]{2,20}(?:_[a-z]{2,20}){1,8}")


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
    if code is None and not spec.error:  # no word of OAuth: what many other servers call it
        code = first(data, ("/errorCode", "/error_code", "/code"))
    text = pointed(data, spec.error.get("message", "/error_description")) if spec.error else None
    text = text or pointed(data, "/error_description")
    if isinstance(code, Mapping):
        code, text = code.get("code") or code.get("type"), text or code.get("message")
    if not isinstance(code, (str, int)):
        match = _CHALLENGE_ERROR.search(reply.headers.get("www-authenticate", "")[:4096])
        code = match[1] if match else ""
    return str(code), text if isinstance(text, str) else ""
