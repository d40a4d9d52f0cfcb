"""Reading the parts of an endpoint from a mapping that has passed the endpoint schema.

Rules of this room: nothing is checked here and nothing filled in: templates stay templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from connector.endpointparts import (
    NOTHING,
    ApiSpec,
    AuthorizeSpec,
    ErrorRule,
    JwtSpec,
    Params,
    RefreshSpec,
    RequestSpec,
    ResponseSpec,
    ScopesSpec,
    Signal,
    StepSpec,
)

# What the kinds of `ErrorRule` are called in an endpoint file.
ERROR_KINDS = {
    "needs_authorization": "login",
    "retry_later": "later",
    "wrong_client": "client",
    "wrong_scope": "scope",
}


def read_grants(grants: Any) -> Mapping[str, Mapping[str, Any]]:
    """Grants in order of preference -> what differs for each."""
    if isinstance(grants, Mapping):
        return MappingProxyType({name: over or NOTHING for name, over in grants.items()})
    return MappingProxyType(dict.fromkeys(grants, NOTHING))


def read_request(spec: Mapping[str, Any], base: RequestSpec) -> RequestSpec:
    """How one kind of call is made: like `base` unless said otherwise."""
    said = spec.get("basic")
    pair = read_pair(said)
    return RequestSpec(
        url=many(spec.get("url", base.url)),
        method=spec.get("method", base.method),
        body=spec.get("body", base.body),
        auth=spec.get("auth", base.auth),
        basic=said if isinstance(said, str) else base.basic,
        pair=pair or (None if "basic" in spec else base.pair),
        params=read_params(spec, "params", base.params),
        query=read_params(spec, "query", base.query),
        headers=read_params(spec, "headers", base.headers),
        rename=MappingProxyType({**base.rename, **spec.get("rename", {})}),
        grant_type=(spec["grant_type"] or "") if "grant_type" in spec else base.grant_type,
    )


def read_place(spec: Mapping[str, Any], token: RequestSpec) -> RequestSpec:
    """The client proves itself there as at the token endpoint; what is asked for there is its own."""
    return read_request(spec, RequestSpec(auth=token.auth, basic=token.basic, pair=token.pair))


def read_refresh(spec: Mapping[str, Any], token: RequestSpec) -> RefreshSpec:
    """How tokens are renewed: like the token request unless said otherwise."""
    return RefreshSpec(
        request=read_request(spec, token),
        with_=spec.get("with", "refresh_token"),
        rotates=spec.get("rotates", "maybe"),
        before_s=spec.get("before"),
        grace_s=float(spec.get("grace", 0.0)),
    )


def read_pair(said: Any) -> tuple[str, str] | None:
    """A pair of Basic authentication, as templates; None where none is given."""
    return (said.get("username", ""), said.get("password", "")) if isinstance(said, Mapping) else None


def read_steps(spec: Any, *, authenticated: bool) -> tuple[StepSpec, ...]:
    """One step, or several in order."""
    steps = spec if isinstance(spec, (list, tuple)) else [spec] if spec else []
    return tuple(read_step(step, authenticated=authenticated) for step in steps)


def read_step(spec: Mapping[str, Any], *, authenticated: bool) -> StepSpec:
    """One call and what is taken from its answer; `authenticated` unless it says otherwise."""
    pick = spec.get("pick")
    return StepSpec(
        request=read_request(spec, RequestSpec(method="GET", auth="none")),
        path=many(spec["path"]) if "path" in spec else (),
        authenticated=spec.get("authenticated", authenticated),
        expect=statuses(spec.get("expect", ())),
        response=read_response(spec.get("response", {})),
        set=_places(spec.get("set", {})),
        pick_from=pick.get("from", "") if pick is not None else "",
        pick_where=MappingProxyType(dict(pick.get("where", {}))) if pick is not None else None,
        pick_first=pick.get("first", False) if pick is not None else False,
        label=many(spec["label"]) if "label" in spec else (),
    )


def read_jwt(spec: Mapping[str, Any]) -> JwtSpec:
    """A JWT that we sign."""
    return JwtSpec(
        alg=spec.get("alg", ""),
        key=spec.get("key", ""),
        key_encoding=spec.get("key_encoding", "text"),
        lifetime_s=float(spec.get("lifetime", 300.0)),
        backdate_s=float(spec.get("backdate", 0.0)),
        header=_claims(spec.get("header", {})),
        claims=_claims(spec.get("claims", {})),
    )


def _claims(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    # A list is a list here, as JSON has them.
    return MappingProxyType({name: many(v) if isinstance(v, str) else v for name, v in spec.items()})


def read_authorize(spec: Mapping[str, Any]) -> AuthorizeSpec:
    """Where a person consents."""
    back = spec.get("callback", {})
    return AuthorizeSpec(
        url=many(spec.get("url", ())),
        params=read_params(spec, "params", NOTHING),
        rename=MappingProxyType(dict(spec.get("rename", {}))),
        pkce=spec.get("pkce", "S256"),
        redirect_uri=many(spec.get("redirect_uri", ())),
        iss=spec.get("iss", False),
        fragment=spec.get("fragment"),
        drop_empty=spec.get("drop_empty", True),
        code=back.get("code", "code"),
        state=back.get("state", "state"),
        capture=MappingProxyType(dict(back.get("capture", {}))),
    )


def read_errors(spec: Mapping[str, Any]) -> tuple[ErrorRule, ...]:
    """What refusals mean that this server words its own way."""
    rules = []
    for name, kind in ERROR_KINDS.items():
        for said in spec.get(name, ()):
            what = {"error": said} if isinstance(said, str) else said
            rules.append(ErrorRule(kind=kind, **what))
    return tuple(rules)


def read_params(spec: Mapping[str, Any], key: str, base: Params) -> Params:
    """Parameters, those of `base` included: a text or a list of texts becomes templates, the rest stays."""
    own = {name: many(v) if isinstance(v, (str, list, tuple)) else v for name, v in spec.get(key, {}).items()}
    return MappingProxyType({**base, **own})


def read_response(spec: Mapping[str, Any]) -> ResponseSpec:
    """Where in a token reply things are."""
    pointers = ("access_token", "refresh_token", "token_type", "scope", "expires_in", "expires_at")
    return ResponseSpec(
        **{key: many(spec[key]) for key in pointers if key in spec},
        format=spec.get("format", "auto"),
        expires_in_unit=spec.get("expires_in_unit", "s"),
        lifetime_s=spec.get("lifetime"),
        error=spec.get("error", NOTHING),
        capture=_places(spec.get("capture", {})),
    )


def _places(spec: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({name: many(place) for name, place in spec.items()})


def read_scopes(spec: Mapping[str, Any]) -> ScopesSpec:
    """Scopes of a server."""
    return ScopesSpec(
        default=tuple(spec.get("default", ())),
        separator=spec.get("separator", " "),
        offline=tuple(spec.get("offline", ())),
        known=spec.get("known", NOTHING),
        required=spec.get("required", False),
        encode=spec.get("encode", True),
        on_token_request=spec.get("on_token_request", False),
    )


def read_api(spec: Mapping[str, Any]) -> ApiSpec:
    """The API behind the authorization server."""
    token = spec.get("token", {})
    own = "authorization" in (name.lower() for name in spec.get("headers", {}))
    return ApiSpec(
        base_url=many(spec.get("base_url", ())),
        hosts=tuple(spec.get("hosts", ())),
        # Where the file says itself what the Authorization header is made of, nothing more is put there.
        token_in=token.get("in", "none" if own and not token else "header"),
        token_name=token.get("name", "Authorization"),
        # A query parameter, a cookie and a path hold the bare token unless the file says otherwise.
        token_prefix=token.get("prefix", "Bearer " if token.get("in", "header") == "header" else ""),
        basic=read_pair(spec.get("basic")),
        headers=read_params(spec, "headers", NOTHING),
        query=read_params(spec, "query", NOTHING),
        expired=tuple(_signal(said, (401,)) for said in many(spec.get("expired", {}))),
        retry=tuple(_signal(said, (429, 503)) for said in many(spec.get("retry", {}))),
        paging=MappingProxyType(dict(spec.get("paging", {}))),
    )


def _signal(spec: Mapping[str, Any], status: tuple[int, ...]) -> Signal:
    return Signal(
        status=statuses(spec.get("status", status)),
        body=MappingProxyType({pointer: many(value) for pointer, value in spec.get("body", {}).items()}),
        after=tuple(name.lower() for name in spec.get("after", ("retry-after",))),
        at=tuple(name.lower() for name in spec.get("at", ())),
        remaining=spec.get("remaining", "").lower(),
    )


def statuses(listed: Sequence[int | str]) -> tuple[int, ...]:
    """HTTP statuses; ``5xx`` stands for a whole class of them."""
    found: list[int] = []
    for one in listed:
        found += range(int(one[0]) * 100, int(one[0]) * 100 + 100) if isinstance(one, str) else (one,)
    return tuple(found)


def many(value: Any) -> tuple[Any, ...]:
    """A value, or each of a list."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)
