"""An endpoint: a server's URLs and habits, as an endpoint file declares them (schemas/endpoint.schema.json).

Rules of this room: values only. What is read here was checked against the schema before; templates stay
templates until an account's settings fill them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from connector.endpointparts import (
    NOTHING,
    ApiSpec,
    AuthorizeSpec,
    ErrorRule,
    Params,
    RefreshSpec,
    RequestSpec,
    ResponseSpec,
    ScopesSpec,
    nothing,
)

# What the kinds of `ErrorRule` are called in an endpoint file.
ERROR_KINDS = {
    "needs_authorization": "login",
    "retry_later": "later",
    "wrong_client": "client",
    "wrong_scope": "scope",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server's URLs and habits, contributed by a plugin or written in a manifest.

    Attributes:
        name: what an account says in ``oauth2_endpoint``.
        settings: what it asks of an account beyond the five fields, as JSON Schema properties.
        grants: grants in order of preference; a mapping overrides parts of this endpoint for one of them.
        issuer: who answers, a template (RFC 8414 section 2); empty: whoever `discovery` leads to.
        discovery: template of the metadata's URL, or of the issuer's; empty: every URL is declared here.
        device, par, revoke, introspect, userinfo: how those calls are made; None: there is no such place.
        errors: what answers mean, where this server words them its own way; the first that fits counts.
        dpop: whether tokens are bound to a key of ours (RFC 9449).
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
    issuer: str = ""
    discovery: str = ""
    authorize: AuthorizeSpec = AuthorizeSpec()
    token: RequestSpec = RequestSpec()
    refresh: RefreshSpec = RefreshSpec(request=RequestSpec())
    device: RequestSpec | None = None
    par: RequestSpec | None = None
    revoke: RequestSpec | None = None
    introspect: RequestSpec | None = None
    userinfo: RequestSpec | None = None
    errors: tuple[ErrorRule, ...] = ()
    dpop: bool = False
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
        # The spec as it was: another grant's overrides start from there, not from this one's.
        return replace(merged, grants=self.grants, spec=self.spec)


# What an endpoint that names none allows; an account chooses.
_ANY_GRANT = (
    "authorization_code",
    "client_credentials",
    "device_code",
    "jwt_bearer",
    "token_exchange",
    "password",
    "refresh_token",
)


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
    person = spec.get("authorize", {}).get("url") or spec.get("discovery") or spec.get("issuer")
    first = "authorization_code" if person else "client_credentials"
    grants = spec.get("grants", [first, *(grant for grant in _ANY_GRANT if grant != first)])
    return Endpoint(
        name=name or spec.get("endpoint", ""),
        title=spec.get("title", name or spec.get("endpoint", "")),
        docs=spec.get("docs", ""),
        settings=spec.get("settings", NOTHING),
        vars=spec.get("vars", NOTHING),
        grants=_grants(grants),
        issuer=spec.get("issuer", ""),
        discovery=spec.get("discovery", ""),
        authorize=_authorize(spec.get("authorize", {})),
        token=token,
        refresh=RefreshSpec(
            request=_request(refresh, token),
            with_=refresh.get("with", "refresh_token"),
            rotates=refresh.get("rotates", "maybe"),
            before_s=refresh.get("before"),
            grace_s=float(refresh.get("grace", 0.0)),
        ),
        **{
            place: _request(spec[place], _place(token))
            for place in ("device", "par", "revoke", "introspect", "userinfo")
            if place in spec
        },
        errors=_errors(spec.get("errors", {})),
        dpop=spec.get("dpop", False),
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


def _place(token: RequestSpec) -> RequestSpec:
    """The client proves itself there as at the token endpoint; what is asked for there is its own."""
    return RequestSpec(auth=token.auth, basic=token.basic)


def _authorize(spec: Mapping[str, Any]) -> AuthorizeSpec:
    return AuthorizeSpec(
        url=_many(spec.get("url", ())),
        params=_params(spec, "params", NOTHING),
        rename=MappingProxyType(dict(spec.get("rename", {}))),
        pkce=spec.get("pkce", "S256"),
        redirect_uri=_many(spec.get("redirect_uri", ())),
        iss=spec.get("iss", False),
    )


def _errors(spec: Mapping[str, Any]) -> tuple[ErrorRule, ...]:
    rules = []
    for name, kind in ERROR_KINDS.items():
        for said in spec.get(name, ()):
            what = {"error": said} if isinstance(said, str) else said
            rules.append(ErrorRule(kind=kind, **what))
    return tuple(rules)


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
