"""Endpoint files that say much, and ways to let them lie."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

GONE = object()

RICH: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: rich
settings:
  site: {title: Site, examples: [acme.example.net], x-required: false}
  shop: {title: Shop, pattern: "[a-z0-9][a-z0-9-]*"}
  cloud_id: {title: Cloud, x-filled-by: discover}
grants: [authorization_code]
authorize:
  url: https://auth.example.com/authorize
  params: {audience: api}
  rename: {client_id: app_id, scope: perms, state: st8}
  callback: {code: auth_code, state: st8, capture: {realm: realmId}}
token:
  url: https://auth.example.com/oauth/token
  method: POST
  body: form
  auth: client_secret_post
  rename: {client_id: app_id, client_secret: app_secret}
  params: {device: "{shop}"}
  query: {v: "2"}
  headers: {X-Version: "2"}
refresh:
  url: https://auth.example.com/oauth/refresh
  rotates: always
  grant_type: renew
scopes: {separator: ",", default: [a.read, b.read], offline: [offline_access]}
response:
  access_token: /data/token
  refresh_token: /data/refresh
  expires_in: /data/ttl
  expires_in_unit: min
  capture: {number: /data/account/id}
  error: {at: /ok, equals: false, code: /error, message: /message}
exchange:
  url: https://auth.example.com/oauth/long
  params: {short: "{access_token}"}
  response: {access_token: /long, expires_in: /seconds}
discover:
  - url: https://api.example.com/sites
    pick: {from: /values, where: {/url: "https://{site}"}}
    set: {cloud_id: /id}
revoke: {url: https://auth.example.com/oauth/revoke, auth: none}
introspect: {url: https://auth.example.com/oauth/introspect}
api:
  base_url: https://api.example.com/ex/{cloud_id}/{realm}/{number}
  token: {in: header, name: X-Token, prefix: "Token "}
  headers: {X-Shop: "{shop}"}
  query: {lang: en}
  expired: {status: [200, 401], body: {/code: [40001, 40014]}}
  retry:
    - {status: [429, 403], after: [X-Wait], remaining: X-Left}
    - {status: [200], body: {/busy: [true, "yes"]}, at: [X-Until]}
test: {path: /me, expect: [200], label: /email}
""")

CLIENT: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: plain
grants: [client_credentials]
token: {url: https://auth.example.com/token, auth: client_secret_basic}
api: {base_url: https://api.example.com}
""")

JWT: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: signing
grants: [signed_jwt]
jwt: {alg: ES256, lifetime: 300, claims: {aud: appstore, sub: null}, header: {typ: JWT}}
api: {base_url: https://api.example.com}
""")

LOGIN: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: session
grants: [two_step]
token:
  url: https://api.example.com/login
  body: json
  params: {user: "{username}", pass: "{password}", keep: true}
response: {access_token: "header:X-Session", lifetime: 1200}
api: {base_url: https://api.example.com, token: {in: cookie, name: sid}}
""")

KEY: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: keyed
grants: [api_key]
api: {base_url: https://api.example.com, token: {name: X-Key, prefix: ""}}
""")

PASSED: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: basic
grants: [basic]
api: {base_url: https://api.example.com, basic: {username: "{username}/token", password: "{password}"}}
""")

META: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: showing
grants: [authorization_code]
authorize: {url: https://www.example.com/dialog, pkce: none, fragment: "/login?", drop_empty: false}
token: {url: https://graph.example.com/token, method: GET}
refresh: {with: access_token, method: GET, grant_type: th_refresh}
response: {format: form, lifetime: 5000}
api: {base_url: https://graph.example.com/v1, token: {in: query, name: key}}
""")

DEVICE: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: tv
grants: [device_code]
device: {url: https://auth.example.com/device}
token: {url: https://auth.example.com/token, auth: none}
scopes: {default: [tv]}
api: {base_url: https://api.example.com, token: {in: path, prefix: bot}}
test: {path: /getMe, label: /result/username}
""")

METADATA: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: known
issuer: https://id.example.com/tenant
grants: [authorization_code, client_credentials]
par: {}
userinfo: {}
revoke: {}
api: {base_url: https://id.example.com/api}
""")

ASSERTING: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: asserting
grants: [jwt_bearer, client_credentials, password, token_exchange, refresh_token, bearer, none]
token: {url: https://id.example.com/token, auth: private_key_jwt}
jwt: {alg: RS256, claims: {aud: "https://id.example.com/", scope: "{scope}"}}
scopes: {default: [x]}
api: {base_url: https://id.example.com/api, basic: {username: "{access_token}", password: x}}
""")

BOUND: dict[str, Any] = yaml.safe_load("""
schema: 1
endpoint: bound
grants: [authorization_code, client_credentials]
authorize: {url: https://auth.example.com/authorize}
token: {url: https://auth.example.com/token, auth: tls_client_auth}
dpop: true
api: {base_url: https://api.example.com}
""")

ALL = [RICH, CLIENT, JWT, LOGIN, KEY, PASSED, META, DEVICE, METADATA, ASSERTING, BOUND]


def changed(spec: Mapping[str, Any], place: str, value: Any) -> dict[str, Any]:
    """A copy that says something else at a place (``token.auth``); GONE: nothing."""
    made = copy.deepcopy(dict(spec))
    inside: Any = made
    *way, last = [int(step) if step.isdigit() else step for step in place.split("|")]
    for step in way:
        inside = inside[step] if isinstance(inside, list) else inside.setdefault(step, {})
    if value is GONE:
        del inside[last]
    else:
        inside[last] = value
    return made
