"""The root page: what is served here, and a manifest to paste."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from connector.sandbox.habits import CLIENT_ID, CLIENT_SECRET, PASSWORD, PASSWORD_USER, PUBLIC_CLIENT_ID

_PATHS: dict[str, dict[str, str | list[str]]] = {
    "coupa": {
        "authorize": "/coupa/oauth2/authorizations/new",
        "token": "/coupa/oauth2/token",
        "api": ["/coupa/api/suppliers", "/coupa/api/invoices"],
        "habits": "tokens of 24 h, at least one scope, XML unless one accepts JSON, 50 records a page",
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
        "revoke": "/strict/revoke",
        "api": [f"/strict/api/{name}" for name in ("items", "pages", "echo", "slow", "upload", "elsewhere")],
        "habits": "refresh tokens rotate; using one twice revokes all of them; PKCE always",
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
{personas}<h2>Credentials</h2><pre>{credentials}</pre><h2>A manifest to paste</h2><pre>{manifest}</pre></html>
"""


async def welcome(request: Request) -> Response:
    """Answer with HTML to a browser and JSON to everyone else."""
    site = f"{request.url.scheme}://{request.url.netloc}"
    manifest = _MANIFEST.format(site=site, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    credentials = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "public_client_id": PUBLIC_CLIENT_ID,
        "username": PASSWORD_USER,
        "password": PASSWORD,
    }
    personas = {name: _absolute(site, parts) for name, parts in _PATHS.items()}
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"personas": personas, "credentials": credentials, "manifest": manifest})
    listed = "".join(_section(name, parts) for name, parts in personas.items())
    words = "\n".join(f"{name}: {text}" for name, text in credentials.items())
    return HTMLResponse(_PAGE.format(personas=listed, credentials=escape(words), manifest=escape(manifest)))


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
