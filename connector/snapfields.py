"""What SnapLogic's account classes call their fields, and which names may be repeated with their values.

Rules of this room: tables only. SnapLogic publishes no list of these names, so keys are compared without case
and signs, and whatever is not in a table is told by name, never by value.
"""

from __future__ import annotations

import re

# Ours -> theirs, as `connector.snapexport.plain` makes them.
FIELDS: dict[str, tuple[str, ...]] = {
    "client_id": ("clientid", "oauth2clientid", "oauthclientid", "appid", "applicationid"),
    "client_secret": ("clientsecret", "oauth2clientsecret", "oauthclientsecret", "appsecret"),
    "access_token": ("accesstoken", "oauth2accesstoken", "oauthaccesstoken"),
    "refresh_token": ("refreshtoken", "oauth2refreshtoken", "oauthrefreshtoken"),
    "access_token_expiration": (
        *("accesstokenexpiration", "accesstokenexpiry", "accesstokenexpires", "tokenexpiration"),
        *("oauth2accesstokenexpiration", "expiration", "expiresin", "expiresat"),
    ),
    "header_authenticated": ("headerauthenticated", "headerauth", "isheaderauthenticated"),
    "oauth2_endpoint": (
        *("oauth2endpoint", "oauthendpoint", "oauth2authendpoint", "authendpoint", "authorizationendpoint"),
        *("oauth2authorizationendpoint", "authorizationurl", "authorizeurl", "authurl"),
    ),
    "oauth2_token": (
        *("oauth2token", "oauth2tokenendpoint", "oauthtokenendpoint", "tokenendpoint", "tokenurl"),
        *("oauth2tokenurl", "accesstokenurl", "accesstokenendpoint", "tokenuri"),
    ),
    "grant": ("granttype", "grant", "oauth2granttype"),
    "basic": (
        *("sendclientdataasbasicauthheader", "sendclientdataasbasicauth", "clientdataasbasicauthheader"),
        *("clientdataasbasicauth", "basicauthheader", "basicauth", "usebasicauth"),
    ),
    "token_rows": ("tokenendpointconfig", "oauth2tokenconfig", "tokenconfig", "tokenendpointparameters"),
    "auth_rows": ("authendpointconfig", "oauth2authconfig", "authconfig", "authendpointparameters"),
    "auto_refresh": ("autorefreshtoken", "autorefresh"),
    "scope": ("scope", "scopes"),
    "username": ("username", "user"),
    "password": ("password",),
}
CANONICAL = {theirs: ours for ours, names in FIELDS.items() for theirs in names}

# Their labels, for notes.
TITLES = {
    "client_id": "Client ID",
    "client_secret": "Client secret",
    "access_token": "Access token",
    "refresh_token": "Refresh token",
    "access_token_expiration": "Access token expiration",
    "header_authenticated": "Header authenticated",
    "oauth2_endpoint": "OAuth2 Endpoint",
    "oauth2_token": "OAuth2 Token",
    "grant": "Grant type",
    "basic": "Send client data as Basic Auth header",
    "token_rows": "Token endpoint config",
    "auth_rows": "Auth endpoint config",
    "auto_refresh": "Auto-refresh token",
    "scope": "Scope",
    "username": "Username",
    "password": "Password",
}
SECRET_FIELDS = ("client_secret", "access_token", "refresh_token", "password")

# Parameters whose values are no secrets, in token requests, authorization URLs and queries. A value of any
# other name stays behind: an API key has been seen under every name.
HARMLESS = frozenset(
    (
        *("audience", "resource", "prompt", "access_type", "approval_prompt", "include_granted_scopes"),
        *("login_hint", "domain_hint", "response_mode", "display", "ui_locales", "max_age", "acr_values"),
        *("tenant", "tenant_id", "organization", "organization_id", "connection", "domain", "realm"),
        *("duration", "token_content_type", "requested_token_use", "owner", "company", "environment"),
        *("region", "locale", "lang", "p", "policy", "api-version", "version", "force_verify", "show_dialog"),
    )
)
# Set by connector itself, in one request or the other.
OURS = frozenset(
    (
        *("grant_type", "client_id", "client_secret", "refresh_token", "code", "code_verifier"),
        *("response_type", "state", "code_challenge", "code_challenge_method"),
    )
)

SUSPICIOUS = re.compile(
    r"secret|token|pass|pwd|key|credential|assertion|private|pin$|sign|cert", re.IGNORECASE
)
PLACEHOLDER = re.compile(r"\$\{|\{\{|^\$[A-Za-z_]|%[A-Za-z_]+%")


def shown(name: str) -> str:
    """A field's or parameter's name for a note; what does not look like one is not repeated."""
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_. -]{0,59}", name) else "(a name that is not shown)"
