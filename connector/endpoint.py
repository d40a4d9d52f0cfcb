"""An endpoint: a server's URLs and habits, as an endpoint file declares them (schemas/endpoint.schema.json).

Rules of this room: values only. What is read here was checked against the schema before; templates stay
templates until an account's settings fill them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        auth: ``client_secret_basic``, ``client_secret_post`` or ``none`` (RFC 6749 section 2.3.1).
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
    """

    request: RequestSpec
    with_: str = "refresh_token"
    rotates: str = "maybe"
    before_s: float | None = None


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
class Endpoint:
    """A server's URLs and habits, contributed by a plugin or written in a manifest.

    Attributes:
        name: what an account says in ``oauth2_endpoint``.
        settings: what it asks of an account beyond the five fields, as JSON Schema properties.
        grants: grants in order of preference; a mapping overrides parts of this endpoint for one of them.
        service: name of a local server that must run for it (the sandbox); empty for real ones.
        origin: where it was declared, for messages.
        spec: the checked mapping it was made of (what ``extends`` builds on).
    """

    name: str
    title: str = ""
    docs: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=nothing)
    vars: Mapping[str, Any] = field(default_factory=nothing)
    grants: Mapping[str, Mapping[str, Any]] = field(default_factory=nothing)
    authorize: RequestSpec = RequestSpec(method="GET", body="query")
    token: RequestSpec = RequestSpec()
    refresh: RefreshSpec = RefreshSpec(request=RequestSpec())
    revoke: RequestSpec | None = None
    response: ResponseSpec = ResponseSpec()
    scopes: ScopesSpec = ScopesSpec()
    api: ApiSpec = ApiSpec()
    test: Mapping[str, Any] = field(default_factory=nothing)
    service: str = ""
    origin: str = ""
    spec: Mapping[str, Any] = field(default_factory=nothing, repr=False)

    def for_grant(self, grant: str) -> Endpoint:
        """This endpoint with the overrides it declares for one grant."""
        overrides = self.grants.get(grant)
        if not overrides:
            return self
        merged = endpoint_from_spec(merge(self.spec, overrides), name=self.name, origin=self.origin)
        return replace(merged, grants=self.grants)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as ``extends`` does: mappings merge, anything else replaces, null removes a key."""
    result = dict(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def endpoint_from_spec(spec: Mapping[str, Any], *, name: str = "", origin: str = "") -> Endpoint:
    """Build an Endpoint from a mapping that has passed the endpoint schema (``extends`` already merged)."""
    token = _request(spec.get("token", {}), RequestSpec())
    refresh = spec.get("refresh", {})
    grants = spec.get("grants", ["authorization_code"])
    return Endpoint(
        name=name or spec.get("endpoint", ""),
        title=spec.get("title", name or spec.get("endpoint", "")),
        docs=spec.get("docs", ""),
        settings=spec.get("settings", NOTHING),
        vars=spec.get("vars", NOTHING),
        grants=_grants(grants),
        authorize=_request(spec.get("authorize", {}), RequestSpec(method="GET", body="query")),
        token=token,
        refresh=RefreshSpec(
            request=_request(refresh, token),
            with_=refresh.get("with", "refresh_token"),
            rotates=refresh.get("rotates", "maybe"),
            before_s=refresh.get("before"),
        ),
        revoke=_request(spec["revoke"], token) if "revoke" in spec else None,
        response=_response(spec.get("response", {})),
        scopes=_scopes(spec.get("scopes", {})),
        api=_api(spec.get("api", {})),
        test=spec.get("test", NOTHING),
        service=spec.get("service", ""),
        origin=origin,
        spec=MappingProxyType(dict(spec)),
    )


def _grants(grants: Any) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(grants, Mapping):
        return MappingProxyType({name: over or NOTHING for name, over in grants.items()})
    return MappingProxyType(dict.fromkeys(grants, NOTHING))


def _request(spec: Mapping[str, Any], base: RequestSpec) -> RequestSpec:
    return RequestSpec(
        url=_many(spec.get("url", base.url)),
        method=spec.get("method", base.method),
        body=spec.get("body", base.body),
        auth=spec.get("auth", base.auth),
        basic=spec.get("basic", base.basic),
        params=_params(spec, "params", base.params),
        query=_params(spec, "query", base.query),
        headers=_params(spec, "headers", base.headers),
        rename=MappingProxyType({**base.rename, **spec.get("rename", {})}),
        grant_type=spec.get("grant_type", base.grant_type),
    )


def _params(spec: Mapping[str, Any], key: str, base: Params) -> Params:
    own = {k: None if v is None else _many(v) for k, v in spec.get(key, {}).items()}
    return MappingProxyType({**base, **own})


def _response(spec: Mapping[str, Any]) -> ResponseSpec:
    pointers = ("access_token", "refresh_token", "token_type", "scope", "expires_in", "expires_at")
    return ResponseSpec(
        **{key: _many(spec[key]) for key in pointers if key in spec},
        format=spec.get("format", "auto"),
        expires_in_unit=spec.get("expires_in_unit", "s"),
        lifetime_s=spec.get("lifetime"),
        error=spec.get("error", NOTHING),
        capture=spec.get("capture", NOTHING),
    )


def _scopes(spec: Mapping[str, Any]) -> ScopesSpec:
    return ScopesSpec(
        default=tuple(spec.get("default", ())),
        separator=spec.get("separator", " "),
        offline=tuple(spec.get("offline", ())),
        known=spec.get("known", NOTHING),
        required=spec.get("required", False),
    )


def _api(spec: Mapping[str, Any]) -> ApiSpec:
    token, expired, retry = spec.get("token", {}), spec.get("expired", {}), spec.get("retry", {})
    return ApiSpec(
        base_url=_many(spec.get("base_url", ())),
        hosts=tuple(spec.get("hosts", ())),
        token_in=token.get("in", "header"),
        token_name=token.get("name", "Authorization"),
        token_prefix=token.get("prefix", "Bearer "),
        headers=_params(spec, "headers", NOTHING),
        query=_params(spec, "query", NOTHING),
        expired_status=tuple(expired.get("status", (401,))),
        expired_body=MappingProxyType({p: _many(v) for p, v in expired.get("body", {}).items()}),
        retry_status=tuple(retry.get("status", (429, 503))),
        retry_after=tuple(name.lower() for name in retry.get("after", ("retry-after",))),
    )


def _many(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)
