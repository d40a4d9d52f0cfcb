"""The persona ``/strict``: OAuth as RFC 9700 wants it, and an API made to try a client's manners.

Refresh tokens rotate at every use; the second use of one revokes the whole family, access tokens included.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox.consent import authorization_page
from connector.sandbox.device_endpoint import device_routes
from connector.sandbox.guard import Door, Guard, challenge, whole_number
from connector.sandbox.habits import ASSERTION_GRANT, DEVICE_GRANT, EXCHANGE_GRANT, Habits, Refusal
from connector.sandbox.introspection import introspection_endpoint, userinfo
from connector.sandbox.metadata import metadata_routes
from connector.sandbox.pushed import pushed_endpoint
from connector.sandbox.state import State
from connector.sandbox.stepup import secure
from connector.sandbox.token_endpoint import revocation_endpoint, token_endpoint

_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_SLOWEST_S = 30.0


def refuse(refusal: Refusal) -> Response:
    """Answer as RFC 6749 section 5.2 says."""
    body = {"error": refusal.error, "error_description": refusal.description}
    headers = {"Cache-Control": "no-store"}
    if refusal.error == "invalid_client":
        return JSONResponse(body, 401, headers={**headers, "WWW-Authenticate": 'Basic realm="strict"'})
    return JSONResponse(body, 400, headers=headers)


def refreshable(grant: str, scopes: tuple[str, ...], public: bool) -> bool:
    """Whoever has a person behind it gets a refresh token."""
    return grant in ("authorization_code", DEVICE_GRANT)


HABITS = Habits(
    name="strict",
    token_path="/strict/token",
    access_lifetime_s=300,
    refresh_lifetime_s=30 * 86_400,
    grants=frozenset(
        {
            "authorization_code",
            "refresh_token",
            "client_credentials",
            DEVICE_GRANT,
            ASSERTION_GRANT,
            EXCHANGE_GRANT,
        }
    ),
    refreshable=refreshable,
    refuse=refuse,
    default_scopes=("items.read", "items.write"),
    basic=True,
    one_method=True,
    needs_pkce=True,
    assertions=True,
    nonce_s=300,
    steps_up=True,
    pushed=True,
    rotates=True,
)


def routes(state: State) -> list[Route]:
    """Return the routes of this persona."""
    guard = Guard(
        state=state, persona="strict", unauthorized=_unauthorized, forbidden=_forbidden, bound=HABITS
    )
    return [
        *bench_routes(state, HABITS, guard),
        *metadata_routes(HABITS),
        *device_routes(
            state, HABITS, path="/strict/device", page_path="/strict/activate", says_interval=True
        ),
        Route("/strict/par", pushed_endpoint(state, HABITS), methods=["POST"]),
        Route("/strict/introspect", introspection_endpoint(state, HABITS), methods=["POST"]),
        Route("/strict/userinfo", guard(userinfo), methods=["GET", "POST"]),
        Route("/strict/api/secure", guard(secure(state), scope="items.read")),
    ]


def bench_routes(state: State, habits: Habits, guard: Door) -> list[Route]:
    """Return OAuth and API routes under ``/{habits.name}``; every API handler goes through `guard`."""
    root = f"/{habits.name}"
    bench = _Bench(state)
    revoke = revocation_endpoint(state, habits, authenticated=True)
    return [
        Route(root + "/authorize", authorization_page(state, habits), methods=["GET", "POST"]),
        Route(habits.token_path, token_endpoint(state, habits), methods=["POST"]),
        Route(root + "/revoke", revoke, methods=["POST"]),
        Route(root + "/api/items", guard(bench.items, scope="items.read")),
        Route(root + "/api/pages", guard(bench.pages, scope="items.read")),
        Route(root + "/api/slow", guard(bench.slow)),
        Route(root + "/api/elsewhere", guard(bench.elsewhere), methods=_ANY_METHOD),
        Route(root + "/api/echo", guard(bench.echo), methods=_ANY_METHOD),
        Route(root + "/api/upload", guard(bench.upload, scope="items.write"), methods=["POST", "PUT"]),
    ]


class _Bench:
    """The handlers of the test API."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def items(self, request: Request) -> Response:
        """Cursor paging: ``next`` is the cursor of the following page, null on the last."""
        start = _read_cursor(request.query_params.get("cursor", ""))
        records = list(self._state.table("items").values())
        if start is None or start > len(records):
            return JSONResponse({"error": "invalid_cursor"}, 400)
        end = start + whole_number(request, "limit", 50, most=200, least=1)
        following = _cursor(end) if end < len(records) else None
        return JSONResponse({"items": records[start:end], "next": following})

    async def pages(self, request: Request) -> Response:
        """Page-number paging, from 1, with the total in the body and in a header."""
        records = list(self._state.table("items").values())
        number = whole_number(request, "page", 1, most=10**6, least=1)
        size = whole_number(request, "per_page", 50, most=200, least=1)
        body = {
            "items": records[(number - 1) * size : number * size],
            "page": number,
            "per_page": size,
            "total": len(records),
        }
        return JSONResponse(body, headers={"X-Total-Count": str(len(records))})

    async def slow(self, request: Request) -> Response:
        """Answers after ``seconds``."""
        try:
            seconds = float(request.query_params.get("seconds", "1"))
        except ValueError:
            return JSONResponse({"error": "invalid_request"}, 400)
        seconds = min(max(seconds, 0.0), _SLOWEST_S)
        await anyio.sleep(seconds)
        return JSONResponse({"slept_s": seconds})

    async def elsewhere(self, request: Request) -> Response:
        """Redirects to the other host, with ``status`` (307 by default)."""
        status = whole_number(request, "status", 307, most=308, least=301)
        return RedirectResponse(self._state.foreign_url + request.url.path, status)

    async def echo(self, request: Request) -> Response:
        """Tells what arrived, but for the credentials and the body itself."""
        digest, length = await _digest(request)
        headers = {name: text for name, text in request.headers.items() if name != "authorization"}
        return JSONResponse(
            {
                "method": request.method,
                "path": request.url.path,
                "query": dict(request.query_params),
                "headers": headers,
                "sha256": digest,
                "length": length,
            }
        )

    async def upload(self, request: Request) -> Response:
        """Takes a body of any size."""
        digest, length = await _digest(request)
        return JSONResponse({"sha256": digest, "length": length}, 201)


async def _digest(request: Request) -> tuple[str, int]:
    digest, length = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        length += len(chunk)
    return digest.hexdigest(), length


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"after:{offset}".encode()).decode()


def _read_cursor(text: str) -> int | None:
    """Return where a page begins, None for a cursor that is not ours."""
    if not text:
        return 0
    try:
        mark, _, offset = base64.urlsafe_b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return int(offset) if mark == "after" and offset.isdigit() and len(offset) < 10 else None


def _unauthorized(request: Request, why: str) -> Response:
    return challenge("strict", why)


def _forbidden(request: Request, scope: str) -> Response:
    scheme = "DPoP" if request.state.claims.terms.key else "Bearer"
    return challenge("strict", "scope", scope, scheme=scheme)
