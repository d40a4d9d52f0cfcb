"""Step-up authentication (RFC 9470): data for which a login must have been one with two factors."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.sandbox.habits import ACR
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import Handler

MAX_AGE_S = 300
_WORDS = "insufficient_user_authentication"


def secure(state: State) -> Handler:
    """Return the handler of an endpoint that wants `ACR`, not longer ago than `MAX_AGE_S`; behind a `Guard`.

    The age is that of the login, so a refreshed token grows too old as well (RFC 9470 section 5).
    """

    async def answer(request: Request) -> Response:
        terms = request.state.claims.terms
        if terms.acr == ACR and state.clock() - terms.authenticated_at <= MAX_AGE_S:
            return JSONResponse({"secure": True, "acr": terms.acr})
        scheme = "DPoP" if terms.key else "Bearer"
        said = (
            f'error="{_WORDS}", error_description="this needs a fresh login with two factors", '
            f'acr_values="{ACR}", max_age="{MAX_AGE_S}"'
        )
        headers = {"WWW-Authenticate": f'{scheme} realm="strict", {said}'}
        return JSONResponse({"error": _WORDS}, 401, headers=headers)

    return answer
