"""The parts of an endpoint: how one kind of call is made, what an answer looks like, where a token goes.

Rules of this room: values only, templates unfilled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})
# Grants whose tokens no server of the endpoint issued.
WITHOUT_CALL = frozenset({"api_key", "basic", "bearer", "signed_jwt", "none"})


def nothing() -> Mapping[str, Any]:
    """Default factory of a mapping that stays empty (dataclasses refuse an unhashable default)."""
    return NOTHING


# Name -> templates of which the first whose names are all set counts; None leaves a standard one out. In a
# JSON body also a number, a truth value, or a mapping whose inner texts are templates.
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpec:
    """How one kind of call to the authorization server is made.

    Attributes:
        url: templates; the first whose names are all set is used.
        auth: how the client proves itself, one of `connector.clientauth.CLIENT_AUTHENTICATION`.
        basic: ``rfc6749`` (id and secret form-encoded first) or ``raw``.
        pair: another pair than id and secret for the Basic header, as templates; None: that one.
        params, query, headers: extra ones, templates; None removes a standard parameter.
        rename: standard parameter name -> the name this server wants; None leaves it out.
        grant_type: another value than the standard one; empty: it is left out; None: the standard one.
    """

    url: tuple[str, ...] = ()
    method: str = "POST"
    body: str = "form"
    auth: str = "client_secret_post"
    basic: str = "rfc6749"
    pair: tuple[str, str] | None = None
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
    """Where in a token reply things are: JSON pointers, ``header:NAME`` or ``cookie:NAME``; the first that
    is there counts.
    """

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
    capture: Mapping[str, tuple[str, ...]] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """One call and what is taken from its answer.

    Attributes:
        request: how it is made; `path` below the API's base URL where it has no URL.
        authenticated: whether it carries the token as an API request does.
        expect: good statuses; empty: any 2xx.
        response: where a new token is in the answer.
        set: name -> places in what was picked of the answer.
        pick_from, pick_where, pick_first: which element of a list that is.
        label: what names the account for people.
    """

    request: RequestSpec
    path: tuple[str, ...] = ()
    authenticated: bool = True
    expect: tuple[int, ...] = ()
    response: ResponseSpec = ResponseSpec()
    set: Mapping[str, tuple[str, ...]] = field(default_factory=nothing)
    pick_from: str = ""
    pick_where: Mapping[str, Any] | None = None
    pick_first: bool = False
    label: tuple[str, ...] = ()

    @property
    def picks(self) -> bool:
        """Whether the answer holds a list of which one element is meant."""
        return self.pick_where is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtSpec:
    """A JWT that we sign (RFC 7519).

    Attributes:
        alg: RFC 7518 section 3.1; empty: what fits the key.
        key: template of what signs; empty: the account's private key.
        key_encoding: ``text``, ``base64`` or ``hex``, for shared keys.
        lifetime_s: from ``iat`` to ``exp``.
        backdate_s: how far ``iat`` lies in the past, for servers whose clock is behind.
        header, claims: further ones; None leaves a standard one out.
    """

    alg: str = ""
    key: str = ""
    key_encoding: str = "text"
    lifetime_s: float = 300.0
    backdate_s: float = 0.0
    header: Params = field(default_factory=nothing)
    claims: Params = field(default_factory=nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopesSpec:
    """Scopes of a server: `offline` ones make it issue a refresh token and are added for auto-refresh.

    Attributes:
        encode: percent-encode them in the authorization URL.
        on_token_request: send them with the code and with each renewal too.
    """

    default: tuple[str, ...] = ()
    separator: str = " "
    offline: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=nothing)
    required: bool = False
    encode: bool = True
    on_token_request: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What an answer of the API looks like that means something.

    Attributes:
        status: HTTP statuses.
        body: JSON pointer -> values; with one of the statuses, one of them must be there too.
        after, at: headers with the pause, and with the moment it ends.
        remaining: header with the number of requests left; empty: there is none.
    """

    status: tuple[int, ...]
    body: Mapping[str, tuple[Any, ...]] = field(default_factory=nothing)
    after: tuple[str, ...] = ("retry-after",)
    at: tuple[str, ...] = ()
    remaining: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSpec:
    """The API behind the authorization server.

    Attributes:
        hosts: further hosts that may see the token (``host``, ``host:port`` or ``*.domain``).
        token_in: ``header``, ``query``, ``cookie``, ``path`` (first below the base URL) or ``none``.
        basic: user name and password of Basic authentication instead, templates that may name the token.
        expired: what means "this token is no longer good".
        retry: after what waiting and sending again is right; the first that fits counts.
        paging: options of ``http.read`` where a pipeline does not say them.
    """

    base_url: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    token_in: str = "header"
    token_name: str = "Authorization"
    token_prefix: str = "Bearer "
    basic: tuple[str, str] | None = None
    headers: Params = field(default_factory=nothing)
    query: Params = field(default_factory=nothing)
    expired: tuple[Signal, ...] = (Signal(status=(401,)),)
    retry: tuple[Signal, ...] = (Signal(status=(429, 503)),)
    paging: Mapping[str, Any] = field(default_factory=nothing)


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
        fragment: the parameters follow this text behind a ``#``; None: they are the query.
        drop_empty: leave out parameters without a value.
        code, state: parameters of the redirect that hold them.
        capture: name -> parameter of the redirect, for later templates.
    """

    url: tuple[str, ...] = ()
    params: Params = field(default_factory=nothing)
    rename: Mapping[str, str | None] = field(default_factory=nothing)
    pkce: str = "S256"
    redirect_uri: tuple[str, ...] = ()
    iss: bool = False
    fragment: str | None = None
    drop_empty: bool = True
    code: str = "code"
    state: str = "state"
    capture: Mapping[str, str] = field(default_factory=nothing)


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
