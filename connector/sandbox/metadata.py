"""What a server says of itself: RFC 8414, at the address of that RFC and at OpenID Connect's.

No ID tokens are issued here, so the document names no keys; it is the same at both addresses.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox import dpop, jwts
from connector.sandbox.addresses import issuer
from connector.sandbox.habits import ACR, Habits

_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt"]
_ENDPOINTS = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "pushed_authorization_request_endpoint": "par",
    "device_authorization_endpoint": "device",
    "userinfo_endpoint": "userinfo",
}


def metadata_routes(habits: Habits) -> list[Route]:
    """Return both addresses: well-known before the issuer's path (RFC 8414 section 3.1) and after it."""

    async def metadata(request: Request) -> Response:
        return JSONResponse(_document(issuer(request, habits), habits))

    return [
        Route(f"/.well-known/oauth-authorization-server/{habits.name}", metadata),
        Route(f"/{habits.name}/.well-known/openid-configuration", metadata),
    ]


def _document(name: str, habits: Habits) -> dict[str, Any]:
    return {
        "issuer": name,
        **{field: f"{name}/{path}" for field, path in _ENDPOINTS.items()},
        "grant_types_supported": sorted(habits.grants),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(habits.default_scopes),
        "subject_types_supported": ["public"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": False,
        "token_endpoint_auth_methods_supported": [*_AUTH_METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": [*jwts.ALGORITHMS, "HS256"],
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        # Not for everyone: who may look into tokens or revoke them must have a secret of its own.
        "introspection_endpoint_auth_methods_supported": _AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": [*_AUTH_METHODS, "none"],
        "acr_values_supported": [ACR],
    }
