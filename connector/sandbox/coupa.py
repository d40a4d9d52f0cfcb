"""The persona ``/coupa``: tokens of a day, scopes everywhere, XML unless asked for JSON, 50 a page.

Facts: Coupa's integration documentation (OAuth 2.0, "Arguments", "Exception Handling"); the error bodies are
those of rack-oauth2.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox import xmltext
from connector.sandbox.consent import authorization_page
from connector.sandbox.device_endpoint import device_routes
from connector.sandbox.guard import Guard, bucket_for, whole_number
from connector.sandbox.habits import DEVICE_GRANT, Habits, Refusal
from connector.sandbox.state import State
from connector.sandbox.token_endpoint import token_endpoint

_PAGE = 50
_NOT_FILTERS = ("offset", "limit", "fields", "order_by", "dir", "return_object")
_UNREADABLE = "the body is neither XML nor JSON"


def _refuse(refusal: Refusal) -> Response:
    body = {"error": refusal.error, "error_description": refusal.description}
    if refusal.error == "invalid_client":
        return JSONResponse(body, 401, headers={"WWW-Authenticate": 'Basic realm="OAuth2 client"'})
    return JSONResponse(body, 400)


def _refreshable(grant: str, scopes: tuple[str, ...], public: bool) -> bool:
    # client_credentials asks for a new token instead, with or without offline_access.
    return grant in ("authorization_code", DEVICE_GRANT) and "offline_access" in scopes


HABITS = Habits(
    name="coupa",
    token_path="/coupa/oauth2/token",
    access_lifetime_s=86_400,
    refresh_lifetime_s=90 * 86_400,
    token_type="bearer",
    grants=frozenset({"client_credentials", "authorization_code", "refresh_token", DEVICE_GRANT}),
    refreshable=_refreshable,
    refuse=_refuse,
)


def routes(state: State) -> list[Route]:
    """Return the routes of this persona."""
    guard = Guard(
        state=state,
        persona="coupa",
        unauthorized=_unauthorized,
        forbidden=_forbidden,
        bucket=bucket_for(state, rate_per_s=25, burst=20),
    )

    async def elsewhere(request: Request) -> Response:
        return RedirectResponse(state.foreign_url + request.url.path, 307)

    made = [
        Route("/coupa/api/elsewhere", guard(elsewhere)),
        Route("/coupa/oauth2/authorizations/new", authorization_page(state, HABITS), methods=["GET", "POST"]),
        Route(HABITS.token_path, token_endpoint(state, HABITS), methods=["POST"]),
    ]
    # Coupa documents the grant and no paths for it: these are ours.
    made += device_routes(
        state,
        HABITS,
        path="/coupa/oauth2/device_authorization",
        page_path="/coupa/oauth2/activate",
        says_interval=False,
    )
    for collection, right in (("suppliers", "supplier"), ("invoices", "invoice")):
        shelf = _Shelf(state, collection)
        path, read, write = f"/coupa/api/{collection}", f"core.{right}.read", f"core.{right}.write"
        made += [
            Route(path, guard(shelf.list, scope=read)),
            Route(path, guard(shelf.create, scope=write), methods=["POST"]),
            Route(path + "/{id:int}", guard(shelf.get, scope=read)),
            Route(path + "/{id:int}", guard(shelf.update, scope=write), methods=["PUT"]),
        ]
    return made


class _Shelf:
    """The handlers of one collection."""

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self._name = name
        self._required = "name" if name == "suppliers" else "invoice-number"

    async def list(self, request: Request) -> Response:
        records = [r for r in self._state.table(self._name).values() if _matches(r, request)]
        offset = whole_number(request, "offset", 0, most=10**9)
        limit = whole_number(request, "limit", _PAGE, most=_PAGE, least=1)
        return _answer(request, records[offset : offset + limit], self._name)

    async def get(self, request: Request) -> Response:
        record = self._state.table(self._name).get(str(request.path_params["id"]))
        if record is None:
            return _problem(request, 404, "Not found")
        return _answer(request, record, self._name[:-1])

    async def create(self, request: Request) -> Response:
        fields = await _read(request)
        if fields is None:
            return _problem(request, 400, _UNREADABLE)
        if not fields.get(self._required):
            return _problem(request, 400, f"{self._required} can't be blank")
        table = self._state.table(self._name)
        number = 1 + max(map(int, table), default=0)
        table[str(number)] = {**fields, "id": number}
        return _answer(request, table[str(number)], self._name[:-1], status=201)

    async def update(self, request: Request) -> Response:
        fields, table = await _read(request), self._state.table(self._name)
        key = str(request.path_params["id"])
        if key not in table:
            return _problem(request, 404, "Not found")
        if fields is None:
            return _problem(request, 400, _UNREADABLE)
        table[key] = {**table[key], **fields, "id": int(key)}
        return _answer(request, table[key], self._name[:-1])


def _matches(record: dict[str, Any], request: Request) -> bool:
    """Whether a record has what the query asks for; operators in brackets are not understood here."""
    wanted = (
        (key.replace("_", "-"), text) for key, text in request.query_params.items() if key not in _NOT_FILTERS
    )
    return all(str(record[key]) == text for key, text in wanted if key in record)


async def _read(request: Request) -> dict[str, Any] | None:
    body = await request.body()
    try:
        read = json.loads(body) if "json" in request.headers.get("content-type", "") else xmltext.read(body)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def _answer(request: Request, value: Any, name: str, status: int = 200) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(value, status)
    return Response(xmltext.write(name, value), status, media_type="application/xml")


def _problem(request: Request, status: int, message: str) -> Response:
    return _answer(request, {"errors": {"error": message}}, "response", status)


def _unauthorized(request: Request, why: str) -> Response:
    problem = ', error="invalid_token"' if why == "invalid" else ""
    response = _problem(request, 401, "Unauthorized")
    response.headers["WWW-Authenticate"] = f'Bearer realm="Coupa API"{problem}'
    return response


def _forbidden(request: Request, scope: str) -> Response:
    return _problem(request, 403, f"the token does not allow {scope}")
