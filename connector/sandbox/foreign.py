"""The other host: takes anything, keeps the headers, so that a test can see what reached it."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox.state import ForeignRequest, State

_KEPT_BYTES = 65_536


def foreign_app(state: State) -> Starlette:
    """Return an application that records every request in ``state.foreign_requests`` and answers 200."""

    async def record(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk[: _KEPT_BYTES - len(body)]
        seen = ForeignRequest(request.method, request.url.path, dict(request.headers), bytes(body))
        state.foreign_requests.append(seen)
        return JSONResponse({"foreign": True, "path": request.url.path})

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(routes=[Route("/{path:path}", record, methods=methods)])
