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
    JwtSpec,
    RefreshSpec,
    RequestSpec,
    ResponseSpec,
    ScopesSpec,
    StepSpec,
    nothing,
)
from connector.endpointread import (
    read_api,
    read_authorize,
    read_errors,
    read_grants,
    read_jwt,
    read_place,
    read_refresh,
    read_request,
    read_response,
    read_scopes,
    read_step,
    read_steps,
)


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
        exchange: calls right after a token call whose answers replace or extend the token.
        discover: calls with a new token that find out what templates need.
        jwt: what the grants sign, and ``{jwt}`` in calls; None: nothing in particular.
        plugin: ``module:Class`` of Python hooks; empty: none.
        service: name of a local server that must run for it (the sandbox); empty for real ones.
        origin: where it was declared, for messages.
        spec: the checked mapping it was made of (what ``extends`` builds on).
        hooks: what `plugin` names, a `connector.endpointhooks.EndpointHooks`; None: nothing.
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
    exchange: tuple[StepSpec, ...] = ()
    discover: tuple[StepSpec, ...] = ()
    jwt: JwtSpec | None = None
    test: StepSpec | None = None
    plugin: str = ""
    service: str = ""
    origin: str = ""
    spec: Mapping[str, Any] = field(default_factory=nothing, repr=False)
    hooks: Any = field(default=None, repr=False, compare=False)

    @property
    def finds_hosts(self) -> bool:
        """Whether templates of the API may need what only a token brings."""
        if self.response.capture or self.authorize.capture or self.discover or self.hooks is not None:
            return True
        return any(step.set or step.response.capture for step in self.exchange)

    def for_grant(self, grant: str) -> Endpoint:
        """This endpoint with the overrides it declares for one grant."""
        overrides = self.grants.get(grant)
        if not overrides:
            return self
        merged = endpoint_from_spec(merge(self.spec, overrides), name=self.name, origin=self.origin)
        # The spec as it was: another grant's overrides start from there, not from this one's.
        return replace(merged, grants=self.grants, spec=self.spec, hooks=self.hooks)


# What an endpoint that names none allows; an account chooses.
_ANY_GRANT = (
    "authorization_code",
    "client_credentials",
    "device_code",
    "jwt_bearer",
    "token_exchange",
    "password",
    "refresh_token",
    "two_step",
    "bearer",
)


# Where null is a value of its own: it leaves a standard parameter out, also where the base names none.
_NULLS_STAY = frozenset({"params", "claims"})


def merge(base: Mapping[str, Any], over: Mapping[str, Any], *, nulls_stay: bool = False) -> dict[str, Any]:
    """Merge as ``extends`` does: mappings merge, anything else replaces, null removes a key."""
    result = dict(base)
    for one, other in (("path", "url"), ("url", "path")):
        if one in over and other not in over and other in base:
            result.pop(other)  # a call goes to one place, and the newer word counts
    for key, value in over.items():
        if value is None and not nulls_stay and key != "grant_type":
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value, nulls_stay=key in _NULLS_STAY)
        else:
            result[key] = value
    return result


def endpoint_from_spec(spec: Mapping[str, Any], *, name: str = "", origin: str = "") -> Endpoint:
    """Build an Endpoint from a mapping that has passed the endpoint schema (``extends`` already merged)."""
    token = read_request(spec.get("token", {}), RequestSpec())
    person = spec.get("authorize", {}).get("url") or spec.get("discovery") or spec.get("issuer")
    first = "authorization_code" if person else "client_credentials"
    grants = spec.get("grants", [first, *(grant for grant in _ANY_GRANT if grant != first)])
    return Endpoint(
        name=name or spec.get("endpoint", ""),
        title=spec.get("title", name or spec.get("endpoint", "")),
        docs=spec.get("docs", ""),
        settings=spec.get("settings", NOTHING),
        vars=spec.get("vars", NOTHING),
        grants=read_grants(grants),
        issuer=spec.get("issuer", ""),
        discovery=spec.get("discovery", ""),
        authorize=read_authorize(spec.get("authorize", {})),
        token=token,
        refresh=read_refresh(spec.get("refresh", {}), token),
        **{
            place: read_place(spec[place], token)
            for place in ("device", "par", "revoke", "introspect", "userinfo")
            if place in spec
        },
        errors=read_errors(spec.get("errors", {})),
        dpop=spec.get("dpop", False),
        response=read_response(spec.get("response", {})),
        scopes=read_scopes(spec.get("scopes", {})),
        api=read_api(spec.get("api", {})),
        exchange=read_steps(spec.get("exchange"), authenticated=False),
        discover=read_steps(spec.get("discover"), authenticated=True),
        jwt=read_jwt(spec["jwt"]) if "jwt" in spec else None,
        test=read_step(spec["test"], authenticated=True) if "test" in spec else None,
        plugin=spec.get("plugin", ""),
        service=spec.get("service", ""),
        origin=origin,
        spec=MappingProxyType(dict(spec)),
    )
