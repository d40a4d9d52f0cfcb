"""What a file means once all that it inherits is written out: its calls, and the server's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.sandbox.persona.checking import Call
from connector.sandbox.persona.texts import fill_url

PLACES = ("device", "par", "revoke", "introspect", "userinfo")
_METADATA = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "device": "device_authorization_endpoint",
    "par": "pushed_authorization_request_endpoint",
    "revoke": "revocation_endpoint",
    "introspect": "introspection_endpoint",
    "userinfo": "userinfo_endpoint",
}
_INHERITED = ("params", "query", "headers", "rename")
_STEP_KEYS = ("refresh", "with", "rotates", "grace", "before")


def call_of(spec: Mapping[str, Any], name: str) -> Call:
    """Return a call by name: ``refresh`` inherits all of ``token``, others how the client proves itself."""
    token, own = spec.get("token", {}), spec.get(name, {})
    if name == "token":
        return Call(steps=("token",), spec=token, own=token)
    if name == "refresh":
        merged = {**token, **own}
        for key in _INHERITED:
            if key in token or key in own:
                merged[key] = {**token.get(key, {}), **own.get(key, {})}
        return Call(
            steps=("refresh",), spec={k: v for k, v in merged.items() if k not in _STEP_KEYS}, own=own
        )
    base = {key: token[key] for key in ("auth", "basic") if key in token}
    return Call(steps=(name,), spec={**base, **own}, own=own)


def steps_of(spec: Mapping[str, Any], name: str) -> list[Call]:
    """Return the steps of ``exchange``, ``discover`` or ``test``, in order."""
    listed = spec.get(name) or []
    many = listed if isinstance(listed, list) else [listed]
    whole = not isinstance(listed, list)
    return [
        Call(steps=(name,) if whole else (name, index), spec={**step, "x-plain": True}, own=step)
        for index, step in enumerate(many)
    ]


def issuer_of(spec: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """Return the issuer that the provider is; empty: the file names none."""
    said = fill_url(spec.get("issuer") or spec.get("discovery"), values)
    before, known, after = said.partition("/.well-known/")
    _, slash, path = after.partition("/")
    return before + slash + path if known else said


def metadata_urls(spec: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Return where the metadata is asked for (RFC 8414 section 3.1); none: the file declares all."""
    template = spec.get("discovery") or (spec.get("issuer") if not spec.get("token", {}).get("url") else None)
    if not template:
        return []
    url = fill_url(template, values)
    if "/.well-known/" in url:
        return [url]
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = (slash + path).rstrip("/")
    return [
        f"{scheme}://{host}/.well-known/oauth-authorization-server{path}",
        f"{scheme}://{host}{path}/.well-known/openid-configuration",
    ]


def completed(spec: Mapping[str, Any], values: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the file with the URLs that it leaves to the metadata, and that metadata."""
    full = dict(spec)
    if not metadata_urls(spec, values):
        return full, {}
    issuer = issuer_of(spec, values)
    auth = spec.get("token", {}).get("auth", "client_secret_basic")
    metadata: dict[str, Any] = {"issuer": issuer, "token_endpoint_auth_methods_supported": [auth]}
    for name, told in _METADATA.items():
        own = full.get(name)
        if name not in ("authorize", "token") and own is None:
            continue
        url = fill_url((own or {}).get("url"), values) or f"{issuer.rstrip('/')}/persona/{name}"
        metadata[told] = url
        if not (own or {}).get("url"):
            full[name] = {**(own or {}), "url": url.replace("{", "{{").replace("}", "}}")}
    full["token"] = {**full["token"], "auth": auth}
    return full, metadata
