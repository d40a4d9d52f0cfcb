"""The root page: what is served here, and a manifest to paste."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from connector.sandbox.habits import (
    ACR,
    CLIENT_ID,
    CLIENT_SECRET,
    LONG_CLIENT_ID,
    LONG_CLIENT_SECRET,
    PASSWORD,
    PASSWORD_USER,
    PUBLIC_CLIENT_ID,
)

_PATHS: dict[str, dict[str, str | list[str]]] = {
    "coupa": {
        "authorize": "/coupa/oauth2/authorizations/new",
        "token": "/coupa/oauth2/token",
        "device": "/coupa/oauth2/device_authorization",
        "device_page": "/coupa/oauth2/activate",
        "api": ["/coupa/api/suppliers", "/coupa/api/invoices"],
        "habits": "a person or a device signs in, or the client itself; tokens of 24 h, at least one scope, "
        "XML unless one accepts JSON, 50 records a page",
    },
    "servicenow": {
        "authorize": "/servicenow/oauth_auth.do",
        "token": "/servicenow/oauth_token.do",
        "revoke": "/servicenow/oauth_revoke_token.do",
        "api": [f"/servicenow/api/now/table/{name}" for name in ("incident", "cmdb_ci", "sys_user")],
        "habits": "tokens of 30 min, the same refresh token again, Link headers, short pages in the middle",
    },
    "strict": {
        "authorize": "/strict/authorize",
        "token": "/strict/token",
        "device": "/strict/device",
        "device_page": "/strict/activate",
        "pushed": "/strict/par",
        "revoke": "/strict/revoke",
        "introspect": "/strict/introspect",
        "userinfo": "/strict/userinfo",
        "metadata": [
            "/.well-known/oauth-authorization-server/strict",
            "/strict/.well-known/openid-configuration",
        ],
        "api": [
            f"/strict/api/{name}"
            for name in ("items", "pages", "echo", "slow", "upload", "elsewhere", "secure")
        ],
        "habits": "refresh tokens rotate; using one twice revokes all of them; PKCE always; DPoP, signed "
        f"clients and token exchange on request; /secure wants acr_values={ACR}",
    },
    "flaky": {
        "authorize": "/flaky/authorize",
        "token": "/flaky/token",
        "revoke": "/flaky/revoke",
        "api": [f"/flaky/api/{name}" for name in ("items", "pages", "echo", "slow", "upload", "elsewhere")],
        "habits": "one request in five fails: 429, 503, slow, cut off; ?fault=429 forces one",
    },
}
_MANIFEST = """\
version: 1
accounts:
  purchasing:
    oauth2_endpoint: {site}/coupa/oauth2/authorizations/new
    oauth2_token: {site}/coupa/oauth2/token
    client_id: {client_id}
    client_secret: {client_secret}
    grant: client_credentials
    scopes: [core.invoice.read, core.supplier.read]
    auto_refresh: true
    api: {{base_url: "{site}/coupa", headers: {{Accept: application/json}}}}
  buyer:            # a person signs in; without offline_access there is no refresh token
    oauth2_endpoint: {site}/coupa/oauth2/authorizations/new
    oauth2_token: {site}/coupa/oauth2/token
    client_id: {public_client_id}
    client_auth: none
    grant: authorization_code
    scopes: [core.invoice.read, offline_access]
    api: {{base_url: "{site}/coupa", headers: {{Accept: application/json}}}}
  tickets:          # the same refresh token again and again
    oauth2_endpoint: {site}/servicenow/oauth_auth.do
    oauth2_token: {site}/servicenow/oauth_token.do
    client_id: {client_id}
    client_secret: {client_secret}
    grant: authorization_code
    api: {{base_url: "{site}/servicenow"}}
  vault:            # a refresh token that is good once
    oauth2_endpoint: {site}/strict/authorize
    oauth2_token: {site}/strict/token
    client_id: {client_id}
    client_secret: {client_secret}
    client_auth: client_secret_basic
    grant: authorization_code
    scopes: [items.read]
    api: {{base_url: "{site}/strict"}}
  terminal:         # an endpoint in full, with where a device asks for its code
    oauth2_endpoint:
      grants: [authorization_code]
      authorize: {{url: "{site}/strict/authorize"}}
      device: {{url: "{site}/strict/device"}}
      token: {{url: "{site}/strict/token", auth: none}}
      refresh: {{rotates: always}}
      revoke: {{url: "{site}/strict/revoke"}}
      api: {{base_url: "{site}/strict"}}
    client_id: {public_client_id}
    scopes: [items.read]
pipelines:
  invoices:
    snaps:
      - {{snap: http.read, account: purchasing, with: {{path: /api/invoices, paginate: offset}}}}
      - {{snap: file.write, with: {{path: out/invoices.jsonl}}}}
"""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>connector sandbox</title>
<style>body{{font:16px/1.5 system-ui;max-width:52rem;margin:2rem auto;padding:0 1rem}}
pre{{background:#8881;padding:1rem;overflow:auto}}</style>
<h1>connector sandbox</h1><p>Four invented companies' servers, on this machine only.</p>
<p>A browser is asked for consent: <a href="{example}">see the page</a>. Programs are let in at once;
<code>sandbox_person=allow</code>, <code>deny</code> or <code>ask</code> says otherwise.</p>
{personas}<h2>Credentials</h2><pre>{credentials}</pre><h2>A manifest to paste</h2><pre>{manifest}</pre></html>
"""


async def welcome(request: Request) -> Response:
    """Answer with HTML to a browser and JSON to everyone else."""
    site = f"{request.url.scheme}://{request.url.netloc}"
    manifest = _MANIFEST.format(
        site=site, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, public_client_id=PUBLIC_CLIENT_ID
    )
    credentials = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "public_client_id": PUBLIC_CLIENT_ID,
        "long_client_id": LONG_CLIENT_ID,
        "long_client_secret": LONG_CLIENT_SECRET,
        "username": PASSWORD_USER,
        "password": PASSWORD,
    }
    personas = {name: _absolute(site, parts) for name, parts in _PATHS.items()}
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"personas": personas, "credentials": credentials, "manifest": manifest})
    example = f"{site}/coupa/oauth2/authorizations/new?{urlencode(_example(site))}"
    listed = "".join(_section(name, parts) for name, parts in personas.items())
    words = "\n".join(f"{name}: {text}" for name, text in credentials.items())
    return HTMLResponse(
        _PAGE.format(
            personas=listed, credentials=escape(words), manifest=escape(manifest), example=escape(example)
        )
    )


def _example(site: str) -> dict[str, str]:
    """Return an authorization request that comes back to this page."""
    return {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": site + "/",
        "scope": "core.invoice.read offline_access",
        "sandbox_person": "ask",
    }


def _absolute(site: str, parts: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    made: dict[str, str | list[str]] = {}
    for name, part in parts.items():
        if isinstance(part, list):
            made[name] = [site + path for path in part]
        else:
            made[name] = part if name == "habits" else site + part
    return made


def _section(name: str, parts: dict[str, str | list[str]]) -> str:
    rows = "".join(
        f"<li>{escape(key)}: {escape(part if isinstance(part, str) else ', '.join(part))}</li>"
        for key, part in parts.items()
    )
    return f"<h2>{escape(name)}</h2><ul>{rows}</ul>"
