"""The parts of an endpoint: how one kind of call is made, what an answer looks like, where a token goes.

Rules of this room: values only, templates unfilled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


def nothing() -> Mapping[str, Any]:
    """Default factory of a mapping that stays empty (dataclasses refuse an unhashable default)."""
    return NOTHING


Params = Mapping[str, "tuple[str, ...] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpec:
    """How one kind of call to the authorization server is made.

    Attributes:
        url: templates; the first whose names are all set is used.
        auth: how the client proves itself, one of `connector.clientauth.CLIENT_AUTHENTICATION`.
        basic: ``rfc6749`` (id and secret form-encoded first) or ``raw``.
        params, query, headers: extra ones, templates; None removes a standard parameter.
        rename: standard parameter name -> the name this server wants; None leaves it out.
    """

    url: tuple[str, ...] = ()
    method: str = "POST"
    body: str = "form"
    auth: str = "client_secret_post"
    basic: str = "rfc6749"
    params: Params = field(default_factory=nothing)
    query: Params = field(default_factory=nothing)
    headers: Params = field(default_factory=nothing)
    rename: Mapping[str, str | None] = field(default_factory=nothing)
    grant_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSpec:
    """How this server renews.

    Attributes:
        request: like the token request unless the file says otherwise.
        with_: what is shown: ``refresh_token``, ``access_token`` or ``client``.
        rotates: ``never``, ``maybe`` or ``always`` a new refresh token with each renewal.
        before_s: seconds before the end to renew; None: a fitting part of the lifetime.
        grace_s: seconds in which a refresh token that was replaced already still answers with its
            successor; 0: a second use may end the login.
    """

    request: RequestSpec
    with_: str = "refresh_token"
    rotates: str = "maybe"
    before_s: float | None = None
    grace_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSpec:
    """Where in a token reply things are: JSON pointers, the first that is there counts."""

    format: str = "auto"
    access_token: tuple[str, ...] = ("/access_token",)
    refresh_token: tuple[str, ...] = ("/refresh_token",)
    token_type: tuple[str, ...] = ("/token_type",)
    scope: tuple[str, ...] = ("/scope",)
    expires_in: tuple[str, ...] = ("/expires_in",)
    expires_in_unit: str = "s"
    expires_at: tuple[str, ...] = ("/expires_at",)
    lifetime_s: float | None = None
    error: Mapping[str, Any] = field(default_factory=nothing)
    capture: Mapping[str, str] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopesSpec:
    """Scopes of a server: `offline` ones make it issue a refresh token and are added for auto-refresh."""

    default: tuple[str, ...] = ()
    separator: str = " "
    offline: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=nothing)
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSpec:
    """The API behind the authorization server.

    Attributes:
        hosts: further hosts that may see the token (``host``, ``host:port`` or ``*.domain``).
        expired_status: statuses that mean "this token is no longer good".
        expired_body: JSON pointer -> values; with one of the statuses, one of them must be there too.
        retry_status: statuses after which waiting and sending again is right.
    """

    base_url: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    token_in: str = "header"
    token_name: str = "Authorization"
    token_prefix: str = "Bearer "
    headers: Params = field(default_factory=nothing)
    query: Params = field(default_factory=nothing)
    expired_status: tuple[int, ...] = (401,)
    expired_body: Mapping[str, tuple[Any, ...]] = field(default_factory=nothing)
    retry_status: tuple[int, ...] = (429, 503)
    retry_after: tuple[str, ...] = ("retry-after",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeSpec:
    """Where a person consents (RFC 6749 section 3.1).

    Attributes:
        url: templates; the first whose names are all set is used.
        params: further parameters, templates; None removes a standard one.
        rename: standard parameter name -> the name this server wants; None leaves it out.
        pkce: ``S256``, ``plain`` or ``none`` (RFC 7636 section 4.2).
        redirect_uri: templates, where a server compares it exactly; empty: a free port on loopback.
        iss: whether the answer must say who gives it (RFC 9207).
    """

    url: tuple[str, ...] = ()
    params: Params = field(default_factory=nothing)
    rename: Mapping[str, str | None] = field(default_factory=nothing)
    pkce: str = "S256"
    redirect_uri: tuple[str, ...] = ()
    iss: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """What an answer of the authorization server means, where this server words it its own way.

    Attributes:
        kind: ``login`` (the login is dead), ``later``, ``client`` or ``scope``.
        status: HTTP status; None: any.
        error: the error code (RFC 6749 section 5.2); empty: any.
        description: a part of the description, in any case; empty: any.
    """

    kind: str
    status: int | None = None
    error: str = ""
    description: str = ""

    def speaks_of(self, status: int, error: str, description: str) -> bool:
        """Whether this rule is about such an answer."""
        return (
            self.status in (None, status)
            and self.error in ("", error)
            and self.description.lower() in description.lower()
        )
